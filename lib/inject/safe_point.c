/* See safe_point.h. */
#include "safe_point.h"

#include <dirent.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 4096
#define MAX_FRAMES 4096
#define SEARCH_LIMIT_MS 5000
#define FIRST_PAUSE_MS 2
#define LONGEST_PAUSE_MS 50
#define TRIES_A_ROUND 16

/* ---- which threads ---- */

/* Calls that the C library makes for its callers only, never under a lock of malloc's, the loader's or its list of threads. */
static int is_plain_wait(long number)
{
    static const int calls[] = {
#if defined(SYS_poll) /* newer architectures have the general forms only */
                                SYS_poll, SYS_select, SYS_pause, SYS_epoll_wait,
#endif
                                SYS_read, SYS_pread64, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_ppoll, SYS_pselect6,
                                SYS_nanosleep, SYS_clock_nanosleep, SYS_accept, SYS_accept4, SYS_wait4, SYS_waitid,
                                SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_epoll_pwait, 441 /* epoll_pwait2 */, SYS_write, SYS_writev, SYS_sendto, SYS_sendmsg, SYS_msgrcv, SYS_semop, SYS_semtimedop, SYS_flock};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (number == calls[i])
            return 1;
    return 0;
}

struct candidate {
    pid_t tid;
    int rank; /* lower is better */
};

/* It reports EINTR when it is interrupted: rather another thread. */
static int is_sensitive(long number)
{
#if defined(SYS_epoll_wait)
    if (number == SYS_epoll_wait)
        return 1;
#endif
    return number == SYS_epoll_pwait || number == 441;
}

/* What the thread is doing now, without stopping it: the fewer are stopped, the fewer calls are begun anew. */
static int rank_of(pid_t pid, pid_t tid)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    if (file >= 0)
        close(file);
    char *end;
    long number = strtol(text, &end, 10);
    if (bytes <= 0 || end == text)
        return 3; /* running, or it can't be told */
    if (is_sensitive(number))
        return 1;
    return is_plain_wait(number) ? 0 : number == SYS_futex || number == SYS_restart_syscall ? 2 : 4;
}

static int by_rank(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return a->rank != b->rank ? a->rank - b->rank : (a->tid > b->tid) - (a->tid < b->tid);
}

static size_t list_threads(pid_t pid, struct candidate *candidates)
{
    char path[32];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && count < MAX_THREADS && (entry = readdir(folder))) {
        pid_t tid = (pid_t)atoi(entry->d_name);
        if (tid > 0)
            candidates[count++] = (struct candidate){tid, rank_of(pid, tid)};
    }
    if (folder)
        closedir(folder);
    qsort(candidates, count, sizeof *candidates, by_rank);
    return count;
}

/* ---- its stack ---- */

struct walked_frame {
    uint64_t address;
    int is_interrupted; /* by a signal or by us: the address is that of the next instruction, not behind a call */
};

struct walked_stack {
    struct walked_frame frames[MAX_FRAMES];
    size_t count;
    int is_whole;
};

static int take_frame(Dwfl_Frame *frame, void *context)
{
    struct walked_stack *stack = context;
    Dwarf_Addr address;
    bool is_activation;
    if (!dwfl_frame_pc(frame, &address, &is_activation) || stack->count == MAX_FRAMES)
        return DWARF_CB_ABORT;
    stack->frames[stack->count++] = (struct walked_frame){is_activation ? address : address - 1, is_activation};
    return DWARF_CB_OK;
}

static void walk(Dwfl *dwfl, pid_t tid, struct walked_stack *stack)
{
    stack->count = 0;
    stack->is_whole = dwfl_getthread_frames(dwfl, tid, take_frame, stack) == 0;
}

/* No search for separate files of debug information: unwinding wants none. */
static int no_debug_information(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file, const char *link,
                                GElf_Word checksum, char **ret_path)
{
    return -1;
}

static Dwfl *open_unwinder(pid_t pid)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf, .find_debuginfo = no_debug_information};
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (dwfl && (dwfl_linux_proc_report(dwfl, pid) != 0 || dwfl_report_end(dwfl, NULL, NULL) != 0 ||
                 dwfl_linux_proc_attach(dwfl, pid, true) != 0)) {
        dwfl_end(dwfl);
        return NULL;
    }
    return dwfl;
}

/* ---- judgement ---- */

/* Functions of the C library that wait, on a futex or with a limit that the kernel keeps, for their caller, and hold nothing of the library's
 * meanwhile. */
static int waits_for_caller(const char *name)
{
    static const char *const functions[] = {"nanosleep", "clock_nanosleep", "usleep", "sleep", "thrd_sleep", "poll", "__poll_chk",
                                            "pthread_cond_wait", "pthread_cond_timedwait", "pthread_cond_clockwait", "pthread_join",
                                            "pthread_timedjoin_np", "pthread_clockjoin_np", "sem_wait", "sem_timedwait", "sem_clockwait",
                                            "pthread_mutex_lock", "pthread_mutex_timedlock", "pthread_mutex_clocklock", "pthread_rwlock_rdlock",
                                            "pthread_rwlock_wrlock", "pthread_barrier_wait", "syscall"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(name, functions[i]))
            return 1;
    return 0;
}

