/* What grew and what shrank, as text: see diff_output.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diff_interval.h"
#include "diff_output.h"
#include "memory.h"
#include "paths.h"
#include "stack_rows.h"
#include "table.h"
#include "text.h"
#include "units.h"

#define FRAME_LINES 16
/* Rows that tell of how runs differ as a whole: from this on the load was another one. */
#define RATIO_WORTH_TELLING 1.03

/* Without a limit that was given, rows with so small a part of the largest certain change stay away. */
#define WORTH_A_ROW 0.01

struct printing {
    const struct reading *reading;
    const struct diff_side *sides;
    const struct diff_rows *rows;
    int64_t limit;
    double least;   /* certain change of the rows that show */
};

static struct unit_text amount_text(const struct printing *printing, int64_t amount)
{
    return measures[printing->rows->of->amount].is_bytes ? units_bytes(amount) : units_count(amount);
}

/* With its sign. */
static struct unit_text change_text(const struct printing *printing, int64_t change)
{
    struct unit_text text = {"+"}, amount = amount_text(printing, change);
    if (change <= 0)
        return amount;
    memcpy(text.text + 1, amount.text, sizeof text.text - 2);
    return text;
}

/* "+12 %"; "" where there was nothing before. */
static struct unit_text percent_text(int64_t old_amount, int64_t change)
{
    struct unit_text text = {""};
    double percent = old_amount > 0 ? 100.0 * (double)change / (double)old_amount : 0;
    if (old_amount > 0 && fabs(percent) < 0.05)
        snprintf(text.text, sizeof text.text, "%s0.1 %%", change > 0 ? "less than +" : "less than -");
    else if (old_amount > 0 && fabs(percent) < 9.95)
        snprintf(text.text, sizeof text.text, "%+.1f %%", percent);
    else if (old_amount > 0 && percent < 1e4)
        snprintf(text.text, sizeof text.text, "%+.0f %%", percent);
    else if (old_amount > 0)
        snprintf(text.text, sizeof text.text, "%.3g times", percent / 100 + 1);
    return text;
}

static int64_t delta_of(const struct printing *printing, const struct diff_row *row)
{
    return diff_row_delta(row, printing->rows->of->amount);
}

/* ---- the head ---- */

static void print_side(const struct printing *printing, int index)
{
    const struct diff_side *side = &printing->sides[index];
    const struct terminal *terminal = &printing->reading->terminal;
    const struct summary *summary = &side->summary;
    const char *dot = terminal_dot(terminal);
    char ending[64], *path = text_clean(side->path, terminal->unicode);
    char *clean = text_clean(summary_command(summary), terminal->unicode);
    text_clip(path, terminal->width - 5, TEXT_CLIP_START, terminal_ellipsis(terminal));
    text_clip(clean, terminal->width - 5, TEXT_CLIP_END, terminal_ellipsis(terminal));
    summary_ending(summary->exit_kind, summary->exit_status, ending, sizeof ending);
    terminal_print(terminal, STYLE_BOLD, "%s  %s", index ? "new" : "old", path);
    if (side->moment_ns >= 0)
        terminal_print(terminal, STYLE_BOLD, " at %s%s", units_time(side->moment_ns).text,
                       side->point.moment == MOMENT_PEAK ? " (the peak)" : side->window_id < 0 ? " (the end)" : "");
    fprintf(terminal->out, "\n     %s\n", clean);
    terminal_print(terminal, STYLE_DIM, "     pid %lld %s %s %s %s %s %s events\n", (long long)summary->pid, dot, ending, dot,
                   units_time(summary->duration_ns).text, dot, units_count(summary->event_count).text);
    summary_print_warnings(printing->reading, summary);
    free(path);
    free(clean);
}

static void print_remark(const struct printing *printing, const char *text)
{
    const struct terminal *terminal = &printing->reading->terminal;
    fprintf(terminal->out, "%s", terminal_style(terminal, STYLE_DIM));
    terminal_wrap(terminal->out, text, terminal->width, 0);
    fprintf(terminal->out, "%s\n", terminal_style(terminal, STYLE_PLAIN));
}

