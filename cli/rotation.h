/* What --rotate takes: a size or a time. No allocation. */
#ifndef HEAPLINE_CLI_ROTATION_H
#define HEAPLINE_CLI_ROTATION_H

#include <stdint.h>

struct rotation {
    uint64_t segment_bytes, segment_ms; /* one of them is 0; both: not given */
};

/* Of "64M", "10min" … `max_trace_bytes`: what --max-trace-size says, 0: no bound. Exits with status 2 where that is none, or there is no bound. */
struct rotation rotation_parse(const char *command, const char *text, uint64_t max_trace_bytes);

#endif
