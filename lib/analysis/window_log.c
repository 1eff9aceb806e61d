/* The log of live bytes by stack and window (window_log.h): one buffer; a full one is appended to an unlinked file. */
#include "window_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "status.h"
#include "temporary_file.h"
#include "varint.h"

#define BUFFER_BYTES (1u << 20)
#define MAX_CHANGE_BYTES (4 * VARINT_MAX_BYTES)

void window_log_init(struct window_log *log)
{
    *log = (struct window_log){.file = -1};
}

void window_log_done(struct window_log *log)
{
    free(log->buffer);
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
    if (transfer(log->file, 1, log->buffer, log->position, log->file_bytes))
        return STATUS_SYSTEM;
    log->file_bytes += log->position;
    log->position = 0;
    return STATUS_OK;
}

int window_log_add(struct window_log *log, const struct window_change *change)
{
    if (!log->buffer && !(log->buffer = malloc(BUFFER_BYTES + MAX_CHANGE_BYTES)))
        return STATUS_NO_MEMORY;
    if (log->position > BUFFER_BYTES - MAX_CHANGE_BYTES && spill(log))
        return STATUS_SYSTEM;
    uint32_t windows = change->window_id - log->window_id;
    uint8_t *to = log->buffer + log->position;
    to = varint_put(to, zigzag((int64_t)change->use_id - log->use_id) << 1 | (windows != 0));
    if (windows)
        to = varint_put(to, windows);
    to = varint_put(to, change->live_bytes);
    to = varint_put(to, change->live_allocations);
    log->position = (size_t)(to - log->buffer);
    log->use_id = change->use_id;
    log->window_id = change->window_id;
    return STATUS_OK;
}

int window_log_rewind(struct window_log *log)
{
    /* With a file, the buffer becomes its reading window, so what the buffer still holds goes there first. */
    if (!log->reading && log->file >= 0 && spill(log))
        return STATUS_SYSTEM;
    if (!log->reading)
        log->end = log->position;
    if (log->file >= 0)
        log->end = 0;
    log->reading = 1;
    log->position = 0;
    log->file_read = 0;
    log->use_id = log->window_id = 0;
    return STATUS_OK;
}

/* More of the file behind what is left of the buffer. */
static int refill(struct window_log *log)
{
    size_t left = log->end - log->position;
    uint64_t unread = log->file_bytes - log->file_read;
    size_t count = unread < BUFFER_BYTES - left ? (size_t)unread : BUFFER_BYTES - left;
    memmove(log->buffer, log->buffer + log->position, left);
    if (transfer(log->file, 0, log->buffer + left, count, log->file_read))
        return STATUS_SYSTEM;
    log->file_read += count;
    log->position = 0;
    log->end = left + count;
    return STATUS_OK;
}

int window_log_next(struct window_log *log, struct window_change *ret_change)
{
    uint64_t stack, windows = 0;
    struct window_change change;
    if (log->end - log->position < MAX_CHANGE_BYTES && log->file_read < log->file_bytes && refill(log))
        return STATUS_SYSTEM;
    if (log->position == log->end)
        return STATUS_END;
    const uint8_t *from = varint_get(log->buffer + log->position, &stack);
    if (stack & 1)
        from = varint_get(from, &windows);
    from = varint_get(from, &change.live_bytes);
    from = varint_get(from, &change.live_allocations);
    log->position = (size_t)(from - log->buffer);
    change.use_id = log->use_id = (uint32_t)(log->use_id + unzigzag(stack >> 1));
    change.window_id = log->window_id = (uint32_t)(log->window_id + windows);
    *ret_change = change;
    return STATUS_OK;
}
