/* Starts the collector so that the target cannot notice: no SIGCHLD, nothing to wait for, no descriptor left over, out of the target's
 * session and process group. Raw clone, because libc's fork runs the target's atfork handlers. */
#include "session_start.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compiler.h"
#include "futex.h"

#define COLLECTOR_NAME "heapline-collector"
#define COLLECTOR_COMM "heapline-collec" /* as the kernel cuts it */
#define COLLECTOR_MEMFD 3
#define COLLECTOR_MEMORY 4
#define AWAIT_ROUND_NS 100000000ull
#define AWAIT_ROUNDS 100

/* Where the collector may be, relative to the folder that this library lies in: beside it (installed, wheel), in the build tree, in libexec. */
static const char *const places[] = {"/" COLLECTOR_NAME, "/../collector/" COLLECTOR_NAME, "/../../libexec/heapline/" COLLECTOR_NAME};

/* The folder with this library. Kept: dladdr takes a lock of the loader's, which may be held when we are asked again, or in a fork's child. */
static char own_folder[SESSION_PATH_BYTES];

static void find_own_folder(void)
{
    Dl_info here;
    if (*own_folder || !dladdr((const void *)(uintptr_t)&collector_spawn, &here) || !here.dli_fname)
        return;
    const char *slash = strrchr(here.dli_fname, '/');
    size_t bytes = slash ? (size_t)(slash - here.dli_fname) : 1;
    if (bytes < sizeof own_folder)
        memcpy(own_folder, slash ? here.dli_fname : ".", bytes);
}

static long raw_fork(unsigned long exit_signal)
{
    return syscall(SYS_clone, exit_signal, 0, 0, 0, 0);
}

static void exec_from(const char *path, const char *const *environment)
{
    const char *arguments[] = {COLLECTOR_NAME, NULL};
    syscall(SYS_execve, path, arguments, environment);
}

static void give_number(int file, int number)
{
    if (file == number)
        syscall(SYS_fcntl, file, F_SETFD, 0);
    else
        syscall(SYS_dup3, file, number, 0);
}

/* Ours is a table of descriptors of our own: whatever the target had open goes. Needs no number above the last one, unless it has to get one
 * out of the way. */
static void arrange_descriptors(int memfd, int memory)
{
    int first_left = memory < 0 ? COLLECTOR_MEMFD + 1 : COLLECTOR_MEMORY + 1;
    if (memory == COLLECTOR_MEMFD)
        memory = (int)syscall(SYS_fcntl, memory, F_DUPFD, COLLECTOR_MEMORY + 1);
    give_number(memfd, COLLECTOR_MEMFD);
    if (memory >= 0)
        give_number(memory, COLLECTOR_MEMORY);
    if (syscall(SYS_close_range, first_left, ~0u, 0) != 0)
        for (int number = first_left; number < 4096; number++)
            syscall(SYS_close, number);
    syscall(SYS_close, 0);
    int null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
    for (int number = 0; number < COLLECTOR_MEMFD; number++)
        if (number != null)
            syscall(SYS_dup3, null, number, 0);
}

/* The target's soft limits are meant for the target; too few files or too little memory, and the collector can't even be loaded. */
static void lift_limits(void)
{
    static const int limits[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NOFILE};
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        uint64_t limit[2]; /* soft and hard, as the kernel has them */
        if (syscall(SYS_prlimit64, 0, limits[i], NULL, limit) == 0) {
            limit[0] = limit[1];
            syscall(SYS_prlimit64, 0, limits[i], limit, NULL);
        }
    }
}

