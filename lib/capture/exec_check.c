/* See exec_check.h. What the kernel and the loader do: execve(2), ld.so(8), elf(5). Paths are put together in the note itself, which is shared
 * memory: a vfork child may have a small stack. */
#include "exec_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clock.h"
#include "recorder.h"

#define MAX_PROGRAM_HEADERS 64
#define MAX_INTERPRETERS 4 /* as the kernel has it */
#define HEAD_BYTES 256     /* of a file: as much as the kernel reads of a script's first line */

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#endif

/* ---- notes ---- */

static struct session_unrecorded *claim_note(void)
{
    for (uint32_t i = 0; i < SESSION_UNRECORDED_NOTES; i++) {
        uint32_t expected = NOTE_FREE;
        if (atomic_compare_exchange_strong(&recorder_session->unrecorded[i].state, &expected, NOTE_BEING_WRITTEN))
            return &recorder_session->unrecorded[i];
    }
    return NULL;
}

void exec_check_failed(struct session_unrecorded *note)
{
    if (note)
        atomic_store(&note->state, NOTE_FREE);
}

void exec_check_spawned(struct session_unrecorded *note, int pid)
{
    if (!note)
        return;
    note->pid = (uint32_t)pid;
    atomic_store(&note->state, NOTE_CERTAIN);
}

/* ---- the environment ---- */

static int names_recorder(char *const *environment)
{
    static const char preload[] = "LD_PRELOAD=";
    for (; environment && *environment; environment++)
        if (strncmp(*environment, preload, sizeof preload - 1) == 0)
            return strstr(*environment, "libheapline.so") != NULL;
    return 0;
}

/* ---- the file ---- */

/* After a NUL-terminated text in a buffer of SESSION_UNRECORDED_PATH_BYTES. 0: no room. */
static int append(char *path, const char *text, size_t bytes)
{
    size_t used = strlen(path);
    if (used + bytes >= SESSION_UNRECORDED_PATH_BYTES)
        return 0;
    for (size_t i = 0; i < bytes; i++) /* memcpy is ours, and counts */
        path[used + i] = text[i];
    path[used + bytes] = 0;
    return 1;
}

static int append_number(char *path, unsigned number)
{
    char digits[10];
    int at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) && at > 0);
    return append(path, digits + at, sizeof digits - (size_t)at);
}

static int is_executable_file(const char *path, struct stat *about)
{
    return syscall(SYS_newfstatat, AT_FDCWD, path, about, 0) == 0 && S_ISREG(about->st_mode) &&
           syscall(SYS_faccessat, AT_FDCWD, path, X_OK) == 0;
}

static const char *search_path(void)
{
    static const char name[] = "PATH=";
    for (char **entry = environ; entry && *entry; entry++)
        if (strncmp(*entry, name, sizeof name - 1) == 0)
            return *entry + sizeof name - 1;
    return "/bin:/usr/bin"; /* confstr(_CS_PATH) */
}

static int search(const char *name, char *path)
{
    struct stat about;
    for (const char *folder = search_path();; folder++) {
        size_t bytes = strcspn(folder, ":");
        path[0] = 0;
        if (append(path, folder, bytes) && (!bytes || append(path, "/", 1)) && append(path, name, strlen(name)) && is_executable_file(path, &about))
            return 1;
        folder += bytes;
        if (!*folder)
            return 0;
    }
}

/* The path as it can be opened from here. 0: too long, or not found. */
static int find_file(const struct exec_request *request, char *path)
{
    static const char folders[] = "/proc/self/fd/";
    path[0] = 0;
    if (request->search && !strchr(request->path, '/'))
        return *request->path && search(request->path, path);
    if (request->folder != AT_FDCWD && request->path[0] != '/') {
        if (!append(path, folders, sizeof folders - 1) || !append_number(path, (unsigned)request->folder))
            return 0;
        if (!*request->path)
            return 1;
        if (!append(path, "/", 1))
            return 0;
    }
    return append(path, request->path, strlen(request->path));
}

/* Does the system ignore set-id bits here? */
static int ignores_privileges(const char *path)
{
    struct statfs system;
    return syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || (syscall(SYS_statfs, path, &system) == 0 && system.f_flags & ST_NOSUID);
}

