/* Records of a trace as lines of text, or as objects of one JSON document. */
#ifndef HEAPLINE_CLI_DUMP_RECORD_H
#define HEAPLINE_CLI_DUMP_RECORD_H

#include "json.h"
#include "trace_reader.h"

struct dump_writer {
    int is_json;
    struct json json;
};

void dump_begin(struct dump_writer *writer, int is_json, const struct trace_overview *overview);
void dump_block_start(struct dump_writer *writer, uint64_t number, uint64_t end_offset);
void dump_definition(struct dump_writer *writer, const struct trace_definition *definition);
void dump_tally(struct dump_writer *writer, const struct trace_tally *tally);
void dump_tally_moment(struct dump_writer *writer, const struct tally_moment *moment);
/* has_peak: the tally's. */
void dump_tally_stack(struct dump_writer *writer, const struct tally_stack *stack, int has_peak);
void dump_event(struct dump_writer *writer, const struct trace_event *event);
/* `is_whole`: nothing was left out. `damage`: NULL, or what stopped the reading. */
void dump_end(struct dump_writer *writer, const struct trace_overview *overview, int is_whole, const struct status_detail *damage);

#endif
