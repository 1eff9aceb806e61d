/* Rows, in the order of their keys, into the b-tree of an SQLite table or index that is still empty.
 *
 * Consumes records (record.h); produces full pages in a page file (page_file.h), from the leaves to the root, each written once: some 30 ns
 * a row where an INSERT takes 500. https://www.sqlite.org/fileformat.html, section 1.6.
 *
 * Vocabulary: a leaf page holds rows; an interior page holds children, each but the last with the greatest key below it. In a table's b-tree
 * that key is a row id and repeats the row's; in an index's it is a whole row, which then is in no leaf.
 * One thread; allocates a page a level. */
#ifndef HEAPLINE_ANALYSIS_BTREE_WRITER_H
#define HEAPLINE_ANALYSIS_BTREE_WRITER_H

#include <stddef.h>

#include "page_file.h"

#define BTREE_MAX_LEVELS 12

/* Also the first byte of its leaf pages. */
enum btree_kind { BTREE_INDEX = 10, BTREE_TABLE = 13 };

struct btree_page {
    uint8_t *bytes;          /* NULL: not begun */
    uint32_t cell_count;
    uint32_t content_start;  /* cells grow downward from the end */
};

struct btree_writer {
    struct page_file *pages;
    enum btree_kind kind;
    uint32_t root_page;
    int failed;              /* a status that sticks */
    int64_t last_row_id;
    struct btree_page levels[BTREE_MAX_LEVELS]; /* leaves first */
};

/* root_page: as in sqlite_schema; that page is an empty leaf. */
void btree_begin(struct btree_writer *tree, struct page_file *pages, enum btree_kind kind, uint32_t root_page);
/* A row of a table. Row ids rise. */
void btree_add_row(struct btree_writer *tree, int64_t row_id, const uint8_t *record, size_t bytes);
/* A row of an index, or of a table WITHOUT ROWID: rows rise in the order of their columns. Of fewer than 100 bytes. */
void btree_add_key(struct btree_writer *tree, const uint8_t *record, size_t bytes);
/* Returns 0, STATUS_NO_MEMORY, or STATUS_CORRUPT: keys were out of order. */
int btree_end(struct btree_writer *tree);

#endif