/* Will the loader run in secure mode? The kernel compares the new effective ids with the real ones (commoncap.c, "secureexec"). */
static int gains_privileges(const char *path, const struct stat *about)
{
    uid_t real_user = (uid_t)syscall(SYS_getuid), user = (uid_t)syscall(SYS_geteuid);
    gid_t real_group = (gid_t)syscall(SYS_getgid), group = (gid_t)syscall(SYS_getegid);
    int has_capabilities = real_user != 0 && syscall(SYS_getxattr, path, "security.capability", NULL, 0) > 0;
    int has_set_id = (about->st_mode & S_ISUID) || (about->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    if ((has_set_id || has_capabilities) && ignores_privileges(path))
        has_capabilities = has_set_id = 0;
    if (has_set_id && about->st_mode & S_ISUID)
        user = about->st_uid;
    if (has_set_id && (about->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        group = about->st_gid;
    return has_capabilities || user != real_user || group != real_group;
}

static enum unrecorded_reason inspect_loader(int file, const Elf64_Phdr *segment)
{
    char loader[HEAD_BYTES] = "";
    size_t bytes = segment->p_filesz < sizeof loader - 1 ? segment->p_filesz : sizeof loader - 1;
    syscall(SYS_pread64, file, loader, bytes, segment->p_offset);
    return strstr(loader, "musl") ? UNRECORDED_FOREIGN_LIBC : UNRECORDED_NOT;
}

static enum unrecorded_reason inspect_elf(int file, const Elf64_Ehdr *header)
{
    if (header->e_ident[EI_CLASS] != ELFCLASS64)
        return UNRECORDED_32_BIT;
    if (header->e_machine != OWN_MACHINE)
        return UNRECORDED_FOREIGN;
    for (unsigned i = 0; i < header->e_phnum && i < MAX_PROGRAM_HEADERS; i++) {
        Elf64_Phdr segment;
        if (syscall(SYS_pread64, file, &segment, sizeof segment, header->e_phoff + (uint64_t)i * header->e_phentsize) != sizeof segment)
            return UNRECORDED_NOT;
        if (segment.p_type == PT_INTERP)
            return inspect_loader(file, &segment);
    }
    return UNRECORDED_STATIC;
}

/* The interpreter of a script's first line takes the path's place. 0: there is none. */
static int find_interpreter(char head[HEAD_BYTES], char *path)
{
    char *name = head + 2 + strspn(head + 2, " \t");
    name[strcspn(name, " \t\n")] = 0;
    path[0] = 0;
    return *name && append(path, name, strlen(name));
}

/* What can't be told counts as recorded: nothing is claimed of it. `path` becomes that of the program which runs in the end. */
static enum unrecorded_reason inspect(char *path)
{
    for (int depth = 0; depth <= MAX_INTERPRETERS; depth++) {
        union {
            Elf64_Ehdr header;
            char bytes[HEAD_BYTES];
        } head = {.bytes = ""};
        struct stat about;
        if (!is_executable_file(path, &about))
            return UNRECORDED_NOT;
        if (gains_privileges(path, &about))
            return UNRECORDED_PRIVILEGED;
        int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (file < 0)
            return UNRECORDED_NOT;
        long bytes = syscall(SYS_pread64, file, head.bytes, sizeof head.bytes - 1, 0);
        enum unrecorded_reason reason = UNRECORDED_NOT;
        if (bytes >= (long)sizeof head.header && memcmp(head.header.e_ident, ELFMAG, SELFMAG) == 0)
            reason = inspect_elf(file, &head.header);
        syscall(SYS_close, file);
        if (bytes < 3 || memcmp(head.bytes, "#!", 2) != 0 || !find_interpreter(head.bytes, path))
            return reason;
    }
    return UNRECORDED_NOT;
}

/* ---- both ---- */

/* 1: executable, and will not be recorded. */
static int describe(const struct exec_request *request, struct session_unrecorded *note)
{
    if (!find_file(request, note->path))
        return 0;
    note->reason = inspect(note->path);
    if (note->reason == UNRECORDED_NOT && !names_recorder(request->environment)) {
        struct stat about;
        note->reason = find_file(request, note->path) && is_executable_file(note->path, &about) ? UNRECORDED_ENVIRONMENT : UNRECORDED_NOT;
    }
    if (note->reason != UNRECORDED_NOT && !*request->path) { /* what the descriptor is of */
        long bytes = syscall(SYS_readlinkat, AT_FDCWD, note->path, note->path, sizeof note->path - 1);
        if (bytes > 0)
            note->path[bytes] = 0;
    }
    return note->reason != UNRECORDED_NOT;
}

static int children_are_wanted(void)
{
    return recorder_session && recorder_session->flags & SESSION_FOLLOW && !atomic_load(&recorder_session->detached) &&
           atomic_load(&recorder_session->collector_state) != COLLECTOR_GONE;
}

struct session_unrecorded *exec_check_begin(const struct exec_request *request)
{
    int saved_errno = errno;
    if (!request->path || !children_are_wanted())
        return NULL;
    struct session_unrecorded *note = claim_note();
    if (!note) {
        atomic_fetch_add(&recorder_session->unrecorded_dropped, 1);
        return NULL;
    }
    if (describe(request, note)) {
        note->pid = (uint32_t)syscall(SYS_getpid);
        note->realtime_ns = clock_ns(CLOCK_REALTIME);
        atomic_store(&note->state, NOTE_PENDING);
    } else {
        atomic_store(&note->state, NOTE_FREE);
        note = NULL;
    }
    errno = saved_errno;
    return note;
}
