/* Which frames of two traces are the same place: numbers them, so that rows and stacks of both can be compared by number. By file (diff_files.h),
 * function and line; lines of a file that was edited between the runs are found again by its two texts, where both are to be had, else by the
 * recorded lines of each function (line_map.h). Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_DIFF_MATCH_H
#define HEAPLINE_CLI_DIFF_MATCH_H

#include "diff_sides.h"

struct diff_match {
    uint32_t *places[2];  /* by frame id of the old and the new side: from 1; 0 for no frame */
    uint32_t place_count; /* one more than the highest */
    int64_t edited_files; /* whose lines moved between the runs */
};

void diff_match_make(const struct diff_side *sides, enum set_key by, struct diff_match *ret_match);
void diff_match_free(struct diff_match *match);

/* By stack index of each side: numbers that stacks through the same places share. Returns one more than the highest. */
uint32_t diff_match_stacks(const struct diff_side *sides, const struct diff_match *match, uint32_t *ret_stacks[2]);

#endif
