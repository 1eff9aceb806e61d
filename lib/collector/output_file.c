/* See output_file.h. */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "trace_reader.h"

#define STEP_MS 5
/* An old program's collector has its last events to write. */
#define PREDECESSOR_WAIT_MS 5000
/* Between creation and identity lie microseconds. */
#define IDENTITY_WAIT_MS 1000
#define MAX_TRIES 10000
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

enum owner {
    OWNER_VANISHED,      /* the file isn't there any more */
    OWNER_SAME_PROCESS,  /* this very process, with the program it ran before */
    OWNER_SAME_RUN,      /* another process of this run */
    OWNER_OTHER,         /* another run, or not a trace */
};

struct creation {
    struct output_file *output;
    struct trace_identity *identity;
    const char *base; /* the run's PATH */
    int force;
};

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* Returns 0, or STATUS_SYSTEM with EEXIST and other reasons. */
static int create_exclusively(struct output_file *output, const char *path)
{
    output->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->file < 0)
        return STATUS_SYSTEM;
    /* Waits only for somebody who asks, at this moment, whether it is locked. */
    flock(output->file, LOCK_EX);
    snprintf(output->path, sizeof output->path, "%s", path);
    return 0;
}

static int is_empty(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && about.st_size == 0;
}

static enum owner find_owner(const char *path, const struct trace_identity *self)
{
    for (unsigned waited = 0; is_empty(path) && waited < IDENTITY_WAIT_MS; waited += STEP_MS)
        pause_ms(STEP_MS);
    struct stat about;
    if (stat(path, &about) != 0)
        return errno == ENOENT ? OWNER_VANISHED : OWNER_OTHER;
    struct trace_reader *reader;
    if (!S_ISREG(about.st_mode) || trace_reader_open(path, &reader, NULL) != 0)
        return OWNER_OTHER;
    struct trace_identity found = trace_reader_overview(reader)->identity;
    trace_reader_close(reader);
    if (found.session_id != self->session_id)
        return OWNER_OTHER;
    return found.pid == self->pid ? OWNER_SAME_PROCESS : OWNER_SAME_RUN;
}

static void wait_for_lock(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    for (unsigned waited = 0; file >= 0 && waited < PREDECESSOR_WAIT_MS; waited += STEP_MS) {
        if (flock(file, LOCK_EX | LOCK_NB) == 0)
            break;
        pause_ms(STEP_MS);
    }
    if (file >= 0)
        close(file);
}

static int create_numbered(const struct creation *creation, char *path)
{
    for (unsigned number = 1; number < MAX_TRIES; number++) {
        snprintf(path, OUTPUT_PATH_BYTES, "%s.%u.%u", creation->base, creation->identity->pid, number);
        if (create_exclusively(creation->output, path) == 0)
            return 0;
        if (errno != EEXIST)
            return STATUS_SYSTEM;
    }
    return STATUS_SYSTEM;
}

/* The old program's trace makes room: it becomes BASE.PID.N. Returns 0: the new one is created; STATUS_INVALID: look again, the name
 * is free or somebody else's by now. */
static int move_predecessor(const struct creation *creation, const char *path)
{
    char aside[OUTPUT_PATH_BYTES];
    wait_for_lock(path);
    if (create_numbered(creation, aside) != 0)
        return STATUS_SYSTEM;
    /* Swapped at once, so that no other process finds the name free in between and takes itself for the run's first. */
    if (syscall(SYS_renameat2, AT_FDCWD, aside, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        snprintf(creation->output->path, sizeof creation->output->path, "%s", path);
        return 0;
    }
    output_file_close(creation->output);
    /* A file system without it: in two steps, the first of which replaces our own empty file. */
    if ((errno != EINVAL && errno != ENOSYS) || rename(path, aside) != 0)
        unlink(aside);
    return STATUS_INVALID;
}

/* Only what nobody is writing, and only a plain file. */
static int remove_other(const char *path)
{
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int removed = file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode) && flock(file, LOCK_EX | LOCK_NB) == 0 &&
                  unlink(path) == 0;
    if (file >= 0)
        close(file);
    return removed;
}

/* Returns 0, STATUS_SYSTEM, or STATUS_INVALID: the name is somebody else's. */
static int create_or_take_over(const struct creation *creation, const char *path)
{
    for (unsigned attempt = 0; attempt < MAX_TRIES; attempt++) {
        int status = create_exclusively(creation->output, path);
        if (status == 0 || errno != EEXIST)
            return status;
        switch (find_owner(path, creation->identity)) {
        case OWNER_VANISHED:
            break;
        case OWNER_SAME_PROCESS:
            creation->identity->flags |= TRACE_EXECED;
            status = move_predecessor(creation, path);
            if (status != STATUS_INVALID)
                return status;
            break;
        case OWNER_SAME_RUN:
            return STATUS_INVALID;
        case OWNER_OTHER:
            if (!creation->force || !remove_other(path))
                return STATUS_INVALID;
            break;
        }
    }
    return STATUS_INVALID;
}

static int is_device(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISCHR(about.st_mode);
}

/* /dev/null and the like: written to as they are. */
static int open_device(struct output_file *output, const char *path)
{
    if (!is_device(path))
        return 0;
    output->file = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    snprintf(output->path, sizeof output->path, "%s", path);
    return output->file >= 0;
}

int output_file_create(struct output_file *output, const char *path, int force, struct trace_identity *identity)
{
    char path_of_process[OUTPUT_PATH_BYTES];
    struct creation creation = {output, identity, path, force};
    output->file = -1;
    if (strlen(path) > OUTPUT_PATH_BYTES - 32) {
        errno = ENAMETOOLONG;
        return STATUS_SYSTEM;
    }
    if (open_device(output, path))
        return 0;
    /* A forked child is never the run's first process. */
    int status = identity->flags & TRACE_FORKED ? STATUS_INVALID : create_or_take_over(&creation, path);
    if (status != STATUS_INVALID)
        return status;
    snprintf(path_of_process, sizeof path_of_process, "%s.%u", path, identity->pid);
    status = create_or_take_over(&creation, path_of_process);
    return status == STATUS_INVALID ? create_numbered(&creation, path_of_process) : status;
}

int output_file_create_aside(struct output_file *output, const char *path, struct trace_identity *identity)
{
    char path_of_process[OUTPUT_PATH_BYTES];
    struct creation creation = {output, identity, path, 0};
    output->file = -1;
    if (is_device(path) || strlen(path) > OUTPUT_PATH_BYTES - 32) {
        errno = EINVAL;
        return STATUS_SYSTEM;
    }
    snprintf(path_of_process, sizeof path_of_process, "%s.%u", path, identity->pid);
    int status = create_exclusively(output, path_of_process);
    return status && errno == EEXIST ? create_numbered(&creation, path_of_process) : status;
}

int output_file_is_seekable(const struct output_file *output)
{
    struct stat about;
    return fstat(output->file, &about) == 0 && S_ISREG(about.st_mode);
}

void output_file_close(struct output_file *output)
{
    if (output->file < 0)
        return;
    /* Explicitly: a clone for a forked child may still have the descriptor for an instant. */
    flock(output->file, LOCK_UN);
    close(output->file);
    output->file = -1;
}
