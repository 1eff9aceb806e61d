/* Starts the collector so that the target cannot notice: no SIGCHLD, nothing to wait for, no descriptor left over, out of the target's
 * session and process group. Raw clone, because libc's fork runs the target's atfork handlers. */
#include "session_start.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compiler.h"
#include "futex.h"

#define COLLECTOR_NAME "heapline-collector"
#define COLLECTOR_MEMFD 3
#define AWAIT_ROUND_NS 100000000ull
#define AWAIT_ROUNDS 100

/* Where the collector may be, relative to the folder that this library lies in: beside it (installed, wheel), in the build tree, in libexec. */
static const char *const places[] = {"/" COLLECTOR_NAME, "/../collector/" COLLECTOR_NAME, "/../../libexec/heapline/" COLLECTOR_NAME};

static size_t own_folder(char *folder, size_t capacity)
{
    Dl_info here;
    if (!dladdr((const void *)(uintptr_t)&collector_spawn, &here) || !here.dli_fname)
        return 0;
    const char *slash = strrchr(here.dli_fname, '/');
    size_t bytes = slash ? (size_t)(slash - here.dli_fname) : 1;
    if (bytes >= capacity)
        return 0;
    memcpy(folder, slash ? here.dli_fname : ".", bytes);
    folder[bytes] = 0;
    return bytes;
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

/* Ours is a table of descriptors of our own: whatever the target had open goes. Needs no number above the memfd's new one. */
static void arrange_descriptors(int memfd)
{
    if (memfd == COLLECTOR_MEMFD)
        syscall(SYS_fcntl, memfd, F_SETFD, 0);
    else
        syscall(SYS_dup3, memfd, COLLECTOR_MEMFD, 0);
    if (syscall(SYS_close_range, COLLECTOR_MEMFD + 1, ~0u, 0) != 0)
        for (int number = COLLECTOR_MEMFD + 1; number < 4096; number++)
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

static _Noreturn void become_collector(int memfd, struct session_header *session, const char *const *environment, const char *override_path)
{
    char path[SESSION_PATH_BYTES + 64];
    size_t folder_bytes = own_folder(path, SESSION_PATH_BYTES);
    unsigned long no_signals[1] = {0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, no_signals, NULL, sizeof no_signals);
    arrange_descriptors(memfd);
    lift_limits();
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

int collector_spawn(int memfd, struct session_header *session, const char *const *environment, const char *override_path)
{
    /* Exit signal 0: the intermediate process is invisible to the target's own wait calls. Emulators (qemu-user) know SIGCHLD only. */
    long intermediate = raw_fork(0);
    if (intermediate < 0 && errno == EINVAL)
        intermediate = raw_fork(SIGCHLD);
    if (intermediate < 0)
        return 0;
    if (intermediate == 0) {
        long collector = raw_fork(SIGCHLD);
        if (collector == 0)
            become_collector(memfd, session, environment, override_path);
        syscall(SYS_exit_group, collector < 0);
    }
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
