/* heapline leaks --all-processes: lines that keep growing in any process of a run. A server's work is done by its worker processes, and what it
 * leaks leaks there: a line that leaks in several of them is one row. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_LEAK_PROCESSES_H
#define HEAPLINE_CLI_LEAK_PROCESSES_H

#include "leak_rows.h"
#include "process_list.h"

/* What is reported of one process. */
struct leak_share {
    uint32_t process;                     /* index in the list of processes */
    int64_t live_bytes, live_allocations; /* when judged */
    double bytes_per_second, confidence;
    struct count_error judged;            /* of live_allocations */
    enum { COUNT_EXACT, COUNT_SAMPLED, COUNT_UNKNOWN } count; /* UNKNOWN: it is an estimate, and `judged` isn't known */
};

/* A leak, by its first line; its further lines (leak_groups.h) are counted with it. */
struct leak_place {
    char *file, *function; /* file: the module's, where there is no source; NULL: not known */
    int64_t line;
    struct leak_share whole; /* sums, and the highest confidence; process: not used */
    struct leak_share *shares;
    int share_count;
};

struct leak_processes {
    struct process_list processes;
    struct leak_place *places; /* those of confidence LEAK_CONFIDENT first; the fastest growing first */
    int place_count, process_count; /* process_count: of which something is reported */
    int held_process_count;         /* of which nothing is, but lines grew until they had nothing to do */
    int read_count;
    int64_t live_bytes, end_bytes;
    double bytes_per_second;
};

/* Every recorded process of the run of reading->trace. One whose trace can't be read is named on stderr and left out. */
void leak_processes_load(const struct reading *reading, struct suppressions *suppressions, uint64_t limit_bytes, struct leak_processes *ret_leaks);
void leak_processes_free(struct leak_processes *leaks);

void leak_processes_print(const struct reading *reading, const struct leak_processes *leaks);
void leak_processes_write(const struct reading *reading, const struct leak_processes *leaks, struct json *json);

#endif
