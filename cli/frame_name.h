/* The name of a frame in folded stacks: 'function (file.py:12)', 'function (libc.so.6)' or 'function'. */
#ifndef HEAPLINE_CLI_FRAME_NAME_H
#define HEAPLINE_CLI_FRAME_NAME_H

#include <stdio.h>

#include "stack_set.h"

/* ';' parts frames there, and the last blank the figure: they and control characters are replaced. */
void frame_name_write(FILE *out, const struct set_frame *frame);

#endif
