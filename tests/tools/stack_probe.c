/* libheapline's stack half on its own, for tests: LD_PRELOAD this into a program and get each allocation with its stack id, and the
 * definitions, in files. Stand-ins for the recorder, the thread registry and the collector, as small as can be.
 *
 *   STACK_PROBE_OUTPUT  prefix of the files: .definitions (records of the definition ring), .events (struct probe_event), .facts (at exit).
 *                       A forked child goes on in files of its own, with .child added to the prefix.
 *   STACK_PROBE_SIZES   LOW-HIGH: only allocations of such sizes are written; absent: every event is
 *   STACK_PROBE_THREAD  "1": a thread drains the definitions, for stacks that need more of them than the ring holds
 *   STACK_PROBE_STACKS  "off": record events without stacks (to measure what the hooks cost); "native": with native frames;
 *                       "oracle": the same, and one in 64 is compared with libunwind's */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "definitions.h"
#include "futex.h"
#include "hook.h"
#include "lock.h"
#include "native_check.h"
#include "native_fallback.h"
#include "native_unwind.h"
#include "pages.h"
#include "python_attach.h"
#include "python_stack.h"
#include "real.h"
#include "recorder.h"
#include "stack_table.h"
#include "stacks.h"

#define OBJECT_OVERHEAD_BYTES 64
#define BUFFERED_EVENTS 4096
#define ORACLE_INTERVAL 64

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *block);

struct probe_event {
    uint64_t word; /* opcode and address, as in event_words.h */
    uint64_t size;
    uint32_t stack, thread;
};

struct probe_thread {
    struct thread_state state;
    struct session_thread shared;
    uint64_t words[2 * EVENT_MAX_WORDS];
    struct probe_thread *next;
};
_Static_assert(sizeof(struct probe_thread) <= THREAD_ORDERS_OFFSET, "what follows a state lies there");

struct session_header *recorder_session;
static const uint64_t mark = RECORDER_MARK;
const uint64_t *recorder_mark = &mark;
static struct thread_state unregistered = {.busy = THREAD_UNREGISTERED};
TLS_FAST struct thread_state *current_thread = &unregistered;

static struct lock probe_lock;
static struct probe_thread *threads;
static uint32_t thread_count;
static struct probe_event events[BUFFERED_EVENTS];
static unsigned event_count;
static uint64_t lowest_size, highest_size = UINT64_MAX;
static int events_file = -1, definitions_file = -1;
static char output[SESSION_PATH_BYTES];
static _Thread_local int exiting __attribute__((tls_model("initial-exec")));

/* ---- files ---- */

