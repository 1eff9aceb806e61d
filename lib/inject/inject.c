/* See inject.h. */
#include "inject.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process_maps.h"
#include "remote_symbols.h"
#include "safe_point.h"
#include "tracee.h"

#define STACK_BYTES (256u << 10)
#define CALL_LIMIT_MS 20000

struct injection {
    pid_t pid;
    int memory_file;
    struct process_maps maps;
    const struct mapped_file *libc;
    struct remote_symbols libc_symbols;
    struct tracee *tracee;
    uint64_t area; /* of ours in the process: arguments at its start, a stack at its end */
    sigset_t signals;
};

__attribute__((format(printf, 2, 3))) static void explain(struct inject_detail *detail, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail->text, sizeof detail->text, format, arguments);
    va_end(arguments);
}

/* ---- beginning and end ---- */

static int first_line(const char *path)
{
    FILE *file = fopen(path, "re");
    int value = -1;
    if (file && fscanf(file, "%d", &value) != 1)
        value = -1;
    if (file)
        fclose(file);
    return value;
}

static int refuse_denied(int error, struct inject_detail *detail)
{
    int scope = first_line("/proc/sys/kernel/yama/ptrace_scope");
    if (error == ENOSYS)
        explain(detail, "can't be attached to: that is possible on x86-64 only");
    else if (error == EPERM && scope == 3)
        explain(detail, "can't be attached to: this system allows no tracing at all (kernel.yama.ptrace_scope is 3 until it is restarted)");
    else if (error == EPERM && (scope == 1 || scope == 2) && geteuid() != 0)
        explain(detail, "can't be attached to: kernel.yama.ptrace_scope is %d, which allows it to root only; "
                        "'sysctl kernel.yama.ptrace_scope=0' or sudo", scope);
    else if (error == EPERM)
        explain(detail, "can't be attached to: the system does not permit it (it is privileged or has made itself undumpable, another "
                        "debugger has just come, or this container lacks CAP_SYS_PTRACE)");
    else
        explain(detail, "can't be attached to: %s", strerror(error));
    return INJECT_REFUSED;
}

static int explain_status(int status, int error, struct inject_detail *detail)
{
    switch (status) {
    case TRACEE_GONE:
        explain(detail, "has ended");
        return INJECT_REFUSED;
    case TRACEE_BUSY:
        explain(detail, "can't be attached to now: within 5 seconds none of its threads came to a point where it can be interrupted safely, "
                        "outside the allocator and the loader; try again");
        return INJECT_NO_SAFE_POINT;
    default:
        return refuse_denied(error, detail);
    }
}

/* Somewhere in libc: "syscall; ret" is enough, of any function. */
static uint64_t find_instruction(const struct injection *injection)
{
    static const char *const functions[] = {"getpid", "getppid", "getuid", "syscall"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        uint64_t start = remote_symbols_find(&injection->libc_symbols, functions[i]);
        uint8_t code[64];
        if (!start || pread(injection->memory_file, code, sizeof code, (off_t)start) != sizeof code)
            continue;
        for (size_t at = 0; at + 1 < sizeof code; at++)
            if (code[at] == 0x0f && code[at + 1] == 0x05)
                return start + at;
    }
    return 0;
}

static int open_process(struct injection *injection, struct inject_detail *detail)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)injection->pid);
    injection->memory_file = open(path, O_RDWR | O_CLOEXEC);
    if (injection->memory_file < 0 || process_maps_read(injection->pid, &injection->maps))
        return refuse_denied(errno == EACCES ? EPERM : errno, detail);
    injection->libc = process_maps_named(&injection->maps, "libc.so.6");
    if (!injection->libc || remote_symbols_read(injection->memory_file, injection->libc->start, &injection->libc_symbols)) {
        explain(detail, "can't be attached to: its C library can't be read");
        return INJECT_REFUSED;
    }
    return INJECT_DONE;
}

static void free_injection(struct injection *injection)
{
    if (injection->memory_file >= 0)
        close(injection->memory_file);
    remote_symbols_done(&injection->libc_symbols);
    process_maps_done(&injection->maps);
    sigprocmask(SIG_SETMASK, &injection->signals, NULL);
    free(injection);
}

static int stop_thread(struct injection *injection, struct inject_detail *detail)
{
    struct safe_point_request request = {injection->pid, injection->memory_file, &injection->maps, injection->libc, &injection->libc_symbols};
    uint64_t instruction = find_instruction(injection);
    if (!instruction) {
        explain(detail, "can't be attached to: its C library is of no known form");
        return INJECT_REFUSED;
    }
    int status = safe_point_find(&request, &injection->tracee);
    if (status)
        return explain_status(status, errno, detail);
    tracee_use_instruction(injection->tracee, instruction);
    return INJECT_DONE;
}

static int map_area(struct injection *injection, struct inject_detail *detail)
{
    int64_t area = -ENOMEM;
    uint64_t arguments[6] = {0, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};
    int status = tracee_do_syscall(injection->tracee, SYS_mmap, arguments, &area);
    if (status == TRACEE_DONE && area > 0) {
        injection->area = (uint64_t)area;
        return INJECT_DONE;
    }
    explain(detail, "has no memory left for it: %s", strerror(status == TRACEE_DONE ? (int)-area : EIO));
    return INJECT_FAILED;
}

