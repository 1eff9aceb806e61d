/* See session_start.h. */
#include "session_start.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "dormant.h"
#include "environment.h"
#include "pages.h"

#define MAX_ENVIRONMENT_ENTRIES 4096

/* ftruncate beyond RLIMIT_FSIZE would kill the target with SIGXFSZ. */
static int file_size_allowed(uint64_t bytes)
{
    struct rlimit limit;
    return syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes);
}

int session_memory_create(uint64_t bytes)
{
    if (!file_size_allowed(bytes))
        return -1;
    int memfd = (int)syscall(SYS_memfd_create, SESSION_MEMFD_NAME, 1 /* MFD_CLOEXEC */);
    if (memfd >= 0 && syscall(SYS_ftruncate, memfd, bytes) != 0) {
        syscall(SYS_close, memfd);
        memfd = -1;
    }
    return memfd;
}

static struct session_header *map_session(int *ret_memfd)
{
    int memfd = session_memory_create(SESSION_TOTAL_BYTES);
    if (memfd < 0)
        return NULL;
    long address = syscall(SYS_mmap, NULL, SESSION_TOTAL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memfd, 0);
    if (address == -1) {
        syscall(SYS_close, memfd);
        return NULL;
    }
    *ret_memfd = memfd;
    return (struct session_header *)address;
}

static uint32_t read_file(const char *path, char *to, size_t capacity)
{
    long got = -1;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file >= 0) {
        got = syscall(SYS_read, file, to, capacity);
        syscall(SYS_close, file);
    }
    return got > 0 ? (uint32_t)got : 0;
}

static void describe_program(struct session_header *session)
{
    session->arguments_bytes = read_file("/proc/self/cmdline", session->arguments, sizeof session->arguments - 1);
    syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", session->executable, sizeof session->executable - 1);
}

static void describe_process(struct session_header *session, int recording)
{
    session->magic = SESSION_MAGIC;
    session->version = SESSION_VERSION;
    session->total_bytes = SESSION_TOTAL_BYTES;
    session->pid = (uint32_t)syscall(SYS_getpid);
    session->parent_pid = (uint32_t)syscall(SYS_getppid);
    session->start_ticks = clock_ticks();
    session->start_monotonic_ns = clock_ns(CLOCK_MONOTONIC);
    session->start_realtime_ns = clock_ns(CLOCK_REALTIME);
    atomic_store_explicit(&session->recording, recording, memory_order_relaxed);
    atomic_store_explicit(&session->order, ORDER_WORD(1, recording ? 0 : ORDER_PAUSED), memory_order_relaxed);
}

static void copy_text(char *to, size_t capacity, const char *from)
{
    size_t bytes = from ? strnlen(from, capacity - 1) : 0;
    memcpy(to, from ? from : "", bytes);
    to[bytes] = 0;
}

static uint64_t parse_hex(const char *text)
{
    uint64_t value = 0;
    for (; text && *text; text++) {
        int digit = *text >= '0' && *text <= '9' ? *text - '0' : (*text | 0x20) - 'a' + 10;
        if (digit < 0 || digit > 15)
            return 0;
        value = value << 4 | (uint64_t)digit;
    }
    return value;
}

static uint64_t random_number(void)
{
    uint64_t number = 0;
    if (syscall(SYS_getrandom, &number, sizeof number, 0) != sizeof number || !number)
        number = clock_ticks() ^ clock_ns(CLOCK_REALTIME) ^ (uint64_t)syscall(SYS_getpid) << 32;
    return number;
}

static void describe_wishes(struct session_header *session, const char *text, const char *output_path)
{
    struct capture_options options;
    capture_options_parse(text, &options);
    copy_text(session->options, sizeof session->options, text);
    copy_text(session->output_path, sizeof session->output_path, output_path);
    session->flags = options.flags;
    session->sampling_interval_bytes = options.sampling_interval_bytes;
    atomic_store_explicit(&session->sampling_wanted_bytes, options.sampling_interval_bytes, memory_order_relaxed);
    session->sampling_seed = options.sampling_seed ? options.sampling_seed : random_number();
    session->copy_threshold_bytes = options.sampling_interval_bytes ? 0 : options.copy_threshold_bytes; /* small ones are sampled, too */
    session->max_trace_bytes = options.max_trace_bytes;
    session->rotate_bytes = options.rotate_bytes;
    session->rotate_ns = options.rotate_ns;
    session->native_check_interval = options.native_check_interval;
}

/* Has another process of this run begun the trace at the run's path? Its header is there as soon as the file is (docs/trace_format.md, "File"). */
static int run_has_begun(const struct session_header *session)
{
    struct {
        char magic[8];
        uint32_t version, header_bytes;
        uint64_t session_id, start_ns[2], sampling, threshold;
        uint32_t pid, parent_pid;
    } header = {.pid = 0};
    return session->output_path[0] && read_file(session->output_path, (char *)&header, sizeof header) == sizeof header &&
           header.session_id == session->session_id && header.pid != session->pid;
}

