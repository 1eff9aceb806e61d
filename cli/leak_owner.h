/* Which line of the program owns what a stack allocated: the one to look at when it leaks.
 *
 * The line that `lines` credits, but for
 *   the standard library of Python: the line that called into it, unless that is far out (the loop that runs everything)
 *   helpers of a C program that allocate for their callers, as their names tell (xmalloc, buffer_alloc): the line that calls them */
#ifndef HEAPLINE_CLI_LEAK_OWNER_H
#define HEAPLINE_CLI_LEAK_OWNER_H

#include "stack_set.h"

/* The frame's id; 0: the stack has none. */
uint32_t leak_owner(const struct stack_set *set, uint32_t stack_index);
/* The index of the stack, or one of its callers', whose innermost frame that is; SET_EMPTY: none. */
uint32_t leak_owner_stack(const struct stack_set *set, uint32_t stack_index);

#endif