static void print_totals(const struct printing *printing)
{
    const struct diff_rows *rows = printing->rows;
    const struct terminal *terminal = &printing->reading->terminal;
    const struct diff_row *total = &rows->total;
    enum measure amount = rows->of->amount;
    int64_t change = delta_of(printing, total);
    struct estimate_interval intervals[FIGURE_COUNT];
    char text[320];
    const char *subject = diff_subject(printing->sides, rows);
    fprintf(terminal->out, "\n%c%s: %s, then %s: ", *subject - 'a' + 'A', subject + 1, amount_text(printing, total->measures[0][amount]).text,
            amount_text(printing, total->measures[1][amount]).text);
    if (change)
        terminal_print(terminal, change > 0 ? STYLE_GREW : STYLE_SHRANK, "%s", change_text(printing, change).text);
    else
        fputs("no difference", terminal->out);
    if (change && total->measures[0][amount] > 0)
        fprintf(terminal->out, " (%s)", percent_text(total->measures[0][amount], change).text);
    if (diff_is_sampled(printing->sides) && diff_intervals(printing->sides, rows, total, amount, intervals))
        fprintf(terminal->out, "; 95 %% interval %s", estimate_bytes_text(intervals[FIGURE_DELTA]).text);
    fputs(".\n", terminal->out);
    for (int side = 1; side >= 0 && rows->of->amount == LIVE_BYTES; side--)
        if (printing->sides[side].teardown_ns >= 0 && printing->sides[side].moment_ns < 0) {
            snprintf(text, sizeof text, "From %s on the %s program freed what it held, because it ended: give the traces as OLD@exit NEW@exit to compare "
                     "what they held before.", units_time(printing->sides[side].teardown_ns).text, side ? "new" : "old");
            print_remark(printing, text);
            break;
        }
    double ratio = rows->scatter.ratio;
    if (ratio >= RATIO_WORTH_TELLING || (ratio > 0 && 1 / ratio >= RATIO_WORTH_TELLING)) {
        snprintf(text, sizeof text, "The lines that most blocks come from made %.3g times as many of them: if that was the load, it is why they differ.", ratio);
        print_remark(printing, text);
    }
    if (rows->edited_files) {
        snprintf(text, sizeof text, "%s changed between the two: lines that moved are compared with where they are now.",
                 units_noun(rows->edited_files, "source file").text);
        print_remark(printing, text);
    }
}

/* ---- rows ---- */

/* The nearest line of the user's own on the row's heaviest stack, for rows that are none. malloc'ed; "" where there is none. */
static char *caller_of(const struct printing *printing, const struct diff_row *row)
{
    int side = row->frames[1] ? 1 : 0;
    const struct stack_set *set = &printing->sides[side].set;
    const struct set_frame *credited = row->frames[side];
    if (!credited || !credited->origin || !strcmp(credited->origin, "user") || !(credited->file || credited->module))
        return memory_copy("");
    for (uint32_t stack = row->stacks[side]; stack > SET_EMPTY; stack = set->stacks[stack].caller) {
        const struct set_frame *frame = &set->frames[set->stacks[stack].frame];
        if (frame->origin && !strcmp(frame->origin, "user") && frame->file)
            return line_place(printing->reading, paths_base(frame->file), frame->line, NULL);
    }
    return memory_copy("");
}

static int is_folded(const struct printing *printing, const struct diff_row *row)
{
    const struct set_frame *frame = diff_row_frame(row);
    return !printing->reading->all_frames && frame && frame->origin && !strcmp(frame->origin, "import");
}

static void add_place(struct table *table, const struct printing *printing, const struct diff_row *row)
{
    const struct set_frame *frame = diff_row_frame(row);
    enum attribution by = printing->rows->rule.by;
    int has_line = by != ATTRIBUTE_FUNCTION && by != ATTRIBUTE_MODULE;
    if (!frame || is_folded(printing, row)) {
        table_cell(table, "%s", frame ? "(imports)" : diff_row_name(row));
        table_cell(table, "%s", "");
        return;
    }
    const char *file = by == ATTRIBUTE_MODULE && frame->module ? frame->module : frame->file;
    int is_source = file && file == frame->file && !has_line;
    char *place = is_source ? memory_copy(paths_shorten(file, printing->reading->directory))
                            : line_place(printing->reading, file ? file : frame->module, has_line ? frame->line : 0, frame->function);
    table_cell(table, "%s", place);
    table_cell(table, "%s", by == ATTRIBUTE_MODULE || !(frame->file || frame->module) || !frame->function ? "" : frame->function);
    free(place);
}

