/* Collects cells and prints them aligned: see table.h. */
#include "table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "text.h"

#define GAP 2
#define MAX_COLUMNS 24

struct row {
    char *cells[MAX_COLUMNS];
    enum style style;
    int ruled;
};

struct table {
    const struct terminal *terminal;
    struct table_column columns[MAX_COLUMNS];
    int column_count;
    int widths[MAX_COLUMNS];   /* as printed */
    int natural[MAX_COLUMNS];  /* of the widest cell */
    int hidden[MAX_COLUMNS];
    struct row *rows;
    int row_count, row_capacity;
    int next_column;
    int rule_next;
};

struct table *table_new(const struct terminal *terminal, const struct table_column *columns, int column_count)
{
    struct table *table = memory_new(1, sizeof *table);
    assert(column_count <= MAX_COLUMNS);
    table->terminal = terminal;
    memcpy(table->columns, columns, (size_t)column_count * sizeof *columns);
    table->column_count = column_count;
    table->next_column = column_count;
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (int i = 0; i < table->row_count; i++)
        for (int column = 0; column < table->column_count; column++)
            free(table->rows[i].cells[column]);
    free(table->rows);
    free(table);
}

static void begin_row(struct table *table)
{
    if (table->row_count == table->row_capacity) {
        table->row_capacity = table->row_capacity ? 2 * table->row_capacity : 32;
        table->rows = memory_resize(table->rows, (size_t)table->row_capacity, sizeof *table->rows);
    }
    table->rows[table->row_count++] = (struct row){.ruled = table->rule_next};
    table->rule_next = 0;
    table->next_column = 0;
}

/* Takes over `text`. */
static void put_cell(struct table *table, char *text)
{
    if (table->next_column == table->column_count)
        begin_row(table);
    table->rows[table->row_count - 1].cells[table->next_column++] = text;
}

void table_cell(struct table *table, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        memory_exhausted();
    va_end(arguments);
    put_cell(table, text_clean(text, table->terminal->unicode));
    free(text);
}

void table_glyphs(struct table *table, const char *text)
{
    put_cell(table, memory_copy(text));
}

void table_row_style(struct table *table, enum style style)
{
    table->rows[table->row_count - 1].style = style;
}

void table_rule(struct table *table)
{
    table->rule_next = 1;
}

static void measure(struct table *table)
{
    for (int column = 0; column < table->column_count; column++) {
        table->natural[column] = text_width(table->columns[column].title);
        for (int i = 0; i < table->row_count; i++) {
            const char *cell = table->rows[i].cells[column];
            int width = cell ? text_width(cell) : 0;
            if (width > table->natural[column])
                table->natural[column] = width;
        }
    }
}

/* Columns taken when flexible ones are as narrow as they may be. */
static int smallest_width(const struct table *table)
{
    int sum = 0;
    for (int column = 0; column < table->column_count; column++) {
        int width = table->natural[column], flexible = table->columns[column].flexible;
        if (table->hidden[column])
            continue;
        sum += (flexible && width > flexible ? flexible : width) + GAP;
    }
    return sum - GAP;
}

static void hide_expendable(struct table *table)
{
    while (smallest_width(table) > table->terminal->width) {
        int worst = -1;
        for (int column = 0; column < table->column_count; column++) {
            int expendable = table->hidden[column] ? 0 : table->columns[column].expendable;
            if (expendable && (worst < 0 || expendable > table->columns[worst].expendable))
                worst = column;
        }
        if (worst < 0)
            return;
        table->hidden[worst] = 1;
    }
}

/* Flexible columns share what the others leave, the first one before the rest. */
static void share_width(struct table *table)
{
    int spare = table->terminal->width - smallest_width(table);
    for (int column = 0; column < table->column_count; column++) {
        int width = table->natural[column], flexible = table->columns[column].flexible;
        if (flexible && width > flexible) {
            int more = table->hidden[column] ? 0 : spare > 0 ? spare : 0;
            if (more > width - flexible)
                more = width - flexible;
            if (!table->hidden[column])
                spare -= more;
            width = flexible + more;
        }
        table->widths[column] = width;
    }
}

/* The last cell of the row that holds anything: nothing is printed after it. */
static int last_filled(const struct table *table, const struct row *row)
{
    int last = table->column_count - 1;
    while (last > 0 && (table->hidden[last] || !row->cells[last] || !row->cells[last][strspn(row->cells[last], " ")]))
        last--;
    return last;
}

static void print_cell(const struct table *table, int column, char *text, enum style style, int is_last)
{
    const struct terminal *terminal = table->terminal;
    const struct table_column *shape = &table->columns[column];
    text_clip(text, table->widths[column], shape->clip_start ? TEXT_CLIP_START : TEXT_CLIP_END, terminal_ellipsis(terminal));
    int padding = table->widths[column] - text_width(text);
    if (shape->align == TABLE_RIGHT)
        fprintf(terminal->out, "%*s", padding, "");
    if (style == STYLE_PLAIN)
        fputs(text, terminal->out);
    else
        terminal_print(terminal, style, "%s", text);
    if (!is_last)
        fprintf(terminal->out, "%*s", GAP + (shape->align == TABLE_LEFT ? padding : 0), "");
}

static void trim_end(char *text)
{
    size_t length = strlen(text);
    while (length && text[length - 1] == ' ')
        text[--length] = '\0';
}

static void print_row(const struct table *table, const struct row *row)
{
    int last = last_filled(table, row);
    for (int column = 0; column <= last; column++) {
        char nothing[] = "";
        char *text = row->cells[column] ? row->cells[column] : nothing;
        enum style style = row->style != STYLE_PLAIN ? row->style : table->columns[column].style;
        if (table->hidden[column])
            continue;
        if (column == last)
            trim_end(text);
        print_cell(table, column, text, style, column == last);
    }
    fputc('\n', table->terminal->out);
}

static void print_titles(const struct table *table)
{
    struct row titles = {.style = STYLE_DIM};
    int any = 0;
    for (int column = 0; column < table->column_count; column++) {
        titles.cells[column] = text_clean(table->columns[column].title, table->terminal->unicode);
        any |= *titles.cells[column];
    }
    if (any)
        print_row(table, &titles);
    for (int column = 0; column < table->column_count; column++)
        free(titles.cells[column]);
}

static void print_rule(const struct table *table)
{
    int width = -GAP;
    for (int column = 0; column < table->column_count; column++)
        width += table->hidden[column] ? 0 : table->widths[column] + GAP;
    fputs(terminal_style(table->terminal, STYLE_DIM), table->terminal->out);
    for (int i = 0; i < width; i++)
        fputs(table->terminal->unicode ? "─" : "-", table->terminal->out);
    fprintf(table->terminal->out, "%s\n", terminal_style(table->terminal, STYLE_PLAIN));
}

void table_print(struct table *table)
{
    measure(table);
    hide_expendable(table);
    share_width(table);
    print_titles(table);
    for (int i = 0; i < table->row_count; i++) {
        if (table->rows[i].ruled)
            print_rule(table);
        print_row(table, &table->rows[i]);
    }
}
