/* Rows of call frame information against libunwind: both walk the same live stacks, through this program, libc, threads and signals, and must
 * see the same return addresses. */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdalign.h>
#include <ucontext.h>

#include "cfi.h"
#include "check.h"

#define MAX_FRAMES 256

static unsigned walks;

static size_t walk_with_libunwind(uint64_t *addresses)
{
    unw_context_t context;
    unw_cursor_t cursor;
    size_t count = 0;
    unw_getcontext(&context);
    unw_init_local(&cursor, &context);
    while (count < MAX_FRAMES && unw_step(&cursor) > 0) {
        unw_word_t address;
        unw_get_reg(&cursor, UNW_REG_IP, &address);
        if (!address)
            break;
        /* An interrupted instruction is no return address: our rows are asked for the one behind it. */
        addresses[count] = address + (unw_is_signal_frame(&cursor) > 0 ? 1 : 0);
        count++;
    }
    return count;
}

static uint64_t word_at(uint64_t address)
{
    return *(const uint64_t *)(uintptr_t)address;
}

static size_t walk_with_rows(uint64_t *addresses, const uint64_t *frame)
{
    uint64_t address = frame[1], stack = (uintptr_t)(frame + 2), frame_pointer = frame[0];
    size_t count = 0;
    while (count < MAX_FRAMES && address) {
        struct cfi_row row;
        uint64_t cfa;
        addresses[count++] = address;
        cfi_find(address, &row);
        switch (cfi_row_kind(&row)) {
        case CFI_FROM_STACK: cfa = stack + cfi_row_offset(&row); break;
        case CFI_FROM_FRAME: cfa = frame_pointer + cfi_row_offset(&row); break;
        case CFI_FROM_MEMORY: cfa = word_at(frame_pointer + cfi_row_offset(&row)); break;
        case CFI_SIGNAL: {
            const greg_t *registers = ((const ucontext_t *)(uintptr_t)stack)->uc_mcontext.gregs;
            address = (uint64_t)registers[REG_RIP] + 1;
            stack = (uint64_t)registers[REG_RSP];
            frame_pointer = (uint64_t)registers[REG_RBP];
            continue;
        }
        case CFI_OUTERMOST: return count;
        default: return count; /* no information: libunwind must end here, too */
        }
        if (row.frame_pointer_offset == CFI_FRAME_POINTER_AT_ITSELF)
            frame_pointer = word_at(frame_pointer);
        else if (row.frame_pointer_offset)
            frame_pointer = word_at(cfa + (int64_t)row.frame_pointer_offset);
        address = word_at(cfa - 8);
        stack = cfa;
    }
    return count;
}

static __attribute__((noinline)) void compare(size_t min_frames)
{
    uint64_t theirs[MAX_FRAMES], ours[MAX_FRAMES];
    size_t their_count = walk_with_libunwind(theirs);
    size_t our_count = walk_with_rows(ours, __builtin_frame_address(0));
    CHECK_EQUAL(our_count, their_count);
    for (size_t i = 0; i < our_count; i++)
        CHECK_EQUAL(ours[i], theirs[i]);
    CHECK(our_count >= min_frames);
    walks++;
}

static int compare_in_sort(const void *a, const void *b)
{
    compare(4);
    return *(const int *)a - *(const int *)b;
}

static void compare_in_tree(const void *node, VISIT visit, int level)
{
    compare(4);
}

static __attribute__((noinline, noclone)) int recurse(volatile int depth)
{
    if (depth == 0)
        compare(42);
    else
        recurse(depth - 1);
    return depth; /* read after the call: neither a tail call nor a loop */
}

/* Locals of a size known only at run time, with more alignment than the ABI gives: the frame is found through memory. */
static __attribute__((noinline)) int realigned(size_t bytes)
{
    alignas(128) volatile char wide[128];
    volatile char vector[bytes];
    wide[0] = vector[0] = 1;
    compare(3);
    return wide[0] + vector[0];
}

static void on_signal(int number)
{
    compare(4);
}

static void *on_thread(void *context)
{
    compare(2);
    recurse(40);
    return context;
}

static ucontext_t main_context, coroutine_context;
static char coroutine_stack[64 << 10];

static void in_coroutine(void)
{
    compare(1);
    swapcontext(&coroutine_context, &main_context);
}

static void test_callbacks(void)
{
    int numbers[] = {3, 1, 4, 1, 5, 9, 2, 6};
    void *root = NULL;
    qsort(numbers, 8, sizeof *numbers, compare_in_sort);
    for (int i = 0; i < 8; i++)
        tsearch(&numbers[i], &root, compare_in_sort);
    twalk(root, compare_in_tree);
}

static void test_signals(void)
{
    static char alternate[64 << 10];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

static void test_threads_and_coroutines(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, on_thread, NULL);
    pthread_join(thread, NULL);
    getcontext(&coroutine_context);
    coroutine_context.uc_stack.ss_sp = coroutine_stack;
    coroutine_context.uc_stack.ss_size = sizeof coroutine_stack;
    makecontext(&coroutine_context, in_coroutine, 0);
    swapcontext(&main_context, &coroutine_context);
}

static void test_no_information(void)
{
    struct cfi_row row;
    char not_code[64] = {0};
    cfi_find((uintptr_t)not_code, &row);
    CHECK_EQUAL(cfi_row_kind(&row), CFI_UNKNOWN);
    cfi_find(0, &row);
    CHECK_EQUAL(cfi_row_kind(&row), CFI_UNKNOWN);
    cfi_find(~0ull, &row);
    CHECK_EQUAL(cfi_row_kind(&row), CFI_UNKNOWN);
}

int main(void)
{
    recurse(40);
    realigned(100);
    test_callbacks();
    test_signals();
    test_threads_and_coroutines();
    test_no_information();
    CHECK(walks > 40);
    return 0;
}
