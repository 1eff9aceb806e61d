/* inject_check: what can be told of a process without touching it (inject.h). */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "inject.h"
#include "process_maps.h"
#include "process_program.h"

#define CHECK_NOT_YET 1     /* beside enum inject_status: refused for now */
#define START_LIMIT_MS 1000 /* for a program that is being started */
#define START_PAUSE_MS 10

__attribute__((format(printf, 2, 3))) static int refuse(struct inject_detail *detail, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail->text, sizeof detail->text, format, arguments);
    va_end(arguments);
    return INJECT_REFUSED;
}

/* ---- /proc/PID/status ---- */

struct process_status {
    char state;
    pid_t group, tracer;
    uid_t users[4];
    int confinement;      /* seccomp: 0 none, 1 strict, 2 filters … */
    int filters;          /* … so many */
    int pid_levels;       /* in how many namespaces it has an id */
};

static int count_words(const char *text)
{
    int count = 0;
    for (text += strspn(text, " \t\n"); *text; text += strspn(text, " \t\n")) {
        text += strcspn(text, " \t\n");
        count++;
    }
    return count;
}

static int read_status(const char *pid, struct process_status *ret_status)
{
    char path[48], line[1024];
    struct process_status status = {.pid_levels = 1};
    snprintf(path, sizeof path, "/proc/%s/status", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file)) {
        int value;
        if (sscanf(line, "State: %c", &status.state) == 1 ||
            sscanf(line, "Uid: %u %u %u %u", &status.users[0], &status.users[1], &status.users[2], &status.users[3]) == 4)
            continue;
        if (sscanf(line, "Tgid: %d", &value) == 1)
            status.group = value;
        else if (sscanf(line, "TracerPid: %d", &value) == 1)
            status.tracer = value;
        else if (sscanf(line, "Seccomp: %d", &value) == 1)
            status.confinement = value;
        else if (sscanf(line, "Seccomp_filters: %d", &value) == 1)
            status.filters = value;
        else if (!strncmp(line, "NSpid:", 6))
            status.pid_levels = count_words(line + 6);
    }
    fclose(file);
    *ret_status = status;
    return 0;
}

static void read_name(pid_t pid, char *name, size_t size)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(name, (int)size, file))
        snprintf(name, size, "?");
    name[strcspn(name, "\n")] = '\0';
    if (file)
        fclose(file);
}

static int check_status(pid_t pid, struct inject_detail *detail)
{
    struct process_status status, own;
    char number[16], name[64];
    snprintf(number, sizeof number, "%d", (int)pid);
    if (read_status(number, &status) || read_status("self", &own))
        return refuse(detail, errno == ENOENT ? "does not exist" : "can't be looked at: %s", strerror(errno));
    if (status.group != pid)
        return refuse(detail, "is a thread of process %d: give that one", (int)status.group);
    if (status.state == 'Z' || status.state == 'X')
        return refuse(detail, "has ended");
    if (geteuid() != 0 && (status.users[0] != geteuid() || status.users[1] != geteuid() || status.users[2] != geteuid()))
        return refuse(detail, "is another user's: its own user and root may attach to it");
    if (status.tracer) {
        read_name(status.tracer, name, sizeof name);
        return refuse(detail, "is being traced by process %d (%s): only one can at a time", (int)status.tracer, name);
    }
    if (status.state == 'T' || status.state == 't')
        return refuse(detail, "is stopped: let it go on first ('kill -CONT %d')", (int)pid);
    if (status.confinement == 1 || status.filters > own.filters || (status.confinement && !own.confinement))
        return refuse(detail, "is confined (seccomp): it might be killed for a system call that the recorder makes; start it with 'heapline run'");
    return INJECT_DONE;
}

/* ---- where it lives ---- */

static int same_namespace(pid_t pid, const char *kind)
{
    char path[48], theirs[64] = "", ours[64] = "";
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, kind);
    ssize_t bytes = readlink(path, theirs, sizeof theirs - 1);
    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    if (bytes <= 0)
        return -1;
    return readlink(path, ours, sizeof ours - 1) > 0 && !strcmp(theirs, ours);
}

