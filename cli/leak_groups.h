/* Which of the reported lines belong to one leak: a thing that leaks is often several blocks, from several lines (an object, its dictionary, the
 * list of what keeps it).
 *
 * Lines of one leak grow in step (lockstep.h). As all that leaks with each request does that, they have to be near, too:
 *   function   lines of one function, or of one that the other calls within three calls: as by their largest stacks. Between two lines of the
 *              program only its own functions count, as a framework calls through many of its. A library's line doesn't begin a leak that has
 *              lines of the program.
 *   library    Python: a library's line, or one of the program's that keeps hardly anything of what it allocates (is_carrier), which both show
 *              what the program's own line keeps (pace(), leak_rows.c), and has the lesser rank
 * The best line that is in no leak yet begins one; it is called the leak's first line, and others are compared with it. */
#ifndef HEAPLINE_CLI_LEAK_GROUPS_H
#define HEAPLINE_CLI_LEAK_GROUPS_H

#include "leak_rows.h"

/* Sets leak, first, relation and in_step_with of the rows, which are in their order, and leak_count. */
void leak_groups_find(struct leak_rows *rows);

/* What the lines of a leak sum up to. */
struct leak_sum {
    int64_t lines, live_bytes, live_allocations;
    double bytes_per_second;
    struct count_error judged; /* of live_allocations */
};
struct leak_sum leak_sum(const struct leak_rows *rows, int64_t leak);

/* "function", "library"; NULL for a first line and for what isn't reported. */
const char *leak_relation_name(const struct leak_row *row);

#endif
