/* The log of live bytes by stack and window (window_log.h): one buffer; a full one is appended to an unlinked file. */
#include "window_log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "status.h"
#include "temporary_file.h"

#define BUFFER_CHANGES (256u << 10)
#define CHANGE_BYTES sizeof(struct window_change)

void window_log_init(struct window_log *log)
{
    *log = (struct window_log){.file = -1};
}

void window_log_done(struct window_log *log)
{
    free(log->changes);
    if (log->file >= 0)
        close(log->file);
    window_log_init(log);
}

static int open_unlinked_file(void)
{
    char *path;
    int file = temporary_file("windows", &path);
    if (file >= 0) {
        unlink(path);
        free(path);
    }
    return file;
}

static int transfer(int file, int writing, void *bytes, size_t count, uint64_t offset)
{
    for (size_t done = 0; done < count;) {
        char *at = (char *)bytes + done;
        off_t from = (off_t)(offset + done);
        ssize_t moved = writing ? pwrite(file, at, count - done, from) : pread(file, at, count - done, from);
        if (moved > 0)
            done += (size_t)moved;
        else if (!moved || errno != EINTR)
            return STATUS_SYSTEM;
    }
    return STATUS_OK;
}

static int spill(struct window_log *log)
{
    if (log->file < 0 && (log->file = open_unlinked_file()) < 0)
        return STATUS_SYSTEM;
    if (transfer(log->file, 1, log->changes, log->count * CHANGE_BYTES, log->file_changes * CHANGE_BYTES))
        return STATUS_SYSTEM;
    log->file_changes += log->count;
    log->count = 0;
    return STATUS_OK;
}

int window_log_add(struct window_log *log, const struct window_change *change)
{
    if (!log->changes && !(log->changes = malloc(BUFFER_CHANGES * CHANGE_BYTES)))
        return STATUS_NO_MEMORY;
    if (log->count == BUFFER_CHANGES && spill(log))
        return STATUS_SYSTEM;
    log->changes[log->count++] = *change;
    return STATUS_OK;
}

int window_log_rewind(struct window_log *log)
{
    /* With a file, the buffer becomes its reading window, so what the buffer still holds goes there first. */
    if (log->file >= 0 && !log->reading && spill(log))
        return STATUS_SYSTEM;
    if (log->file >= 0)
        log->count = 0;
    log->reading = 1;
    log->read_count = 0;
    log->file_read = 0;
    return STATUS_OK;
}

int window_log_next(struct window_log *log, struct window_change *ret_change)
{
    if (log->read_count == log->count) {
        uint64_t left = log->file_changes - log->file_read;
        if (!left)
            return STATUS_END;
        size_t count = left < BUFFER_CHANGES ? (size_t)left : BUFFER_CHANGES;
        if (transfer(log->file, 0, log->changes, count * CHANGE_BYTES, log->file_read * CHANGE_BYTES))
            return STATUS_SYSTEM;
        log->file_read += count;
        log->count = count;
        log->read_count = 0;
    }
    *ret_change = log->changes[log->read_count++];
    return STATUS_OK;
}