static int sees_library(pid_t pid, const char *library)
{
    char path[4300];
    struct stat theirs, ours;
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, library);
    return stat(library, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static int check_surroundings(pid_t pid, const char *library, struct inject_detail *detail)
{
    static const struct {
        const char *kind, *meaning;
    } namespaces[] = {{"pid", "process ids"}, {"pid_for_children", "process ids for its children"}, {"net", "a network"}};
    for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
        int same = same_namespace(pid, namespaces[i].kind);
        if (same < 0)
            return refuse(detail, "can't be attached to: the system does not permit to look at it (it is privileged or has made itself undumpable)");
        if (!same)
            return refuse(detail, "is in a container (it has %s of its own): run heapline in there", namespaces[i].meaning);
    }
    if (!sees_library(pid, library))
        return refuse(detail, "does not see %s, because it is in a container or has another root directory: run heapline in there", library);
    return INJECT_DONE;
}

/* ---- what it is ---- */

static int own_machine(void)
{
#if defined(__x86_64__)
    return EM_X86_64;
#elif defined(__aarch64__)
    return EM_AARCH64;
#else
    return EM_NONE;
#endif
}

static int is_musl(const struct process_maps *maps)
{
    for (size_t i = 0; i < maps->count; i++)
        if (strstr(maps->files[i].path, "musl"))
            return 1;
    return 0;
}

/* A program that has only just been executed is there before its loader has mapped the C library. CHECK_NOT_YET: so it may be here. */
static int check_libc(pid_t pid, const struct process_program *program, struct inject_detail *detail)
{
    struct process_maps maps;
    if (process_maps_read(pid, &maps))
        return refuse(detail, "can't be looked at: %s", strerror(errno));
    int has_libc = process_maps_named(&maps, "libc.so.6") && process_maps_loader(&maps), musl = program->is_musl || is_musl(&maps);
    process_maps_done(&maps);
    if (has_libc)
        return INJECT_DONE;
    if (musl)
        return refuse(detail, "uses musl instead of glibc: it can't be recorded");
    refuse(detail, "has not loaded a C library (libc.so.6) yet: try again if it is only just being started; a program without glibc can't be recorded");
    return CHECK_NOT_YET;
}

static int check_program(pid_t pid, struct inject_detail *detail)
{
    struct process_program program;
    if (process_program_read(pid, &program))
        return errno == ENOENT ? refuse(detail, "is a thread of the kernel") : refuse(detail, "can't be looked at: %s", strerror(errno));
    if (program.elf_class != ELFCLASS64)
        return refuse(detail, "is a 32-bit program: only 64-bit ones can be recorded");
    if (program.machine != own_machine())
        return refuse(detail, "runs a program that is built for another processor");
    if (!program.has_loader)
        return refuse(detail, "is statically linked: no library can be loaded into it; link it dynamically");
    return check_libc(pid, &program, detail);
}

/* ---- all of it ---- */

static int check_process(pid_t pid, struct inject_detail *detail)
{
    if (kill(pid, 0) && errno == ESRCH)
        return refuse(detail, "does not exist");
    int status = check_status(pid, detail);
    return status == INJECT_DONE ? check_program(pid, detail) : status;
}

int inject_check(pid_t pid, const char *library, struct inject_detail *detail)
{
    int status = check_process(pid, detail);
    for (unsigned waited_ms = 0; status == CHECK_NOT_YET && waited_ms < START_LIMIT_MS; waited_ms += START_PAUSE_MS) {
        nanosleep(&(struct timespec){0, START_PAUSE_MS * 1000000l}, NULL);
        status = check_process(pid, detail);
    }
    if (status == CHECK_NOT_YET)
        return INJECT_REFUSED;
    return status == INJECT_DONE ? check_surroundings(pid, library, detail) : status;
}
