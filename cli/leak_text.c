/* What is said of leak candidates: evidence in words, and the section of `heapline report` (leak_rows.h). */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "count_interval.h"
#include "leak_groups.h"
#include "line_rows.h"
#include "table.h"
#include "units.h"

#define HOUR_SECONDS 3600.0

const char *leak_shape(const struct leak_row *row)
{
    static const char *const shapes[] = {
        [GROWTH_NONE] = "does not grow", [GROWTH_STEADY] = "keeps growing",   [GROWTH_LEVELS] = "levels off",
        [GROWTH_STEPS] = "grew in steps", [GROWTH_RECENT] = "grew at the end only", [GROWTH_NOISE] = "comes and goes",
        [GROWTH_TURNOVER] = "turns over", [GROWTH_FREE_LIST] = "fits into CPython's free lists",
    };
    if (row->grew_until_idle)
        return "grew until the program was idle";
    return row->stack_id < 0 ? "" : shapes[row->growth.shape];
}

struct text {
    char *at, *end;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->at, (size_t)(text->end - text->at), format, arguments);
    va_end(arguments);
    if (length > 0)
        text->at += length < text->end - text->at ? length : text->end - text->at - 1;
}

static struct unit_text seconds_text(double seconds)
{
    return units_time((int64_t)(seconds * 1e9));
}

static struct unit_text bytes_text(double bytes)
{
    return units_bytes((int64_t)fmin(bytes, 9e18));
}

/* What it held when it began to grow, and what it holds. */
static void add_levels(struct text *text, const struct growth *growth)
{
    add(text, "since %s: %s to %s", seconds_text(growth->onset_seconds).text, bytes_text(growth->onset_bytes).text,
        bytes_text(growth->end_bytes).text);
}

static void add_windows(struct text *text, const struct growth *growth)
{
    add(text, ", rising in %d of %d windows (p = %.1g)", growth->rising_windows, growth->window_count, growth->p);
}

/* A rate only where it holds. */
static void add_shape(struct text *text, const struct leak_row *row)
{
    const struct growth *growth = &row->growth;
    if (row->grew_until_idle)
        add(text, "%s, which may be a leak that had no more work, or all that was wanted; ", leak_shape(row));
    switch (growth->shape) {
    case GROWTH_NONE:
        add(text, "%s: what came after the first quarter of the run was given back", leak_shape(row));
        return;
    case GROWTH_STEADY:
        add_levels(text, growth);
        add_windows(text, growth);
        add(text, ", %s an hour", bytes_text(growth->bytes_per_second * HOUR_SECONDS).text);
        return;
    case GROWTH_LEVELS:
        add(text, "%s, as a cache does that is full; ", leak_shape(row));
        add_levels(text, growth);
        add(text, ", %s of it in the last third of that time", growth->late_bytes >= 1 ? bytes_text(growth->late_bytes).text : "nothing");
        return;
    case GROWTH_STEPS:
        add(text, "%s, not with the load; ", leak_shape(row));
        break;
    case GROWTH_RECENT:
        add(text, "%s, so it may be given back as what came before was; ", leak_shape(row));
        break;
    case GROWTH_TURNOVER:
        add(text, "%s, so that no block stays: of those from the first half of its growth %s live still; ", leak_shape(row),
            growth->old_bytes < 0.5 ? "none is" : "few are");
        break;
    case GROWTH_FREE_LIST:
        add(text, "%s, which keep 80 freed lists and 80 dicts: record for longer to tell; ", leak_shape(row));
        break;
    case GROWTH_NOISE:
        add(text, "%s by as much as it has grown; ", leak_shape(row));
        break;
    }
    add_levels(text, growth);
    add_windows(text, growth);
}

static void add_age(struct text *text, const struct leak_row *row)
{
    if (row->growth.shape == GROWTH_STEADY && row->growth.old_bytes >= 1)
        add(text, "; %s from the first half of that time live still", units_bytes((int64_t)row->growth.old_bytes).text);
}

static void add_survival(struct text *text, const struct leak_rows *rows, const struct leak_row *row)
{
    struct estimate_interval interval = count_interval_of(&row->error, ALLOCATIONS, row->allocations);
    if (row->allocations <= 0 || row->live_allocations <= 0)
        return;
    add(text, "; %s of its %s", units_share((double)row->live_allocations, (double)row->allocations).text,
        units_noun(row->allocations, "allocation").text);
    if (rows->knows_errors && interval.low != interval.high)
        add(text, " (95 %%: %s)", estimate_count_text(interval).text);
    add(text, " is live still, of all allocations %s", units_share(rows->survival, 1).text);
}

static int is_python(const struct leak_rows *rows, const struct leak_row *row)
{
    const char *kind = rows->set.frames[row->frame_id].kind;
    return kind && !strcmp(kind, "python");
}

