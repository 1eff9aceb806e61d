/* The space within a trace of bounded size whose old parts make room for new ones (docs/trace_format.md, "Rotated files").
 *
 * The file is divided into extents of equal length. A part is a list of extents; the parts in their order are the trace's bytes, as if they stood
 * one behind the other. An index says which extents make up which part. It is written anew, in one of two places by turns, whenever that
 * changes: a writer that is killed at any moment leaves one that is whole, and what it says is in the file.
 * Vocabulary
 *   stream offset   where a byte of the trace would be if its parts stood one behind the other, the file header in front
 *   open            the last part while it is being written: it ends where no block follows
 * One thread; allocates lists of extents. */
#ifndef HEAPLINE_TRACE_TRACE_SPACE_H
#define HEAPLINE_TRACE_TRACE_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define SPACE_INDEX_BYTES 4096u
#define SPACE_FIRST_INDEX 4096u  /* the second follows; behind it the extents begin */
#define SPACE_FIRST_EXTENT (SPACE_FIRST_INDEX + 2 * SPACE_INDEX_BYTES)
#define SPACE_MAX_EXTENTS 1000u
#define SPACE_MAX_PARTS 64u
#define SPACE_PART_OPEN UINT64_MAX

struct space_part {
    uint64_t bytes;        /* SPACE_PART_OPEN in an index: all of its extents */
    uint32_t extent_count;
    uint16_t *extents;
};

struct trace_space {
    uint32_t extent_bytes, extent_count; /* all there are */
    uint32_t used_count;
    uint8_t used[SPACE_MAX_EXTENTS];
    uint64_t end_bytes;                  /* writing: the file's length */
    uint64_t generation;                 /* of the index written or read last */
    int is_open;                         /* reading: the last part is */
    uint32_t part_count;                 /* reading: the index */
    struct space_part parts[SPACE_MAX_PARTS];
};

/* ---- writing ---- */

/* Divide so many bytes. */
void trace_space_init(struct trace_space *space, uint64_t file_bytes);
uint64_t trace_space_free_bytes(const struct trace_space *space);
/* Append to a part, which grows as needed. Sets *ret_grown if it did: the index is to be written. Returns 0, or an errno: ENOSPC without a free
 * extent; the part's length is then what it was. */
int trace_space_append(struct trace_space *space, int file, struct space_part *part, const uint8_t *bytes, size_t count, int *ret_grown);
/* The part's extents are free again: once an index without it has been written. */
void trace_space_release(struct trace_space *space, struct space_part *part);
/* Write the index. is_open: the last part goes on. Returns 0 or an errno. */
int trace_space_commit(struct trace_space *space, int file, const struct space_part *const *parts, uint32_t part_count, int is_open);

/* ---- reading ---- */

/* Read the newest whole index; of a file that is only a header: no parts. Returns 0, STATUS_CORRUPT (`detail` says why), STATUS_SYSTEM or STATUS_NO_MEMORY. */
int trace_space_load(struct trace_space *space, int file, uint64_t file_bytes, struct status_detail *detail);
void trace_space_done(struct trace_space *space);
/* Stream offset behind the last part. */
uint64_t trace_space_end(const struct trace_space *space);
/* Is what stood in the stream by the first still there by the second, at the same place? */
int trace_space_continues(const struct trace_space *before, const struct trace_space *now);
int trace_space_is_part_start(const struct trace_space *space, uint64_t stream_offset);
/* In how long a piece of the file does the stream go on from here? Sets where. Returns 0 behind the end. */
uint64_t trace_space_locate(const struct trace_space *space, uint64_t stream_offset, uint64_t *ret_file_offset);

#endif
