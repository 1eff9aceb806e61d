/* Definitions <-> the definitions section (docs/trace_format.md, "Definitions"). Numbers that count up are not written: encoder
 * and decoder count. The decoder trusts nothing and allocates nothing: strings point into its input. The encoder's buffer grows.
 * One thread. */
#ifndef HEAPLINE_TRACE_DEFINITION_CODEC_H
#define HEAPLINE_TRACE_DEFINITION_CODEC_H

#include <stddef.h>

#include "status.h"
#include "trace_event.h"

/* How many of each kind there are so far. */
struct definition_counts {
    uint32_t codes, stacks, modules, threads;
};

/* All definitions of a trace in the encoding of the section. */
struct definition_log {
    struct definition_counts counts;
    uint8_t *bytes;
    size_t count, capacity;
};

void definition_log_done(struct definition_log *log);

/* The most bytes that it can take, strings included. */
size_t definition_max_bytes(const struct trace_definition *definition);

/* Append. Strings are cut at TRACE_MAX_STRING_BYTES; a line table past TRACE_MAX_TABLE_BYTES is left out.
 * Returns 0, STATUS_NO_MEMORY, or STATUS_INVALID (a number out of order, or a reference to what isn't defined); the log is then
 * unchanged. */
int definition_log_append(struct definition_log *log, const struct trace_definition *definition);

/* Decode the definition at *next, and move on. Returns 0, STATUS_END (at `end`) or STATUS_CORRUPT (*ret_problem: a clause).
 * VARINT_MAX_BYTES must be readable behind `end`. */
int definition_decode(struct definition_counts *counts, const uint8_t **next, const uint8_t *end,
                      struct trace_definition *definition, const char **ret_problem);

#endif