static _Noreturn void become_collector(int memfd, int memory, struct session_header *session, const char *const *environment, const char *override_path)
{
    char path[SESSION_PATH_BYTES + 64];
    size_t folder_bytes = strlen(own_folder);
    memcpy(path, own_folder, folder_bytes + 1);
    unsigned long no_signals[1] = {0};
    syscall(SYS_prctl, PR_SET_NAME, COLLECTOR_COMM, 0, 0, 0); /* whoever looks for collectors knows it from now on */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, no_signals, NULL, sizeof no_signals);
    lift_limits();
    arrange_descriptors(memfd, memory);
    atomic_store(&session->collector_pid, (uint32_t)syscall(SYS_getpid));
    if (override_path && *override_path)
        exec_from(override_path, environment);
    for (size_t i = 0; folder_bytes && i < ARRAY_LENGTH(places); i++) {
        strcpy(path + folder_bytes, places[i]);
        exec_from(path, environment);
    }
    atomic_store(&session->collector_state, COLLECTOR_GONE);
    syscall(SYS_exit_group, 127);
    __builtin_unreachable();
}

/* Do orphans come to it? It would see an orphaned collector in its wait calls. */
static int adopts_orphans(void)
{
    int is_subreaper = 0;
    syscall(SYS_prctl, PR_GET_CHILD_SUBREAPER, &is_subreaper, 0, 0, 0);
    return is_subreaper || syscall(SYS_getpid) == 1;
}

/* The collector's parent stays as long as the collector, with nothing of the target's but its memory as it was at the start. */
static _Noreturn void stay(long collector, struct session_header *session)
{
    uint64_t all_signals = ~0ull;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, NULL, sizeof all_signals);
    syscall(SYS_setsid);
    syscall(SYS_prctl, PR_SET_NAME, COLLECTOR_COMM, 0, 0, 0);
    if (syscall(SYS_close_range, 0, ~0u, 0) != 0)
        for (int number = 0; number < 4096; number++)
            syscall(SYS_close, number);
    if (collector < 0)
        atomic_store(&session->collector_state, COLLECTOR_GONE);
    while (collector > 0 && syscall(SYS_wait4, collector, NULL, __WALL, NULL) < 0 && errno == EINTR)
        ;
    syscall(SYS_exit_group, 0);
    __builtin_unreachable();
}

int collector_spawn(int memfd, int memory, struct session_header *session, const char *const *environment, const char *override_path)
{
    int adopts = adopts_orphans();
    find_own_folder();
    /* Exit signal 0: the intermediate process is invisible to the target's own wait calls, unless it executes something. Emulators (qemu-user)
     * know SIGCHLD only. */
    long intermediate = raw_fork(0);
    if (intermediate < 0 && errno == EINVAL)
        intermediate = raw_fork(SIGCHLD);
    if (intermediate < 0)
        return 0;
    if (intermediate == 0) {
        long collector = raw_fork(SIGCHLD);
        if (collector == 0)
            become_collector(memfd, memory, session, environment, override_path);
        if (adopts)
            stay(collector, session);
        syscall(SYS_exit_group, collector < 0);
    }
    if (adopts)
        return 1;
    int status = 0;
    while (syscall(SYS_wait4, intermediate, &status, __WALL, NULL) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Dead, but not waited for: where process 1 reaps no orphans (containers), a killed collector stays. */
static int is_zombie(uint32_t pid)
{
    char path[32] = "/proc/", text[64] = "", *end = path + 6;
    for (uint32_t unit = 1000000000; unit; unit /= 10)
        if (pid >= unit)
            *end++ = (char)('0' + pid / unit % 10);
    memcpy(end, "/stat", sizeof "/stat");
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    const char *state = strrchr(text, ')');
    return state && state[1] == ' ' && (state[2] == 'Z' || state[2] == 'X');
}

int collector_died(struct session_header *session)
{
    uint32_t pid = atomic_load_explicit(&session->collector_pid, memory_order_relaxed);
    if (atomic_load_explicit(&session->collector_state, memory_order_relaxed) == COLLECTOR_GONE)
        return 1;
    return pid && ((syscall(SYS_kill, pid, 0) < 0 && errno == ESRCH) || is_zombie(pid));
}

void collector_await(struct session_header *session)
{
    for (int round = 0; round < AWAIT_ROUNDS && atomic_load(&session->collector_state) == COLLECTOR_STARTING; round++) {
        futex_wait(&session->collector_state, COLLECTOR_STARTING, AWAIT_ROUND_NS);
        if (collector_died(session))
            break;
    }
}
