/* The frame around everything in a trace: the file header, block headers, the end block, checksums and zstd.
 * Plain structs on one side, little-endian bytes on the other. Readers here check what can be checked in a header alone.
 * One thread; only the zstd contexts allocate. */
#ifndef HEAPLINE_TRACE_TRACE_BLOCK_H
#define HEAPLINE_TRACE_TRACE_BLOCK_H

#include "status.h"
#include "trace_event.h"
#include "trace_format.h"

/* What a block's header says (docs/trace_format.md, "Block header"). */
struct trace_block {
    uint32_t type;            /* enum trace_block_type */
    uint32_t sequence;        /* 0, 1, 2 … */
    uint32_t raw_bytes;       /* of the payload before compression */
    uint32_t stored_bytes;    /* in the file */
    uint32_t payload_checksum;
    uint64_t event_count;     /* counted as trace_totals.event_count counts */
    uint64_t first_event;     /* events in the blocks before */
    uint64_t start_time_ns, end_time_ns;
    uint64_t peak_bytes, peak_object_bytes; /* highest level after an allocation of this block: total, and objects in arenas */
    uint64_t peak_time_ns;
    uint64_t peak_event;      /* events of this block up to and including that one; 0: none */
    struct trace_level end_level; /* after the last event */
};

void trace_file_header_pack(const struct trace_identity *identity, uint8_t to[TRACE_FILE_HEADER_BYTES]);
/* Returns 0, STATUS_NOT_A_TRACE, STATUS_NEWER_VERSION or STATUS_CORRUPT. `bytes` may be less than a whole
 * header: `count` says. */
int trace_file_header_unpack(const uint8_t *bytes, size_t count, struct trace_identity *ret_identity, uint32_t *ret_version,
                             struct status_detail *detail);

/* The same header with other flags. */
void trace_file_header_set_flags(uint8_t header[TRACE_FILE_HEADER_BYTES], uint32_t flags);

void trace_block_pack(const struct trace_block *block, uint8_t to[TRACE_BLOCK_HEADER_BYTES]);
/* Returns 0 or STATUS_CORRUPT; `offset` is where the header stands in the file. */
int trace_block_unpack(const uint8_t from[TRACE_BLOCK_HEADER_BYTES], uint64_t offset, struct trace_block *ret_block,
                       struct status_detail *detail);

void trace_end_pack(const struct trace_end *end, uint8_t to[TRACE_END_BYTES]);
void trace_end_unpack(const uint8_t from[TRACE_END_BYTES], struct trace_end *ret_end);

/* Fill `detail` (may be NULL) and return `status`: return trace_fail(...). */
__attribute__((format(printf, 4, 5))) COLD int trace_fail(struct status_detail *detail, int status, uint64_t offset,
                                                          const char *format, ...);

#endif