enum place { PLACE_PROGRAM, PLACE_LIBC, PLACE_FORBIDDEN };

struct judge {
    const struct safe_point_request *request;
    Dwfl *dwfl;
    uint64_t known[64]; /* starts of modules that export no malloc; with the lowest bit: one */
    size_t known_count;
};

/* A library that brings its own malloc has locks like libc's. */
static int provides_malloc(struct judge *judge, const struct mapped_file *file)
{
    struct remote_symbols symbols;
    for (size_t i = 0; i < judge->known_count; i++)
        if ((judge->known[i] & ~1ull) == file->start)
            return (int)(judge->known[i] & 1);
    int provides = 0;
    if (remote_symbols_read(judge->request->memory_file, file->start, &symbols) == 0) {
        provides = remote_symbols_find(&symbols, "malloc") != 0;
        remote_symbols_done(&symbols);
    }
    if (judge->known_count < sizeof judge->known / sizeof *judge->known)
        judge->known[judge->known_count++] = file->start | (uint64_t)provides;
    return provides;
}

static enum place place_of(struct judge *judge, uint64_t address)
{
    const struct mapped_file *file = process_maps_at(judge->request->maps, address);
    if (!file)
        return PLACE_PROGRAM; /* code made at run time */
    if (file == judge->request->libc || strstr(file->path, "/libpthread"))
        return PLACE_LIBC;
    if (mapped_file_is_loader(file) || strstr(file->path, "/libheapline.so") || provides_malloc(judge, file))
        return PLACE_FORBIDDEN;
    return PLACE_PROGRAM;
}

/* The call of the C library that the program has made last, and that it is in, is one that waits for it. */
static int innermost_call_waits(struct judge *judge, const struct walked_stack *stack)
{
    size_t i = 0;
    while (i < stack->count && place_of(judge, stack->frames[i].address) == PLACE_LIBC)
        i++;
    if (i == 0 || i == stack->count)
        return 0;
    const char *name = remote_symbols_name(judge->request->libc_symbols, stack->frames[i - 1].address, waits_for_caller);
    return name && waits_for_caller(name);
}

/* Nothing on the stack, from this frame outward, is inside the loader or an allocator, or was interrupted inside libc. */
static int rest_is_harmless(struct judge *judge, const struct walked_stack *stack)
{
    for (size_t i = 0; i < stack->count; i++) {
        enum place place = place_of(judge, stack->frames[i].address);
        if (place == PLACE_FORBIDDEN || (i > 0 && stack->frames[i].is_interrupted && place == PLACE_LIBC))
            return 0;
    }
    return 1;
}

static int is_safe(struct judge *judge, struct tracee *tracee, pid_t tid)
{
    static struct walked_stack stack;
    long number = tracee_syscall(tracee);
    walk(judge->dwfl, tid, &stack);
    if (stack.count == 0 || !rest_is_harmless(judge, &stack))
        return 0;
    if (number >= 0 && is_plain_wait(number))
        return 1;
    if (!stack.is_whole)
        return 0;
    if (number == SYS_futex || number == SYS_restart_syscall)
        return innermost_call_waits(judge, &stack);
    return number < 0 && place_of(judge, stack.frames[0].address) == PLACE_PROGRAM &&
           !tracee_in_sequence(tracee, judge->request->memory_file);
}

/* ---- the search ---- */

static int try_threads(struct judge *judge, struct tracee **ret_tracee)
{
    static struct candidate candidates[MAX_THREADS];
    size_t count = list_threads(judge->request->pid, candidates);
    int result = count ? TRACEE_BUSY : TRACEE_GONE;
    for (size_t i = 0; i < count && i < TRIES_A_ROUND && candidates[i].rank < 4; i++) {
        struct tracee *tracee;
        int stopped = tracee_stop(judge->request->pid, candidates[i].tid, &tracee);
        if (stopped == TRACEE_DENIED)
            return TRACEE_DENIED;
        if (stopped != TRACEE_DONE)
            continue;
        if (is_safe(judge, tracee, candidates[i].tid)) {
            *ret_tracee = tracee;
            return TRACEE_DONE;
        }
        tracee_release(tracee);
    }
    return result;
}

int safe_point_find(const struct safe_point_request *request, struct tracee **ret_tracee)
{
    struct judge judge = {.request = request, .dwfl = open_unwinder(request->pid)};
    if (!judge.dwfl) {
        errno = ENOEXEC;
        return TRACEE_SYSTEM;
    }
    int result = TRACEE_BUSY;
    unsigned pause_ms = FIRST_PAUSE_MS;
    for (unsigned waited_ms = 0; waited_ms < SEARCH_LIMIT_MS && result == TRACEE_BUSY; waited_ms += pause_ms) {
        if (waited_ms) {
            nanosleep(&(struct timespec){0, pause_ms * 1000000l}, NULL);
            pause_ms = pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
        }
        result = try_threads(&judge, ret_tracee);
        if (!waited_ms)
            waited_ms = 1;
    }
    int saved_errno = errno;
    dwfl_end(judge.dwfl);
    errno = saved_errno;
    return result;
}
