/* All stacks and frames of a report database in memory, for what must look at every one of them: trees, other rules of attribution,
 * suppressions. Arrays by number, callers before what they call. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_STACK_SET_H
#define HEAPLINE_CLI_STACK_SET_H

#include "reading.h"

struct set_frame {
    char *kind, *function, *file, *module, *origin; /* as in the table `frame`; NULL where it is NULL there */
    int64_t line;                                   /* 0: none */
};

struct set_stack {
    uint32_t caller;     /* index; SET_EMPTY: none */
    uint32_t frame;      /* its innermost frame; 0: none */
    uint32_t line_frame; /* the one that `lines` credits */
};

/* Stacks have indexes by their depth, so that callers come first. The first three are fixed: those of the pseudo stacks, ids -2 and -1,
 * and of the empty stack, id 0. */
#define SET_EMPTY 2

struct stack_set {
    struct set_frame *frames; /* by frame id, from 1 */
    struct set_stack *stacks; /* by index */
    int64_t *ids;             /* by index */
    uint32_t *indexes;        /* by id + SET_EMPTY; SET_EMPTY for ids that don't exist */
    uint32_t untagged_frame;  /* one that the database doesn't have, the last: '(no tag)' */
    uint32_t frame_count, stack_count; /* one more than the highest */
    int64_t id_count;
};

void stack_set_load(sqlite3 *database, struct stack_set *ret_set);
void stack_set_free(struct stack_set *set);

/* Take the interpreter's own native frames out of stacks with Python frames, and what the system called them by: such a stack becomes its
 * nearest caller. */
void stack_set_fold_interpreter(struct stack_set *set);

/* By index: 1 where fold_interpreter would take the innermost frame out. malloc'ed. */
uint8_t *stack_set_find_interpreter(const struct stack_set *set);

/* Of any number that a database holds: SET_EMPTY where there is no such stack. */
uint32_t stack_set_index(const struct stack_set *set, int64_t stack_id);

/* What makes two frames one row. */
enum set_key { SET_BY_LINE, SET_BY_FUNCTION, SET_BY_MODULE };

/* Numbers by frame id, from 1, the same for frames of one row; malloc'ed. *ret_key_count: one more than the highest. */
uint32_t *stack_set_keys(sqlite3 *database, const struct stack_set *set, enum set_key by, uint32_t *ret_key_count);

#endif