/* Of a leak of several lines all of them count. */
static void add_limit(struct text *text, const struct leak_rows *rows, const struct leak_row *row)
{
    struct leak_sum sum = leak_sum(rows, row->leak);
    int64_t limit_ns = row->is_first ? leak_limit_ns(rows, sum.bytes_per_second) : row->limit_ns;
    if (limit_ns >= 0)
        add(text, "; %s fills the %s up to the limit of %s in %s", row->is_first && sum.lines > 1 ? "with its further lines it" : "alone it",
            units_bytes(rows->limit_bytes > rows->resident_bytes ? rows->limit_bytes - rows->resident_bytes : 0).text,
            units_bytes(rows->limit_bytes).text, units_time(limit_ns).text);
}

void leak_evidence(const struct leak_rows *rows, const struct leak_row *row, char *out, size_t size)
{
    struct text text = {out, out + size};
    if (row->stack_id < 0) {
        add(&text, "not a block: what no stack owns");
        return;
    }
    add_shape(&text, row);
    add_age(&text, row);
    add_survival(&text, rows, row);
    if (row->is_carrier && row->growth.confidence >= LEAK_CONFIDENT && is_python(rows, row))
        add(&text, "; Python may have handed dicts, lists or numbers that were freed here on to the line that keeps them");
    add_limit(&text, rows, row);
}

/* ---- the report's section ---- */

static void add_brief_row(const struct reading *reading, struct table *table, const struct leak_rows *rows, const struct leak_row *row)
{
    const struct set_frame *frame = &rows->set.frames[row->frame_id];
    struct leak_sum sum = row->leak ? leak_sum(rows, row->leak)
                                    : (struct leak_sum){1, row->live_bytes, row->live_allocations, row->growth.bytes_per_second, row->judged};
    struct estimate_interval interval;
    char *place = row->frame_id ? line_place(reading, frame->file ? frame->file : frame->module, frame->line, frame->function)
                                : line_place(reading, NULL, 0, "(no stack)");
    table_cell(table, "%s", place);
    table_cell(table, "%s", frame->function ? frame->function : "");
    table_cell(table, "%s", units_bytes(sum.live_bytes).text);
    table_cell(table, "%s", units_count(sum.live_allocations).text);
    if (rows->knows_errors)
        table_cell(table, "%s", leak_count_interval(rows, &sum.judged, sum.live_allocations, &interval) ? estimate_count_text(interval).text : "");
    table_cell(table, "%s/s", units_bytes((int64_t)sum.bytes_per_second).text);
    table_cell(table, "%.2f", row->growth.confidence);
    if (rows->leak_count < rows->confident_count && sum.lines > 1)
        table_cell(table, "and %s", units_noun(sum.lines - 1, "line").text);
    else if (rows->leak_count < rows->confident_count)
        table_cell(table, "%s", "");
    free(place);
}

void leak_rows_print_brief(const struct reading *reading, const struct leak_rows *rows, int64_t limit)
{
    struct table_column columns[8] = {
        {.title = "line", .style = STYLE_PLACE, .flexible = 26, .clip_start = 1},
        {.title = "function", .flexible = 12, .expendable = 3},
        {.title = "live", .align = TABLE_RIGHT, .style = STYLE_BOLD},
        {.title = "blocks", .align = TABLE_RIGHT, .expendable = 2},
    };
    int column_count = 4;
    char remark[160] = "still growing at the end";
    if (!rows->confident_count && !rows->held_count)
        return;
    if (rows->knows_errors)
        columns[column_count++] = (struct table_column){.title = "95 %", .align = TABLE_RIGHT, .style = STYLE_DIM, .expendable = 4};
    columns[column_count++] = (struct table_column){.title = "growth", .align = TABLE_RIGHT};
    columns[column_count++] = (struct table_column){.title = "confidence", .align = TABLE_RIGHT};
    if (rows->leak_count < rows->confident_count)
        columns[column_count++] = (struct table_column){.title = "in step", .style = STYLE_DIM, .expendable = 1};
    struct table *table = table_new(&reading->terminal, columns, column_count);
    if (!rows->confident_count)
        snprintf(remark, sizeof remark, "grew until the program had nothing to do, from %s on: leaked, or wanted", units_time(rows->idle_ns).text);
    for (int64_t i = 0; !rows->confident_count && i < rows->held_count && (!limit || i < limit); i++)
        add_brief_row(reading, table, rows, &rows->rows[i]);
    for (int64_t i = 0; i < rows->confident_count; i++)
        if (rows->rows[i].is_first && (!limit || rows->rows[i].leak <= limit))
            add_brief_row(reading, table, rows, &rows->rows[i]);
    terminal_heading(&reading->terminal, "Leak candidates", remark);
    table_print(table);
    table_free(table);
}