int inject_begin(pid_t pid, struct injection **ret_injection, struct inject_detail *detail)
{
    struct injection *injection = calloc(1, sizeof *injection);
    sigset_t all;
    if (!injection)
        abort();
    injection->pid = pid;
    injection->memory_file = -1;
    /* Whoever ends us now leaves a thread in the middle of a call. */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &injection->signals);
    int status = open_process(injection, detail);
    if (status == INJECT_DONE)
        status = stop_thread(injection, detail);
    if (status != INJECT_DONE) {
        free_injection(injection);
        return status;
    }
    status = map_area(injection, detail);
    if (status != INJECT_DONE) {
        inject_end(injection);
        return status;
    }
    *ret_injection = injection;
    return INJECT_DONE;
}

void inject_end(struct injection *injection)
{
    int64_t ignored;
    if (injection->area)
        tracee_do_syscall(injection->tracee, SYS_munmap, (uint64_t[6]){injection->area, STACK_BYTES}, &ignored);
    tracee_release(injection->tracee);
    free_injection(injection);
}

/* ---- calls ---- */

static int call(struct injection *injection, uint64_t function, uint64_t first, uint64_t second, uint64_t *ret_result,
                struct inject_detail *detail)
{
    int status = tracee_call(injection->tracee, function, first, second, injection->area + STACK_BYTES, CALL_LIMIT_MS, ret_result);
    if (status == TRACEE_DONE)
        return INJECT_DONE;
    explain(detail, status == TRACEE_GONE       ? "has ended"
                    : status == TRACEE_BUSY     ? "did not finish loading the recorder in 20 seconds"
                    : status == TRACEE_SIGNALLED ? "had a fault while it loaded the recorder, and goes on without"
                                                 : "can't be controlled any more");
    return INJECT_FAILED;
}

static int put(struct injection *injection, const void *bytes, size_t count)
{
    return pwrite(injection->memory_file, bytes, count, (off_t)injection->area) == (ssize_t)count ? 0 : -1;
}

/* What dlerror says of the failure before. */
static void explain_loader(struct injection *injection, struct inject_detail *detail)
{
    uint64_t function = remote_symbols_find(&injection->libc_symbols, "dlerror"), text = 0;
    char reason[320] = "";
    if (function && call(injection, function, 0, 0, &text, detail) == INJECT_DONE && text)
        for (size_t i = 0; i + 1 < sizeof reason && pread(injection->memory_file, reason + i, 1, (off_t)(text + i)) == 1 && reason[i]; i++)
            ;
    explain(detail, "could not load the recorder: %s", reason[0] ? reason : "its loader gives no reason");
}

/* dlopen is libc's from 2.34 on; before, libc has its own for its own plug-ins. */
static uint64_t find_dlopen(struct injection *injection, uint64_t *mode)
{
    uint64_t function = remote_symbols_find(&injection->libc_symbols, "dlopen");
    *mode = 2 /* RTLD_NOW */;
    if (function)
        return function;
    *mode |= 0x80000000u; /* __RTLD_DLOPEN */
    return remote_symbols_find(&injection->libc_symbols, "__libc_dlopen_mode");
}

int inject_load(struct injection *injection, const char *library, struct inject_detail *detail)
{
    uint64_t mode, handle = 0, function = find_dlopen(injection, &mode);
    if (!function || put(injection, library, strlen(library) + 1)) {
        explain(detail, "can't be attached to: its C library has no dlopen");
        return INJECT_REFUSED;
    }
    int status = call(injection, function, injection->area, mode, &handle, detail);
    if (status == INJECT_DONE && !handle) {
        explain_loader(injection, detail);
        status = INJECT_FAILED;
    }
    return status;
}

static const struct mapped_file *find_library(const struct process_maps *maps, const char *library)
{
    const char *slash = strrchr(library, '/');
    return process_maps_named(maps, slash ? slash + 1 : library);
}

static uint64_t find_in_library(struct injection *injection, const char *library, const char *function)
{
    struct process_maps maps;
    struct remote_symbols symbols;
    uint64_t address = 0;
    if (process_maps_read(injection->pid, &maps))
        return 0;
    const struct mapped_file *file = find_library(&maps, library);
    if (file && remote_symbols_read(injection->memory_file, file->start, &symbols) == 0) {
        address = remote_symbols_find(&symbols, function);
        remote_symbols_done(&symbols);
    }
    process_maps_done(&maps);
    return address;
}

int inject_call(struct injection *injection, const char *library, const char *function, const void *argument, size_t argument_bytes,
                int *ret_result, struct inject_detail *detail)
{
    uint64_t result, address = find_in_library(injection, library, function);
    if (!address || (argument && put(injection, argument, argument_bytes))) {
        explain(detail, "has a recorder of another version");
        return INJECT_FAILED;
    }
    int status = call(injection, address, argument ? injection->area : 0, 0, &result, detail);
    if (status == INJECT_DONE)
        *ret_result = (int)result;
    return status;
}

int inject_has_library(pid_t pid, const char *library)
{
    struct process_maps maps;
    if (process_maps_read(pid, &maps))
        return 0;
    int found = find_library(&maps, library) != NULL;
    process_maps_done(&maps);
    return found;
}
