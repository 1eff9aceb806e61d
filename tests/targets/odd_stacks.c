/* Allocations from stacks of every kind, most of them like the one before. Usage: odd_stacks KIND TIMES.
 *   shapes      random calls through frames of all sorts: large, realigned, of variable size, with and without a frame pointer
 *   equal       frames of one size stand in each other's places: those of a recursion with two calls, and those that are told in different ways;
 *               a function calls malloc from one place, below callers that were left behind by others, unless they are its own
 *   jumps       the shapes, left by longjmp at random
 *   coroutines  several stacks in turn on each of several threads: static, mapped and allocated ones, one of them gone and back each turn
 *   signals     handlers on the normal and on an alternate stack, one inside the other, below random calls
 *   jit         code without unwind information between the program and malloc */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "target.h"

#define MAX_DEPTH 40
#define COROUTINES 4
#define STACK_BYTES (128 * KIB)

static _Thread_local uint64_t random_state = 88172645463325252u;
static _Thread_local jmp_buf *way_out;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 11;
}

#define WITHOUT_FRAME_POINTER __attribute__((optimize("omit-frame-pointer"), noinline, noclone))

static NOINLINE void allocate(void)
{
    void *block = malloc(40);
    keep(block);
    free(block);
}

static NOINLINE void go_on(int depth);

static NOINLINE void plain(int depth)
{
    go_on(depth);
    keep(&depth);
}

static NOINLINE void large(int depth)
{
    char bytes[3000];
    keep(bytes);
    go_on(depth);
    keep(bytes);
}

static NOINLINE void variable(int depth)
{
    char bytes[opaque(16 + next_random() % 500)];
    keep(bytes);
    go_on(depth);
    keep(bytes);
}

static NOINLINE void realigned(int depth)
{
    alignas(64) char bytes[64];
    keep(bytes);
    go_on(depth);
    keep(bytes);
}

static NOINLINE void realigned_variable(int depth)
{
    alignas(128) char wide[128];
    char bytes[opaque(1 + next_random() % 300)];
    keep(wide);
    keep(bytes);
    go_on(depth);
    keep(wide);
    keep(bytes);
}

WITHOUT_FRAME_POINTER static void without_frame_pointer(int depth)
{
    go_on(depth);
    keep(&depth);
}

__attribute__((optimize("no-omit-frame-pointer"), noinline, noclone)) static void with_frame_pointer(int depth)
{
    go_on(depth);
    keep(&depth);
}

static int compare_and_allocate(const void *a, const void *b)
{
    allocate();
    return *(const int *)a - *(const int *)b;
}

static NOINLINE void through_libc(int depth)
{
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof *numbers, compare_and_allocate);
    go_on(depth);
    keep(numbers);
}

static void (*const shapes[])(int) = {plain, large, variable, realigned, realigned_variable, without_frame_pointer, with_frame_pointer, through_libc};

static NOINLINE void go_on(int depth)
{
    unsigned calls = next_random() % 8 ? 1 : 2;
    allocate();
    if (depth == 0)
        return;
    if (way_out && next_random() % 16 == 0)
        longjmp(*way_out, 1);
    for (unsigned i = 0; i < calls; i++)
        shapes[next_random() % (sizeof shapes / sizeof *shapes)](depth - 1);
    allocate();
}

static void in_shapes(long times)
{
    while (times-- > 0)
        go_on((int)(next_random() % MAX_DEPTH / 2));
}

/* ---- frames of one size ---- */

static NOINLINE void climb(int depth);

static NOINLINE void climb_likewise(int depth)
{
    allocate();
    if (depth > 0) {
        climb(depth - 1);
        climb_likewise(depth - 1);
    }
    keep(&depth);
}

static NOINLINE void climb(int depth)
{
    allocate();
    if (depth > 0) {
        climb(depth - 1);
        allocate();
        climb_likewise(depth - 1);
    }
    keep(&depth);
}

static uintptr_t standing; /* of the function that was called last */

WITHOUT_FRAME_POINTER static void stand(void)
{
    void *block = malloc(40);
    standing = (uintptr_t)&block;
    keep(block);
    free(block);
}

WITHOUT_FRAME_POINTER static void of_one_size(void)
{
    char bytes[256];
    keep(bytes);
    stand();
    keep(bytes);
}

static NOINLINE void of_any_size(size_t size)
{
    char bytes[size];
    keep(bytes);
    stand();
    keep(bytes);
}

/* One after the other, where no stack has been before. It saves the frame pointer: what it calls needs none, or another one. */
WITHOUT_FRAME_POINTER static void further_in(int depth, size_t size)
{
#if defined(__x86_64__)
    __asm__ volatile("" ::: "rbp");
#endif
    if (depth > 0) {
        further_in(depth - 1, size);
    } else {
        of_one_size();
        of_any_size(size);
    }
    keep(&depth);
}

/* With which size does what it calls stand where that of the other stands? */
static size_t size_that_equals(void)
{
    of_one_size();
    uintptr_t wanted = standing;
    for (size_t size = 16; size < 512; size += 16) {
        of_any_size(opaque(size));
        if (standing == wanted)
            return size;
    }
    abort();
}

static char *wanted;

/* Its frame reaches to the place that is wanted, and what lies in it stays as it is: the return addresses of deeper stacks, for one. */
static NOINLINE void stand_where_wanted(int depth)
{
    char bytes[(char *)__builtin_frame_address(0) - wanted];
    void *block = malloc(40);
    keep(&depth);
    keep(bytes);
    keep(block);
    free(block);
}

