/* A made-up recording for the tests of lib/trace: definitions and events in order, as they go into a writer, and everything that
 * must come out again, computed here by the simplest means (lists and loops, none of lib/trace's code but the plain structs). */
#ifndef HEAPLINE_TESTS_TRACE_SCRIPT_H
#define HEAPLINE_TESTS_TRACE_SCRIPT_H

#include "trace_reader.h"
#include "trace_writer.h"

struct script_step {
    enum { STEP_EVENT, STEP_DEFINE, STEP_FLUSH, STEP_TALLY } what;
    union {
        struct trace_event event;
        struct trace_definition definition;
    };
};

struct script {
    struct script_step *steps;
    size_t count, capacity;
    struct trace_totals totals; /* what the events add up to; the high-water mark is script_find_peak's */
    struct trace_level level;   /* at the end */
    uint64_t time_ns;
    uint32_t thread_id;
    uint64_t big_copies, big_copied_bytes, small_copies;
    struct script_level {
        struct trace_level level;
        uint64_t time_ns;
    } *levels;                  /* after each counted event */
    size_t level_capacity;
    /* the naive live set, by slot */
    struct script_slot {
        int live;
        uint64_t size_bytes;
        uint32_t stack_id;
        unsigned flags;
    } *slots;
    uint32_t slot_count, *free_list, free_count, live_count, slot_capacity;
    uint32_t codes, stacks, modules, threads;
    uint64_t sampling_interval_bytes; /* what script_record says of the trace */
    int is_resampled;                 /* it says something else further on */
};

/* So many random steps: bursts of regular loops among noise, every kind of event and definition. */
void script_random(struct script *script, uint64_t seed, size_t steps);
/* Go on until there are so many. */
void script_random_more(struct script *script, uint64_t seed, size_t steps);
void script_done(struct script *script);

/* Append one step to a script that began as {0}; slots and totals are kept up. */
void script_define(struct script *script, const struct trace_definition *definition);
void script_node(struct script *script, uint32_t caller_id);
void script_flush(struct script *script);
/* From here on the writer adds events up. */
void script_tally(struct script *script);
uint32_t script_allocate(struct script *script, uint64_t size_bytes, uint32_t stack_id, unsigned flags);
void script_free(struct script *script, uint32_t slot, unsigned flags);
void script_event(struct script *script, struct trace_event event);

/* Look through all levels for the highest, and put it into the totals. */
void script_find_peak(struct script *script);

/* Feed a writer; checks the slots it assigns. */
/* One event. `slots`: by the script's slot, the writer's, kept by this; NULL: they are the same, which is checked. */
void script_write_event(const struct trace_event *event, struct trace_writer *writer, uint32_t *slots);
void script_write(const struct script *script, struct trace_writer *writer);

/* A whole trace: in a file without a name. Returns the file. end_reason < 0: no end block. */
int script_record(struct script *script, int end_reason);
int script_open_file(void);
/* Open the trace in such a file. */
int script_reader(int file, struct trace_reader **ret_reader, struct status_detail *detail);

struct script_progress {
    size_t events, definitions; /* that were read and were right */
    int status;                 /* STATUS_END, or the error that ended it */
};

/* Read on to the end or an error, checking that what comes is the script's steps in order: none altered, added or left out. */
struct script_progress script_check(const struct script *script, struct trace_reader *reader, struct status_detail *detail);

size_t script_event_steps(const struct script *script);
size_t script_definition_steps(const struct script *script);

void check_totals(const struct trace_totals *actual, const struct trace_totals *expected);

extern const struct trace_identity script_identity;

#endif
