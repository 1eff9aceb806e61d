/* See process_hooks.h.
 *
 * fork: the parent's collector clones itself for the child (docs/architecture.md, "Fork"). Before the fork the parent raises fork_freeze, so
 * that the collector takes no event which the child does not share; after it the child, where every thread's private cursor is as it was
 * at that instant, sends them to the collector with the memory of its own new session.
 * exec: the old image's session ends when its memory is gone; the hooks only tell the collector to look for that, and note what can't be
 * recorded.
 * exit: the status is left in the session, for kernels that don't tell a dead process's status. */
#include "process_hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "collector_loss.h"
#include "definitions.h"
#include "dormant.h"
#include "exec_check.h"
#include "native_fallback.h"
#include "futex.h"
#include "hook.h"
#include "late_redirect.h"
#include "pages.h"
#include "ring.h"
#include "sampling.h"
#include "session_start.h"
#include "signals.h"
#include "thread_registry.h"

#define SEND_LIMIT_S 5
#define LAST_DRAIN_ROUND_NS 100000000ull
#define LAST_DRAIN_ROUNDS 50

/* ---- fork ---- */

/* What the fork began with, kept for the child: in the shared memory it may have moved on by then. Guarded by the registry's lock. */
static struct {
    uint64_t signals; /* the mask that the thread had */
    uintptr_t busy;
    int followed, outside_hook, definitions_locked, table_locked;
    uint32_t sequence;
    uint64_t definition_head;
} fork_state;

static void wake_collector(struct session_header *session)
{
    atomic_fetch_add(&session->collector_wake, 1);
    futex_wake(&session->collector_wake, 1);
}

static int forks_are_followed(void)
{
    return recorder_session && recorder_session->flags & SESSION_FOLLOW && atomic_load(&recorder_session->collector_state) != COLLECTOR_GONE &&
           !atomic_load(&recorder_session->detached);
}

static void before_fork(void)
{
    /* A handler that forks as well, between here and the fork's end, would wait for our locks for ever. */
    uint64_t signals = signals_block();
    if (current_thread->busy == THREAD_FOLLOWING)
        current_thread->busy = THREAD_READY; /* it will follow by itself */
    uintptr_t busy = current_thread->busy;
    if (busy == THREAD_READY)
        current_thread->busy = THREAD_INTERNAL;
    /* Otherwise a signal handler forks that has interrupted one of our hooks: the child will go on in it, with pointers into our session. */
    int outside_hook = busy == THREAD_READY || !thread_is_registered(current_thread);
    if (outside_hook)
        native_fallback_lock(); /* who holds it may ask for those */
    thread_registry_lock();
    int is_locked = definitions_lock();
    fork_state.signals = signals;
    fork_state.definitions_locked = is_locked;
    fork_state.busy = busy;
    fork_state.outside_hook = outside_hook;
    fork_state.table_locked = outside_hook && sampling_lock();
    fork_state.followed = forks_are_followed() && outside_hook && is_locked;
    if (!fork_state.followed)
        return;
    fork_state.definition_head = atomic_load(&recorder_session->definition_head);
    fork_state.sequence = atomic_fetch_add(&recorder_session->fork_sequence, 1) + 1;
    atomic_fetch_add(&recorder_session->fork_freeze, 1);
}

static void after_fork_in_parent(void)
{
    uintptr_t busy = fork_state.busy;
    uint64_t signals = fork_state.signals;
    int outside_hook = fork_state.outside_hook;
    if (fork_state.table_locked)
        sampling_unlock();
    if (fork_state.definitions_locked)
        definitions_unlock();
    thread_registry_unlock();
    if (outside_hook)
        native_fallback_unlock();
    if (busy == THREAD_READY)
        current_thread->busy = THREAD_READY;
    signals_restore(signals);
}

struct fork_letter {
    struct session_fork_message message;
    uint64_t cursors[SESSION_MAX_THREADS];
};

