/* The large tables of a report database, written as finished b-trees (btree_writer.h): frames, stacks, their use, lines, live spans.
 *
 * Consumes a replay, its frames and its lines. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_STORE_TABLES_H
#define HEAPLINE_ANALYSIS_STORE_TABLES_H

#include <sqlite3.h>

#include "btree_writer.h"
#include "record.h"
#include "store.h"

/* What is written here; each is empty in the schema. */
enum store_tree {
    TREE_FRAME,
    TREE_STACK,
    TREE_STACK_USE,
    TREE_STACK_USE_LIVE, /* index */
    TREE_LINE_USE,
    TREE_LINE_USE_INCLUSIVE,
    TREE_LINE_STACK,
    TREE_LIVE_SPAN,
    TREE_SURVIVOR,
    TREE_STACK_ERROR,
    TREE_LINE_ERROR,
    TREE_LINE_ERROR_INCLUSIVE,
    TREE_COUNT
};

struct store_roots {
    uint32_t pages[TREE_COUNT];
};

/* Where the schema put them. Returns 0 or STATUS_DATABASE. */
int store_roots_find(sqlite3 *database, struct store_roots *ret_roots);

/* Returns 0, STATUS_NO_MEMORY or STATUS_SYSTEM. */
int store_tables_write(struct page_file *pages, const struct store_roots *roots, const struct store_input *input);

/* What the stacks that are live at the end held when: rows of live_span in its order (store_spans.c). */
int store_spans_write(struct btree_writer *tree, struct record *record, const struct store_input *input);

#endif