/* "new", "gone", "was :12", "was lib/old.py:12". */
static void add_history(struct table *table, const struct printing *printing, const struct diff_row *row)
{
    const struct set_frame *old_frame = row->frames[0], *new_frame = row->frames[1];
    enum attribution by = printing->rows->rule.by;
    int has_line = by != ATTRIBUTE_FUNCTION && by != ATTRIBUTE_MODULE;
    if (!old_frame || !new_frame || is_folded(printing, row))
        table_cell(table, "%s", is_folded(printing, row) ? "" : old_frame ? "gone" : new_frame ? "new" : "");
    else if (has_line && old_frame->file && old_frame->line != new_frame->line)
        table_cell(table, "was :%lld", (long long)old_frame->line);
    else
        table_cell(table, "%s", "");
}

static void add_amount(struct table *table, const struct printing *printing, int64_t amount)
{
    if (amount)
        table_cell(table, "%s", amount_text(printing, amount).text);
    else
        table_glyphs(table, terminal_dot(&printing->reading->terminal));
}

static void add_noise(struct table *table, const struct printing *printing, const struct diff_row *row)
{
    int64_t noise = (int64_t)(NOISE_LIMIT * sqrt(row->variance) + 0.5);
    if (noise)
        table_cell(table, "%s", amount_text(printing, noise).text);
    else
        table_glyphs(table, terminal_dot(&printing->reading->terminal));
}

/* A section of rows: those that fit `wanted` of the first ones. */
enum section { SECTION_GREW, SECTION_SHRANK, SECTION_NOISE };

static enum section section_of(const struct printing *printing, const struct diff_row *row)
{
    return diff_row_is_noise(row) ? SECTION_NOISE : delta_of(printing, row) > 0 ? SECTION_GREW : SECTION_SHRANK;
}

/* Rows that differ, in their order, as far as the limit goes; without one those within the noise, too. */
static int shows(const struct printing *printing, const struct diff_row *row, int64_t *count)
{
    if (!delta_of(printing, row) || (printing->limit && (diff_row_is_noise(row) || row->certain < printing->least)))
        return 0;
    return (*count)++ < printing->limit || !printing->limit;
}

static const struct {
    const char *title;
    enum style style;
} sections[] = {
    [SECTION_GREW] = {"Grew", STYLE_GREW}, [SECTION_SHRANK] = {"Shrank", STYLE_SHRANK}, [SECTION_NOISE] = {"Within the noise", STYLE_PLAIN},
};

static struct table *begin_table(const struct printing *printing, enum section section)
{
    enum attribution by = printing->rows->rule.by;
    const struct table_column columns[] = {
        {.title = attribution_column(by), .style = STYLE_PLACE, .flexible = 20, .clip_start = 1},
        {.title = by == ATTRIBUTE_MODULE ? "" : "function", .flexible = 10, .expendable = 3},
        {.title = "called from", .flexible = 14, .clip_start = 1, .expendable = 2},
        {.title = "change", .align = TABLE_RIGHT, .style = sections[section].style},
        {.title = printing->reading->terminal.unicode ? "noise ±" : "noise +-", .align = TABLE_RIGHT, .style = STYLE_DIM, .expendable = 1},
        {.title = "old", .align = TABLE_RIGHT},
        {.title = "new", .align = TABLE_RIGHT, .style = STYLE_BOLD},
        {.title = "", .style = STYLE_DIM},
    };
    return table_new(&printing->reading->terminal, columns, sizeof columns / sizeof *columns);
}

static void print_table(const struct printing *printing, enum section section)
{
    const struct diff_rows *rows = printing->rows;
    struct table *table = NULL;
    int64_t count = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        const struct diff_row *row = &rows->rows[i];
        if (!shows(printing, row, &count) || section_of(printing, row) != section)
            continue;
        if (!table)
            table = begin_table(printing, section);
        char *caller = caller_of(printing, row);
        add_place(table, printing, row);
        table_cell(table, "%s", caller);
        table_cell(table, "%s", change_text(printing, delta_of(printing, row)).text);
        add_noise(table, printing, row);
        add_amount(table, printing, row->measures[0][rows->of->amount]);
        add_amount(table, printing, row->measures[1][rows->of->amount]);
        add_history(table, printing, row);
        free(caller);
    }
    if (table) {
        terminal_heading(&printing->reading->terminal, sections[section].title, NULL);
        table_print(table);
        table_free(table);
    }
}