static size_t write_letter(struct fork_letter *letter, struct session_header *parent)
{
    letter->message = (struct session_fork_message){
        .sequence = fork_state.sequence,
        .child_pid = (uint32_t)syscall(SYS_getpid),
        .definition_head = fork_state.definition_head,
        .secret = parent->fork_secret,
    };
    for (struct thread_state *state = thread_registry_first(); state; state = state->next)
        if (state->shared) {
            letter->cursors[state->slot] = state->cursor;
            if (state->slot >= letter->message.thread_count)
                letter->message.thread_count = state->slot + 1;
        }
    return offsetof(struct fork_letter, cursors) + letter->message.thread_count * sizeof(uint64_t);
}

/* files: the session's memory, and the process's or -1. */
static int send_letter(const struct fork_letter *letter, size_t letter_bytes, const char *address, const int files[2])
{
    size_t files_bytes = (files[1] >= 0 ? 2 : 1) * sizeof(int);
    int connection = (int)syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return 0;
    /* A collector that is stopped must not stop the child. */
    struct timeval limit = {.tv_sec = SEND_LIMIT_S};
    syscall(SYS_setsockopt, connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t address_bytes = strnlen(address, sizeof to.sun_path - 1);
    memcpy(to.sun_path + 1, address, address_bytes);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(files_bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), files, files_bytes);
    struct iovec text = {(void *)letter, letter_bytes};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(files_bytes)};
    int sent = address_bytes &&
               syscall(SYS_connect, connection, &to, offsetof(struct sockaddr_un, sun_path) + 1 + address_bytes) == 0 &&
               syscall(SYS_sendmsg, connection, &message, MSG_NOSIGNAL) == (long)letter_bytes;
    syscall(SYS_close, connection);
    return sent;
}

static int pass_on(struct session_header *parent, const int files[2])
{
    struct fork_letter *letter = pages_map(sizeof *letter);
    if (!letter)
        return 0;
    collector_await(parent);
    size_t bytes = write_letter(letter, parent);
    int sent = send_letter(letter, bytes, parent->fork_socket, files);
    pages_unmap(letter, sizeof *letter);
    wake_collector(parent);
    return sent;
}

