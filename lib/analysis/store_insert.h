/* Rows into SQLite, value by value, in the order of a table's columns.
 * Errors stick: insert_end tells of the first one. One thread. */
#ifndef HEAPLINE_ANALYSIS_STORE_INSERT_H
#define HEAPLINE_ANALYSIS_STORE_INSERT_H

#include <sqlite3.h>
#include <stdint.h>

struct insert {
    sqlite3_stmt *statement;
    int column_count;
    int next_column;
    int failed;
};

void insert_begin(struct insert *insert, sqlite3 *database, const char *table, int column_count);
void insert_number(struct insert *insert, uint64_t value); /* SQLite's integers end at 2^63 - 1: larger ones are cut to it */
void insert_signed(struct insert *insert, int64_t value);
void insert_number_or_null(struct insert *insert, uint64_t value); /* 0: NULL */
void insert_text(struct insert *insert, const char *text);         /* kept by the caller until insert_row; NULL: NULL */
void insert_null(struct insert *insert);
void insert_row(struct insert *insert);
/* Returns 0 or STATUS_DATABASE. */
int insert_end(struct insert *insert);

#endif
