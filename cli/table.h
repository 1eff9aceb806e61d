/* Aligned columns that fit the terminal: cells are collected, measured, then printed. Where they don't fit, columns of lower priority go
 * first, then flexible ones are clipped. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_TABLE_H
#define HEAPLINE_CLI_TABLE_H

#include "terminal.h"

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    const char *title;
    enum table_align align;
    enum style style;
    int flexible;    /* may be clipped down to so many columns; 0: never */
    int clip_start;  /* clip the beginning, as paths want it */
    int expendable;  /* left out when the terminal is narrow, the highest first; 0: never */
};

struct table;

/* `columns` is copied. */
struct table *table_new(const struct terminal *terminal, const struct table_column *columns, int column_count);
void table_free(struct table *table);

/* The next cell, row by row. Text is cleaned (text_clean). */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A cell of our own glyphs, taken as it is. */
void table_glyphs(struct table *table, const char *text);
/* The row of the last cell is printed in this style as a whole. */
void table_row_style(struct table *table, enum style style);
/* A line across, above the row of the next cell. */
void table_rule(struct table *table);

void table_print(struct table *table);

#endif