/* What was shared becomes the child's own: whoever was interrupted by the handler that forked may still write into it. */
static int make_private(struct session_header *session, uint64_t bytes)
{
    return syscall(SYS_mmap, session, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != -1;
}

/* The child records into a session of its own from now on. 0: it can't have one. */
static int begin_forked_session(void)
{
    struct session_header *parent = recorder_session;
    int files[2] = {-1, -1};
    struct session_header *child = session_start_forked(parent, &files[0]);
    if (child)
        files[1] = dormant_after_fork(child);
    int passed = child && pass_on(parent, files);
    for (int i = 0; i < 2; i++)
        if (files[i] >= 0)
            syscall(SYS_close, files[i]);
    if (child && !passed)
        syscall(SYS_munmap, child, child->total_bytes);
    if (!passed)
        return 0;
    recorder_session = child;
    recorder_mark_process();
    syscall(SYS_munmap, (char *)parent + SESSION_DEFINITIONS_OFFSET, parent->total_bytes - SESSION_DEFINITIONS_OFFSET);
    make_private(parent, SESSION_DEFINITIONS_OFFSET); /* a copy hook counts in its thread's slot without raising its flag */
    return 1;
}

/* The child records nothing: the mark has been wiped. All that an interrupted hook holds pointers to stays where it is. */
static void abandon_session(void)
{
    uint64_t bytes = recorder_session->total_bytes;
    if (!make_private(recorder_session, bytes))
        return;
    recorder_session->total_bytes = bytes;
    atomic_store(&recorder_session->order, ORDER_WORD(1, ORDER_PAUSED));
    atomic_store(&recorder_session->collector_state, COLLECTOR_GONE);
}

static void after_fork_in_child(void)
{
    int saved_errno = errno;
    ring_after_fork();
    python_attach_after_fork();
    late_redirect_after_fork();
    if (fork_state.table_locked)
        sampling_after_fork();
    if (fork_state.outside_hook)
        native_fallback_unlock();
    if (fork_state.followed && begin_forked_session()) {
        definitions_after_fork();
        thread_registry_after_fork();
        if (fork_state.busy == THREAD_READY)
            current_thread->busy = THREAD_READY;
    } else {
        if (recorder_session)
            abandon_session();
        if (fork_state.definitions_locked)
            definitions_unlock();
        thread_registry_unlock();
    }
    signals_restore(fork_state.signals);
    errno = saved_errno;
}

pid_t fork(void);
EXPORT pid_t fork(void)
{
    if (!real_available())
        return (errno = EAGAIN, -1);
    /* So that the flag of a hook that was jumped out of is not taken for a hook's that goes on in the child. */
    struct thread_state *thread = recorder_enter();
    if (thread)
        recorder_leave(thread);
    pid_t child = real.fork();
    /* The handlers of libc can't tell a failed fork. */
    if (child < 0 && fork_state.followed)
        atomic_fetch_sub(&recorder_session->fork_freeze, 1);
    return child;
}

/* ---- exec ---- */

/* Not for a vfork child, which borrows our memory. */
static int own_process(void)
{
    return recorder_session && (uint32_t)syscall(SYS_getpid) == recorder_session->pid;
}

/* The constructor has not waited for the collector. */
static void await_late_start(void)
{
    if (recorder_session->flags & SESSION_LATER)
        collector_await(recorder_session);
}

static int announce_exec(void)
{
    if (!own_process())
        return 0;
    await_late_start(); /* its trace has its name before the next image's asks for one */
    collector_loss_at_end();
    atomic_store(&recorder_session->exit_kind, EXIT_EXEC);
    wake_collector(recorder_session);
    return 1;
}

/* Before an exec, and after one that failed. */
struct exec_attempt {
    int announced;
    struct session_unrecorded *note;
};

static struct exec_attempt exec_begins(const struct exec_request *request)
{
    struct session_unrecorded *note = exec_check_begin(request);
    return (struct exec_attempt){announce_exec(), note};
}

static int exec_failed(const struct exec_attempt *attempt)
{
    exec_check_failed(attempt->note);
    if (attempt->announced)
        atomic_store(&recorder_session->exit_kind, EXIT_NONE);
    return -1;
}

EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    if (!real_available())
        return (errno = ENOSYS, -1);
    struct exec_attempt attempt = exec_begins(&(struct exec_request){path, AT_FDCWD, 0, environment});
    real.execve(path, arguments, environment);
    return exec_failed(&attempt);
}

EXPORT int execv(const char *path, char *const arguments[])
{
    return execve(path, arguments, environ);
}

EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[])
{
    if (!real_available())
        return (errno = ENOSYS, -1);
    struct exec_attempt attempt = exec_begins(&(struct exec_request){file, AT_FDCWD, 1, environment});
    real.execvpe(file, arguments, environment);
    return exec_failed(&attempt);
}

EXPORT int execvp(const char *file, char *const arguments[])
{
    return execvpe(file, arguments, environ);
}

EXPORT int fexecve(int file, char *const arguments[], char *const environment[])
{
    if (!real_available())
        return (errno = ENOSYS, -1);
    struct exec_attempt attempt = exec_begins(&(struct exec_request){"", file, 0, environment});
    real.fexecve(file, arguments, environment);
    return exec_failed(&attempt);
}

EXPORT int execveat(int folder, const char *path, char *const arguments[], char *const environment[], int flags)
{
    if (!real_available())
        return (errno = ENOSYS, -1);
    struct exec_attempt attempt = exec_begins(&(struct exec_request){path, folder, 0, environment});
    real.execveat(folder, path, arguments, environment, flags);
    return exec_failed(&attempt);
}

/* execl and its kin: collect the arguments, which end with a NULL, into an array on the stack. */
#define COLLECT_ARGUMENTS(first, rest, arguments)                    \
    size_t count = 1;                                                \
    va_start(rest, first);                                           \
    while (va_arg(rest, char *))                                     \
        count++;                                                     \
    va_end(rest);                                                    \
    char *arguments[count + 1];                                      \
    arguments[0] = (char *)first;                                    \
    va_start(rest, first);                                           \
    for (size_t i = 1; i <= count; i++)                              \
        arguments[i] = va_arg(rest, char *)

EXPORT int execl(const char *path, const char *first, ...)
{
    va_list rest;
    COLLECT_ARGUMENTS(first, rest, arguments);
    va_end(rest);
    return execve(path, arguments, environ);
}