static int open_part(const char *suffix)
{
    char path[SESSION_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s%s", output, suffix);
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

static void write_all(int file, const void *bytes, size_t count)
{
    if (file >= 0 && write(file, bytes, count) != (ssize_t)count)
        abort();
}

static void flush_events(void)
{
    write_all(events_file, events, event_count * sizeof *events);
    event_count = 0;
}

static void take_definitions(void)
{
    uint64_t head = atomic_load(&recorder_session->definition_head), tail = atomic_load(&recorder_session->definition_tail);
    const char *ring = (const char *)recorder_session + SESSION_DEFINITIONS_OFFSET;
    while (tail < head) {
        struct definition record;
        const char *at = ring + tail % SESSION_DEFINITION_BYTES;
        memcpy(&record, at, sizeof record);
        uint64_t bytes = (record.bytes + 7ull) & ~7ull;
        if (record.type != DEFINE_PAD)
            write_all(definitions_file, at, bytes);
        tail += bytes;
    }
    atomic_store(&recorder_session->definition_tail, tail);
}

/* As thread_state.cursor has it. */
static uint64_t place_of(const uint64_t *words)
{
    return ((uintptr_t)words - (uintptr_t)session_words(recorder_session)) / sizeof *words;
}

static struct probe_event decode(const uint64_t *words, uint32_t thread)
{
    struct probe_event event = {.word = words[0], .thread = thread};
    unsigned opcode = EVENT_OPCODE(words[0]);
    int has_size = opcode == EVENT_ALLOCATE || opcode == EVENT_ALLOCATE_OBJECT || opcode == EVENT_REALLOC_END ||
                   opcode == EVENT_REALLOC_END_OBJECT;
    int is_big = opcode == EVENT_ALLOCATE_BIG || opcode == EVENT_ALLOCATE_OBJECT_BIG || opcode == EVENT_REALLOC_END_BIG ||
                 opcode == EVENT_REALLOC_END_OBJECT_BIG;
    if (has_size || is_big) {
        event.size = is_big ? words[2] : words[1] >> 32;
        event.stack = (uint32_t)words[1];
    }
    return event;
}

/* What the thread wrote last, into the file. */
static void drain(struct thread_state *state)
{
    const uint64_t *words = ((struct probe_thread *)state)->words;
    if (state->cursor == place_of(words))
        return;
    lock_take(&probe_lock);
    struct probe_event event = decode(words, state->slot);
    if (event.size >= lowest_size && event.size <= highest_size) {
        events[event_count++] = event;
        if (event_count == BUFFERED_EVENTS)
            flush_events();
    }
    if (atomic_load(&recorder_session->definition_head) - atomic_load(&recorder_session->definition_tail) > SESSION_DEFINITION_BYTES / 4)
        take_definitions();
    lock_release(&probe_lock);
    state->cursor = place_of(words);
}

/* ---- the recorder's cold halves ---- */

static void thread_done(void *state)
{
    struct thread_state *thread = state;
    thread->busy = THREAD_INTERNAL;
    drain(thread);
    exiting = 1;
    current_thread = &unregistered;
}

static pthread_key_t thread_key;

struct thread_state *recorder_admit(struct thread_state *thread, uintptr_t frame)
{
    if (thread->busy != THREAD_UNREGISTERED || !recorder_session || exiting)
        return NULL;
    struct probe_thread *probe = pages_map(THREAD_STATE_BYTES);
    probe->state.shared = &probe->shared;
    probe->state.pthread_id = (uint64_t)pthread_self();
    probe->state.kernel_id = (uint32_t)syscall(SYS_gettid);
    probe->state.cursor = place_of(probe->words);
    probe->state.limit = 0;
    probe->state.busy = THREAD_INTERNAL;
    current_thread = &probe->state;
    lock_take(&probe_lock);
    probe->state.slot = thread_count++;
    probe->next = threads;
    threads = probe;
    lock_release(&probe_lock);
    pthread_setspecific(thread_key, probe);
    probe->state.busy = frame;
    return &probe->state;
}

/* The limit is below every cursor: each event begins here. */
int recorder_prepare(struct thread_state *thread)
{
    drain(thread);
    return 1;
}

void recorder_notice_sampling(struct thread_state *thread)
{
}

/* ---- malloc ---- */

static void *allocated(void *block, uint64_t size, const void *caller)
{
    struct thread_state *thread = block ? recorder_enter() : NULL;
    if (!thread)
        return block;
    if (python_attached)
        python_attach_check();
    if (!serves_object(thread, size)) {
        uint32_t stack = stack_of_native_hook(thread, caller);
        recorder_allocate(thread, EVENT_ALLOCATE, block, size, stack);
    }
    recorder_leave(thread);
    return block;
}

static void record_release(unsigned opcode, void *block)
{
    struct thread_state *thread = recorder_enter();
    if (!thread)
        return;
    if (!releases_object(thread, block))
        recorder_free(thread, opcode, block);
    recorder_leave(thread);
}

EXPORT void *malloc(size_t size)
{
    return allocated(__libc_malloc(size), size, __builtin_return_address(0));
}

EXPORT void *calloc(size_t count, size_t size)
{
    return allocated(__libc_calloc(count, size), count * size, __builtin_return_address(0));
}

EXPORT void free(void *block)
{
    if (block)
        record_release(EVENT_FREE, block);
    __libc_free(block);
}

EXPORT void *realloc(void *old, size_t size)
{
    if (!old)
        return allocated(__libc_realloc(NULL, size), size, __builtin_return_address(0));
    struct thread_state *thread = current_thread;
    if (serves_object(thread, size))
        return __libc_realloc(old, size);
    record_release(EVENT_REALLOC_BEGIN, old);
    void *block = __libc_realloc(old, size);
    thread = recorder_enter();
    if (!thread)
        return block;
    if (block)
        recorder_allocate(thread, EVENT_REALLOC_END, block, size, stack_of_native_hook(thread, __builtin_return_address(0)));
    else if (size)
        recorder_free(thread, EVENT_REALLOC_FAILED, old);
    recorder_leave(thread);
    return block;
}

/* Stands in for the hook of dlsym. */
EXPORT void *dlopen(const char *file, int flags)
{
    void *(*below)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    void *handle = below(file, flags);
    struct thread_state *thread = recorder_enter();
    if (thread) {
        python_attach_find();
        recorder_leave(thread);
    }
    return handle;
}

/* ---- the collector ---- */

static void *drain_definitions(void *unused)
{
    exiting = 1; /* this thread records nothing */
    for (;;) {
        futex_wait(&recorder_session->collector_wake, atomic_load(&recorder_session->collector_wake), 1000000);
        lock_take(&probe_lock);
        take_definitions();
        lock_release(&probe_lock);
        atomic_fetch_add(&recorder_session->definition_futex, 1);
        futex_wake(&recorder_session->definition_futex, 1);
    }
    return unused;
}

/* ---- beginning and end ---- */

static void open_files(void)
{
    definitions_file = open_part(".definitions");
    events_file = open_part(".events");
}

static void after_fork_in_child(void)
{
    lock_reset(&probe_lock);
    definitions_after_fork();
    atomic_store(&recorder_session->definition_tail, atomic_load(&recorder_session->definition_head));
    event_count = 0;
    strncat(output, ".child", sizeof output - strlen(output) - 1);
    open_files();
}

static void before_fork(void)
{
    lock_take(&probe_lock);
    definitions_lock();
    take_definitions();
}

static void after_fork_in_parent(void)
{
    definitions_unlock();
    lock_release(&probe_lock);
}

__attribute__((constructor)) static void begin(void)
{
    const char *prefix = getenv("STACK_PROBE_OUTPUT"), *stacks = getenv("STACK_PROBE_STACKS"), *range = getenv("STACK_PROBE_SIZES");
    if (!prefix)
        return;
    snprintf(output, sizeof output, "%s", prefix);
    if (range)
        sscanf(range, "%lu-%lu", &lowest_size, &highest_size);
    open_files();
    pthread_key_create(&thread_key, thread_done);
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    recorder_session = mmap(NULL, SESSION_RINGS_OFFSET, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    recorder_session->pid = (uint32_t)getpid();
    int wants_oracle = stacks && !strcmp(stacks, "oracle");
    recorder_session->native_check_interval = wants_oracle ? ORACLE_INTERVAL : 0;
    if (stacks && (!strcmp(stacks, "native") || wants_oracle))
        recorder_session->flags |= SESSION_NATIVE;
    struct thread_state *thread = recorder_enter();
    native_check_start(dlopen, dlsym);
    if (recorder_session->flags & SESSION_NATIVE)
        native_fallback_start(dlopen, dlsym);
    python_attach_find();
    if (stacks && !strcmp(stacks, "off"))
        python_stack_capture = NULL;
    recorder_leave(thread);
    pthread_t collector;
    if (getenv("STACK_PROBE_THREAD"))
        pthread_create(&collector, NULL, drain_definitions, NULL);
}

static void write_facts(FILE *file)
{
    fprintf(file, "python_version %u\npython_flags %u\n", recorder_session->python_version, recorder_session->python_flags);
    fprintf(file, "lost_definitions %llu\n", (unsigned long long)atomic_load(&recorder_session->lost_definitions));
    fprintf(file, "unsafe_stacks %llu\n", (unsigned long long)atomic_load(&recorder_session->unsafe_stacks));
    fprintf(file, "own_bytes %zu\n", pages_mapped_bytes());
#ifdef HEAPLINE_STACK_SELF_CHECK
    fprintf(file, "checks %llu\n", (unsigned long long)atomic_load(&python_stack_checks));
    fprintf(file, "differences %llu\n", (unsigned long long)atomic_load(&python_stack_differences));
    fprintf(file, "native_checks %llu\n", (unsigned long long)atomic_load(&native_unwind_checks));
    fprintf(file, "native_differences %llu\n", (unsigned long long)atomic_load(&native_unwind_differences));
    fprintf(file, "oracle_checks %llu\n", (unsigned long long)atomic_load(&recorder_session->native_checks));
    fprintf(file, "oracle_differences %llu\n", (unsigned long long)atomic_load(&recorder_session->native_differences));
#endif
}

__attribute__((destructor)) static void end(void)
{
    struct thread_state *self = recorder_session ? recorder_enter() : NULL;
    if (!self)
        return;
    char path[SESSION_PATH_BYTES + 32];
    drain(self);
    for (struct probe_thread *thread = threads; thread; thread = thread->next)
        thread->state.busy = THREAD_INTERNAL;
    lock_take(&probe_lock); /* for good: the files are complete */
    flush_events();
    take_definitions();
    snprintf(path, sizeof path, "%s.facts", output);
    FILE *file = fopen(path, "w");
    if (file) {
        write_facts(file);
        fclose(file);
    }
}