static void print_stack(const struct printing *printing, const struct diff_row *row, enum section section)
{
    const struct terminal *terminal = &printing->reading->terminal;
    enum measure amount = printing->rows->of->amount;
    int side = row->frames[1] ? 1 : 0;
    struct stack_frames frames = diff_stack_frames(&printing->sides[side], row->stacks[side]);
    terminal_print(terminal, sections[section].style, "%10s", change_text(printing, delta_of(printing, row)).text);
    if (row->variance > 0)
        terminal_print(terminal, STYLE_DIM, "  %s%s", terminal->unicode ? "±" : "+-", amount_text(printing, (int64_t)(NOISE_LIMIT * sqrt(row->variance))).text);
    fprintf(terminal->out, "  %s, then %s\n", amount_text(printing, row->measures[0][amount]).text, amount_text(printing, row->measures[1][amount]).text);
    if (row->frames[side] && !(row->stacks[side] <= SET_EMPTY && frames.count == 0))
        stack_frames_print(printing->reading, &frames, FRAME_LINES);
    else
        fprintf(terminal->out, "            %s\n", diff_row_name(row));
    free(frames.frames);
}

static void print_stacks(const struct printing *printing, enum section section)
{
    int64_t count = 0, printed = 0;
    for (int64_t i = 0; i < printing->rows->count; i++) {
        const struct diff_row *row = &printing->rows->rows[i];
        if (!shows(printing, row, &count) || section_of(printing, row) != section)
            continue;
        if (!printed++)
            terminal_heading(&printing->reading->terminal, sections[section].title, "innermost frame first");
        print_stack(printing, row, section);
    }
}

/* ---- what the limit keeps out ---- */

static void print_rest(const struct printing *printing)
{
    const struct diff_rows *rows = printing->rows;
    int64_t count = 0, shown = 0, counts[3] = {0}, changes[3] = {0};
    const char *noun = rows->rule.by_stack ? "stack" : attribution_noun(rows->rule.by);
    char further[32];
    snprintf(further, sizeof further, "further %s", noun);
    for (int64_t i = 0; i < rows->count; i++) {
        const struct diff_row *row = &rows->rows[i];
        if (shows(printing, row, &count) || !delta_of(printing, row)) {
            shown += delta_of(printing, row) != 0;
            continue;
        }
        counts[section_of(printing, row)]++;
        changes[section_of(printing, row)] += delta_of(printing, row);
    }
    FILE *out = printing->reading->terminal.out;
    if (!shown && !counts[SECTION_NOISE]) {
        fprintf(out, "\nNo %s differs.\n", noun);
        return;
    }
    if (!shown)
        fprintf(out, "\nNo %s differs by more than its noise.\n", noun);
    static const char *const texts[] = {"grew by", "shrank by", "within the noise, by"};
    int any = 0;
    fputs(terminal_style(&printing->reading->terminal, STYLE_DIM), out);
    for (int i = 0; i < 3; i++) {
        if (!counts[i])
            continue;
        fprintf(out, "%s%s %s %s", any++ ? "; " : "\n", units_noun(counts[i], i == SECTION_NOISE ? noun : further).text, texts[i], change_text(printing, changes[i]).text);
    }
    fprintf(out, "%s%s", any ? " in all (--limit 0 shows them).\n" : "", terminal_style(&printing->reading->terminal, STYLE_PLAIN));
}

static const char *const next_commands[] = {
    "leaks %s", "what keeps growing within the new run",
    "lines %s --source FILE", "the new run's source, annotated",
};

void diff_print(const struct reading *reading, const struct diff_side *sides, const struct diff_rows *rows, int64_t limit)
{
    struct printing printing = {.reading = reading, .sides = sides, .rows = rows, .limit = limit};
    for (int64_t i = 0; reading->limit == LIMIT_DEFAULT && i < rows->count; i++)
        if (WORTH_A_ROW * rows->rows[i].certain > printing.least)
            printing.least = WORTH_A_ROW * rows->rows[i].certain;
    print_side(&printing, 0);
    print_side(&printing, 1);
    print_totals(&printing);
    for (enum section section = SECTION_GREW; section <= SECTION_NOISE; section++) {
        if (rows->rule.by_stack)
            print_stacks(&printing, section);
        else
            print_table(&printing, section);
    }
    print_rest(&printing);
    reading_next(reading, next_commands, 2);
}