static void describe_run(struct session_header *session, const struct environment *environment, const struct attach_settings *settings)
{
    describe_wishes(session, settings ? settings->options : environment_get(environment, "HEAPLINE_OPTIONS"),
                    settings ? settings->output_path : environment_get(environment, "HEAPLINE_OUTPUT"));
    if (settings)
        session->flags |= SESSION_ATTACHED;
    session->session_id = settings ? settings->session_id : parse_hex(environment_get(environment, "HEAPLINE_SESSION"));
    if (!session->session_id)
        session->session_id = random_number();
}

/* The collector's environment: the target's, without what would make it record itself or tune its allocator. */
static size_t collector_environment(const struct environment *environment, const char **entries, size_t capacity)
{
    static const char *const left_out[] = {"LD_PRELOAD=", "LD_AUDIT=", "MALLOC_CONF=", "_RJEM_MALLOC_CONF="};
    size_t count = 0;
    for (size_t at = 0; at < environment->bytes && count < capacity - 1; at += strlen(environment->text + at) + 1) {
        const char *entry = environment->text + at;
        int keep = 1;
        for (size_t i = 0; i < ARRAY_LENGTH(left_out); i++)
            keep &= strncmp(entry, left_out[i], strlen(left_out[i])) != 0;
        if (keep)
            entries[count++] = entry;
    }
    entries[count] = NULL;
    return count;
}

static int start_collector(int memfd, struct session_header *session, const struct environment *environment,
                           const struct attach_settings *settings)
{
    size_t table_bytes = MAX_ENVIRONMENT_ENTRIES * sizeof(char *);
    const char **entries = pages_map(table_bytes);
    if (!entries)
        return 0;
    collector_environment(environment, entries, MAX_ENVIRONMENT_ENTRIES);
    int memory = settings ? -1 : dormant_open_memory(session);
    int started = collector_spawn(memfd, memory, session, entries,
                                  settings ? settings->collector_path : environment_get(environment, "HEAPLINE_COLLECTOR"));
    if (memory >= 0)
        syscall(SYS_close, memory);
    pages_unmap(entries, table_bytes);
    return started;
}

int collector_start_again(int memfd, struct session_header *session)
{
    struct environment environment;
    int started = environment_read(&environment) && start_collector(memfd, session, &environment, NULL);
    environment_done(&environment);
    return started;
}

struct session_header *session_start(const struct attach_settings *settings)
{
    struct environment environment;
    int memfd = -1;
    struct session_header *session = environment_read(&environment) ? map_session(&memfd) : NULL;
    if (session) {
        describe_run(session, &environment, settings);
        describe_program(session);
        describe_process(session, !(session->flags & SESSION_PAUSED));
        if (run_has_begun(session))
            session->flags |= SESSION_LATER;
        int started = start_collector(memfd, session, &environment, settings);
        syscall(SYS_close, memfd);
        if (!started) {
            syscall(SYS_munmap, session, SESSION_TOTAL_BYTES);
            session = NULL;
        }
    }
    environment_done(&environment);
    return session;
}

struct session_header *session_start_forked(const struct session_header *parent, int *ret_memfd)
{
    struct session_header *session = map_session(ret_memfd);
    if (!session)
        return NULL;
    session->flags = (parent->flags & ~SESSION_LATER) | SESSION_FORKED;
    session->session_id = parent->session_id;
    session->sampling_interval_bytes = parent->sampling_interval_bytes;
    atomic_store_explicit(&session->sampling_wanted_bytes, atomic_load(&parent->sampling_wanted_bytes), memory_order_relaxed);
    session->sampling_seed = random_number();
    session->copy_threshold_bytes = parent->copy_threshold_bytes;
    session->max_trace_bytes = parent->max_trace_bytes;
    session->rotate_bytes = parent->rotate_bytes;
    session->rotate_ns = parent->rotate_ns;
    session->native_check_interval = parent->native_check_interval;
    session->slots_address = parent->slots_address;
    session->python_version = parent->python_version;
    session->python_flags = parent->python_flags;
    session->warnings = parent->warnings;
    session->arena_object_bytes = parent->arena_object_bytes;
    memcpy(session->output_path, parent->output_path, sizeof session->output_path);
    memcpy(session->options, parent->options, sizeof session->options);
    memcpy(session->executable, parent->executable, sizeof session->executable);
    memcpy(session->arguments, parent->arguments, sizeof session->arguments);
    session->arguments_bytes = parent->arguments_bytes;
    describe_process(session, atomic_load(&parent->recording) != 0);
    return session;
}