EXPORT int execlp(const char *file, const char *first, ...)
{
    va_list rest;
    COLLECT_ARGUMENTS(first, rest, arguments);
    va_end(rest);
    return execvpe(file, arguments, environ);
}

EXPORT int execle(const char *path, const char *first, ...)
{
    va_list rest;
    COLLECT_ARGUMENTS(first, rest, arguments);
    char *const *environment = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, arguments, environment);
}

/* libc makes and executes the child past our hooks. */
static int spawn(int search, pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                 char *const arguments[], char *const environment[])
{
    if (!real_available())
        return ENOSYS;
    struct session_unrecorded *note = exec_check_begin(&(struct exec_request){path, AT_FDCWD, search, environment});
    pid_t child = 0;
    int error = (search ? real.posix_spawnp : real.posix_spawn)(&child, path, actions, attributes, arguments, environment);
    if (error)
        exec_check_failed(note);
    else
        exec_check_spawned(note, child);
    if (!error && ret_pid)
        *ret_pid = child;
    return error;
}

EXPORT int posix_spawn(pid_t *restrict ret_pid, const char *restrict path, const posix_spawn_file_actions_t *restrict actions,
                       const posix_spawnattr_t *restrict attributes, char *const arguments[restrict], char *const environment[restrict])
{
    return spawn(0, ret_pid, path, actions, attributes, arguments, environment);
}

EXPORT int posix_spawnp(pid_t *restrict ret_pid, const char *restrict file, const posix_spawn_file_actions_t *restrict actions,
                        const posix_spawnattr_t *restrict attributes, char *const arguments[restrict], char *const environment[restrict])
{
    return spawn(1, ret_pid, file, actions, attributes, arguments, environment);
}

/* ---- exit ---- */

/* VmHWM of /proc/self/status; 0: can't be had. */
static uint64_t peak_rss_bytes(void)
{
    static const char name[] = "VmHWM:";
    char text[2048];
    int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
    long bytes = file >= 0 ? syscall(SYS_read, file, text, sizeof text - 1) : 0;
    if (file >= 0)
        syscall(SYS_close, file);
    text[bytes > 0 ? bytes : 0] = 0;
    const char *at = strstr(text, name);
    uint64_t kib = 0;
    for (at = at ? at + sizeof name - 1 : ""; *at == ' ' || *at == '\t' || (*at >= '0' && *at <= '9'); at++)
        if (*at >= '0')
            kib = kib * 10 + (uint64_t)(*at - '0');
    return kib * 1024;
}

/* The first process of a PID namespace takes all others with it when it ends (pid_namespaces(7)): the collector finishes before. */
static void await_last_drain(void)
{
    wake_collector(recorder_session);
    for (int round = 0; round < LAST_DRAIN_ROUNDS && !collector_died(recorder_session); round++)
        futex_wait(&recorder_session->collector_state, COLLECTOR_RUNNING, LAST_DRAIN_ROUND_NS);
}

static void announce_exit(int status)
{
    if (!own_process())
        return;
    int saved_errno = errno;
    await_late_start(); /* many short processes must not leave more collectors behind than the system can start */
    atomic_store(&recorder_session->peak_rss_bytes, peak_rss_bytes());
    errno = saved_errno;
    atomic_store(&recorder_session->exit_status, status & 0xff);
    atomic_store(&recorder_session->exit_kind, EXIT_CALLED);
    collector_loss_at_end();
    if (recorder_session->pid == 1)
        await_last_drain();
}

static void at_exit(int status, void *context)
{
    announce_exit(status);
}

EXPORT void _exit(int status)
{
    announce_exit(status);
    if (real_available() && real._exit)
        real._exit(status);
    syscall(SYS_exit_group, status);
    __builtin_unreachable();
}

EXPORT void _Exit(int status)
{
    _exit(status);
}

EXPORT void quick_exit(int status)
{
    announce_exit(status);
    if (real_available())
        real.quick_exit(status);
    __builtin_unreachable();
}

void process_hooks_init(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    on_exit(at_exit, NULL);
}