static NOINLINE void down_there(int depth);

/* Not constant: both are called by the same instruction. */
static void (*volatile down[])(int) = {stand_where_wanted, down_there};

static NOINLINE void down_there(int depth)
{
    down[depth > 0](depth - 1);
    keep(&depth);
}

static void in_equal(long times)
{
    size_t size = size_that_equals();
    wanted = (char *)__builtin_frame_address(0) - 8 * KIB;
    for (; times > 0; times--) {
        climb((int)(next_random() % 6));
        further_in((int)(times % 500), opaque(size));
        for (int calls = 0; calls < 8; calls++)
            down_there((int)(next_random() % 6));
    }
}

static void in_jumps(long times)
{
    jmp_buf out;
    for (volatile long i = 0; i < times; i++)
        if (!setjmp(out)) {
            way_out = &out;
            go_on(MAX_DEPTH);
        }
    way_out = NULL;
}

/* ---- coroutines ---- */

struct scheduler {
    ucontext_t self, coroutines[COROUTINES];
    char *stacks[COROUTINES];
    long times;
};

static _Thread_local struct scheduler *scheduler;

static void coroutine(int number)
{
    for (;;) {
        go_on((int)(next_random() % 8));
        swapcontext(&scheduler->coroutines[number], &scheduler->self);
    }
}

static void start_coroutine(int number)
{
    ucontext_t *context = &scheduler->coroutines[number];
    getcontext(context);
    context->uc_stack.ss_sp = scheduler->stacks[number];
    context->uc_stack.ss_size = STACK_BYTES;
    makecontext(context, (void (*)(void))coroutine, 1, number);
}

static char *map_stack(void)
{
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(stack != MAP_FAILED);
    return stack;
}

static void *schedule(void *times)
{
    static char static_stacks[2][STACK_BYTES];
    static int threads_seen;
    struct scheduler own = {.times = (long)times};
    char on_stack[STACK_BYTES];
    scheduler = &own;
    random_state += (uint64_t)&own;
    int thread = __atomic_fetch_add(&threads_seen, 1, __ATOMIC_RELAXED);
    own.stacks[0] = thread < 2 ? static_stacks[thread] : map_stack();
    own.stacks[1] = malloc(STACK_BYTES);
    own.stacks[2] = on_stack;
    own.stacks[3] = map_stack();
    for (int i = 0; i < COROUTINES; i++)
        start_coroutine(i);
    while (own.times-- > 0) {
        int which = (int)(next_random() % COROUTINES);
        swapcontext(&own.self, &own.coroutines[which]);
        go_on((int)(next_random() % 6));
        if (which == 3) {
            require(!munmap(own.stacks[3], STACK_BYTES));
            own.stacks[3] = map_stack();
            start_coroutine(3);
        }
    }
    return NULL;
}

static void in_coroutines(long times)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        require(!pthread_create(&threads[i], NULL, schedule, (void *)times));
    schedule((void *)times);
    for (int i = 0; i < 3; i++)
        require(!pthread_join(threads[i], NULL));
}

/* ---- signals ---- */

static void on_inner(int number)
{
    go_on((int)(next_random() % 5));
}

static void on_outer(int number)
{
    go_on((int)(next_random() % 5));
    raise(SIGUSR2);
    go_on((int)(next_random() % 5));
}

static NOINLINE void raise_at(int depth)
{
    if (depth > 0)
        raise_at(depth - 1);
    else
        raise(SIGUSR1);
    allocate();
}

static void in_signals(long times)
{
    static char alternate[STACK_BYTES];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction inner = {.sa_handler = on_inner}, outer = {.sa_handler = on_outer};
    require(!sigaltstack(&stack, NULL));
    while (times-- > 0) {
        inner.sa_flags = next_random() % 2 ? SA_ONSTACK : 0;
        outer.sa_flags = next_random() % 2 ? SA_ONSTACK : 0;
        require(!sigaction(SIGUSR1, &outer, NULL) && !sigaction(SIGUSR2, &inner, NULL));
        for (int i = 0; i < 4; i++)
            raise_at((int)(next_random() % 4));
        go_on(5);
    }
}

/* ---- code that nobody knows ---- */

static void in_jit(long times)
{
#if defined(__x86_64__)
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(code != MAP_FAILED);
    static const unsigned char template[] = {0x48, 0x83, 0xec, 0x08,                   /* sub $8, %rsp */
                                             0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,       /* mov $allocate, %rax */
                                             0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0xc3}; /* call *%rax; add $8, %rsp; ret */
    uint64_t address = (uintptr_t)allocate;
    memcpy(code, template, sizeof template);
    memcpy(code + 6, &address, sizeof address);
    require(!mprotect(code, 4096, PROT_READ | PROT_EXEC));
    while (times-- > 0)
        ((void (*)(void))(uintptr_t)code)();
#endif
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(long);
    } kinds[] = {{"shapes", in_shapes}, {"equal", in_equal}, {"jumps", in_jumps}, {"coroutines", in_coroutines}, {"signals", in_signals},
                 {"jit", in_jit}};
    require(argc == 3);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(argv[1], kinds[i].name)) {
            kinds[i].run(atol(argv[2]));
            return 0;
        }
    return 2;
}
