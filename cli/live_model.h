/* What heapline live and heapline metrics show of a running process: its level, its lines, and how fast they change.
 *
 * Consumes a live_replay, once per sample; keeps the samples of the last minute, which rates and growth are taken from. One thread; allocates;
 * aborts without memory. */
#ifndef HEAPLINE_CLI_LIVE_MODEL_H
#define HEAPLINE_CLI_LIVE_MODEL_H

#include "count_error.h"
#include "estimate.h"
#include "live_replay.h"

#define LIVE_SAMPLES 61           /* of lines: growth is that over so many samples less one */
#define LIVE_LEVELS 600           /* of the process: the graph of the recent past */
#define LIVE_IMPORTS UINT32_MAX   /* line_id of the row that imports are folded into */

enum live_sort { LIVE_BY_BYTES, LIVE_BY_RATE, LIVE_BY_GROWTH, LIVE_BY_BLOCKS, LIVE_SORT_COUNT };

struct live_row {
    uint32_t line_id;             /* keeps its number while the view lasts */
    const char *file, *function;  /* file NULL: none */
    int32_t line;                 /* 0: none */
    uint8_t kind, origin;
    uint64_t live_bytes, live_allocations, allocated_bytes, allocations;
    struct count_error error;     /* of the counts of a sample */
    double bytes_per_s, allocations_per_s; /* allocated since the sample before */
    int64_t growth_bytes;         /* of live bytes, over the samples kept */
};

/* The process at a sample. */
struct live_level {
    uint64_t time_ns, heap_bytes, rss_bytes;
};

struct live_sample {
    uint64_t time_ns, allocated_bytes, allocations, heap_bytes;
    uint32_t line_count;
    struct line_counts {
        uint64_t live_bytes, allocated_bytes, allocations;
    } *lines;                     /* by line_id */
};

struct live_model {
    const struct replay *replay;  /* totals, properties, timeline */
    struct line_report lines;     /* of the latest sample; what stacks are credited to */
    int fold_imports;
    struct live_row *rows;        /* all that ever allocated or hold anything; in the order of the latest live_model_sort */
    uint32_t row_count;
    uint64_t time_ns, rss_bytes;
    struct count_error error;     /* of all lines together */
    double bytes_per_s, allocations_per_s;
    int64_t growth_bytes;
    uint64_t growth_ns;           /* the time that growth is of */
    struct live_sample samples[LIVE_SAMPLES]; /* a ring: the latest is number sample_count - 1 */
    uint64_t sample_count;
    struct live_level levels[LIVE_LEVELS];    /* a ring, too */
};

void live_model_init(struct live_model *model, int fold_imports);
void live_model_done(struct live_model *model);

/* Take a sample. */
void live_model_update(struct live_model *model, struct live_replay *replay);

/* The largest first; equal ones in an order of their own, so that rows don't jump. */
void live_model_sort(struct live_model *model, enum live_sort sort);
const char *live_sort_name(enum live_sort sort);
/* -1: no such name. */
int live_sort_parse(const char *name);

/* Is the line's file or function named like this? Letters' case doesn't matter; "" is like any. */
int live_row_matches(const struct live_row *row, const char *filter);
/* Is the stack credited to this row? */
int live_row_has_stack(const struct live_model *model, const struct live_row *row, uint32_t stack_id);

/* It is a sample, and `error` of rows and all together is known. */
int live_model_knows_errors(const struct live_model *model);
/* Behind a number of live blocks: " (1,200 to 1,430)"; nothing where it is exact. */
struct live_interval_text {
    char text[64];
};
struct live_interval_text live_model_interval(const struct live_model *model, uint64_t live_allocations, const struct count_error *error);

/* A property of the process, NULL: unknown. */
const char *live_model_property(const struct live_model *model, const char *key);

#endif
