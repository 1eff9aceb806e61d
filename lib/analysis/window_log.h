/* The log of which stacks' live bytes changed in which window of the run's time.
 *
 * Written window by window while the trace is replayed, read back as often as wanted afterwards. A short log stays in memory;
 * a long one (many stacks that change in every window) goes to a deleted temporary file. Some six bytes a change: all numbers are varints,
 * that of the use the difference to the one before. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_WINDOW_LOG_H
#define HEAPLINE_ANALYSIS_WINDOW_LOG_H

#include <stddef.h>
#include <stdint.h>

struct window_change {
    uint64_t live_bytes, live_allocations; /* at the window's end */
    uint32_t use_id, window_id;
};

struct window_log {
    uint8_t *buffer;
    size_t position, end;   /* in the buffer: where to write, or to read and where what was read from the file ends */
    int file;               /* -1: none */
    uint64_t file_bytes, file_read;
    uint32_t use_id, window_id; /* of the last change written or read */
    int reading;
};

void window_log_init(struct window_log *log);
void window_log_done(struct window_log *log);

/* Returns 0, STATUS_NO_MEMORY or STATUS_SYSTEM. */
int window_log_add(struct window_log *log, const struct window_change *change);

/* Begin to read from the start; nothing can be added any more. Returns 0 or STATUS_SYSTEM. */
int window_log_rewind(struct window_log *log);
/* 0, STATUS_END or STATUS_SYSTEM. */
int window_log_next(struct window_log *log, struct window_change *ret_change);

#endif
