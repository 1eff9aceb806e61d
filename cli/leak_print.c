/* The entries of `heapline leaks` as text: see leak_print.h. */
#include "leak_print.h"

#include <stdlib.h>
#include <string.h>

#include "estimate.h"
#include "leak_groups.h"
#include "line_rows.h"
#include "object_rows.h"
#include "text.h"
#include "units.h"

#define FRAME_LINES 12
#define OTHER_FRAME_LINES 5 /* of what doesn't grow */
#define EVIDENCE_INDENT 12
#define TYPES_BYTES 600
#define PATHS_SHOWN 2
#define MEMBERS_SHOWN 4 /* of a leak's lines of one relation */

/* The level at the end of each window, as a sparkline scaled to its highest. */
static void print_levels(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *row)
{
    double highest = 1;
    for (int i = 0; i < rows->window_count; i++)
        if (row->bytes[i] > highest)
            highest = row->bytes[i];
    fputs(terminal_style(&reading->terminal, STYLE_BAR), reading->terminal.out);
    for (int i = 0; i < rows->window_count; i++)
        fputs(terminal_spark(&reading->terminal, row->bytes[i] / highest), reading->terminal.out);
    fputs(terminal_style(&reading->terminal, STYLE_PLAIN), reading->terminal.out);
}

static void print_place(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *row)
{
    const struct set_frame *frame = &rows->set.frames[row->frame_id];
    char *place = line_place(reading, frame->file ? frame->file : frame->module, frame->line, frame->function);
    char *function = frame->function ? text_clean(frame->function, reading->terminal.unicode) : NULL;
    terminal_print(&reading->terminal, STYLE_PLACE, "%s", place);
    if (function)
        fprintf(reading->terminal.out, "  %s", function);
    free(place);
    free(function);
}

static void print_objects(const struct reading *reading, sqlite3 *database, const struct object_line *surveyed)
{
    const struct terminal *terminal = &reading->terminal;
    char types[TYPES_BYTES];
    if (!surveyed)
        return;
    object_types_text(surveyed, types, sizeof types);
    fprintf(terminal->out, "%*sobjects: ", EVIDENCE_INDENT, "");
    terminal_wrap(terminal->out, types, terminal->width, EVIDENCE_INDENT + 2);
    fputc('\n', terminal->out);
    object_paths_print(reading, database, surveyed->frame_id, EVIDENCE_INDENT, PATHS_SHOWN);
}

/* Behind a number of blocks. */
static void print_count_interval(const struct terminal *terminal, const struct leak_rows *rows, const struct count_error *judged, int64_t live_allocations)
{
    struct estimate_interval interval;
    if (leak_count_interval(rows, judged, live_allocations, &interval))
        terminal_print(terminal, STYLE_DIM, " (%s)", estimate_count_text(interval).text);
}

static void print_member(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *row, int indent)
{
    fprintf(reading->terminal.out, "%*s", indent, "");
    print_place(reading, rows, row);
    fprintf(reading->terminal.out, "  %s in %s", units_bytes(row->live_bytes).text, units_noun(row->live_allocations, "block").text);
    print_count_interval(&reading->terminal, rows, &row->judged, row->live_allocations);
    fprintf(reading->terminal.out, "  +%s/s\n", units_bytes((int64_t)row->growth.bytes_per_second).text);
}

/* Of one relation. */
static void print_members(const struct reading *reading, const struct leak_rows *rows, int64_t leak, enum leak_relation relation,
                          const char *heading)
{
    int64_t count = 0;
    double more = 0;
    for (int64_t i = 0; i < rows->confident_count; i++) {
        const struct leak_row *row = &rows->rows[i];
        if (row->leak != leak || row->relation != relation)
            continue;
        if (!count)
            fprintf(reading->terminal.out, "%*s%s\n", EVIDENCE_INDENT, "", heading);
        if (count++ < MEMBERS_SHOWN)
            print_member(reading, rows, row, EVIDENCE_INDENT + 2);
        else
            more += row->growth.bytes_per_second;
    }
    if (count > MEMBERS_SHOWN)
        fprintf(reading->terminal.out, "%*sand %s, +%s/s\n", EVIDENCE_INDENT + 2, "", units_noun(count - MEMBERS_SHOWN, "further line").text,
                units_bytes((int64_t)more).text);
}

static void print_lines_of_leak(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *first)
{
    print_member(reading, rows, first, EVIDENCE_INDENT);
    print_members(reading, rows, first->leak, LEAK_BY_FUNCTION, "near it and in step with it:");
    print_members(reading, rows, first->leak, LEAK_BY_LIBRARY, "in step with it, lines that make what others keep:");
}

/* Which earlier leak this one is in step with. */
static void print_in_step(const struct reading *reading, const struct leak_rows *rows, int64_t leak)
{
    for (int64_t i = 0; leak && i < rows->confident_count; i++)
        if (rows->rows[i].is_first && rows->rows[i].leak == leak) {
            fprintf(reading->terminal.out, "%*sgrows with the same requests as ", EVIDENCE_INDENT, "");
            print_place(reading, rows, &rows->rows[i]);
            fputc('\n', reading->terminal.out);
        }
}

static void print_figures(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *row, const struct leak_sum *sum)
{
    const struct terminal *terminal = &reading->terminal;
    terminal_print(terminal, STYLE_BOLD, "%10s", units_bytes(sum->live_bytes).text);
    if (sum->live_allocations) {
        fprintf(terminal->out, "  in %s", units_noun(sum->live_allocations, "block").text);
        print_count_interval(terminal, rows, &sum->judged, sum->live_allocations);
    }
    if (sum->live_allocations && (int64_t)rows->grain_bytes)
        terminal_print(terminal, STYLE_DIM, "  95 %%: %s",
                       estimate_bytes_text(estimate_of_bytes(sum->live_bytes, sum->live_allocations, (int64_t)rows->grain_bytes)).text);
    if (row->leak)
        fprintf(terminal->out, "  +%s/s", units_bytes((int64_t)sum->bytes_per_second).text);
    if (row->growth.confidence > 0)
        fprintf(terminal->out, "  confidence %.2f", row->growth.confidence);
    if (row->stack_id >= 0) {
        fputs("  ", terminal->out);
        print_levels(reading, rows, row);
    }
    fputc('\n', terminal->out);
}

static void print_evidence(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *row, int is_of_several)
{
    static const char first[] = "the first: ";
    const struct terminal *terminal = &reading->terminal;
    char evidence[sizeof first + LEAK_EVIDENCE_BYTES];
    size_t used = is_of_several ? strlen(first) : 0;
    memcpy(evidence, first, used);
    leak_evidence(rows, row, evidence + used, LEAK_EVIDENCE_BYTES);
    fprintf(terminal->out, "%s%*s", terminal_style(terminal, STYLE_DIM), EVIDENCE_INDENT, "");
    terminal_wrap(terminal->out, evidence, terminal->width, EVIDENCE_INDENT);
    fprintf(terminal->out, "%s\n", terminal_style(terminal, STYLE_PLAIN));
}

void leak_print_entry(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *row, struct stack_walker *walker)
{
    const struct terminal *terminal = &reading->terminal;
    struct leak_sum sum = {1, row->live_bytes, row->live_allocations, row->growth.bytes_per_second, row->judged};
    if (row->leak)
        sum = leak_sum(rows, row->leak);
    print_figures(reading, rows, row, &sum);
    if (sum.lines > 1) {
        print_lines_of_leak(reading, rows, row);
    } else if (row->frame_id && row->stack_id >= 0 && row->frame_id != rows->set.stacks[stack_set_index(&rows->set, row->stack_id)].frame) {
        fprintf(terminal->out, "%*s", EVIDENCE_INDENT, "");
        print_place(reading, rows, row);
        fputc('\n', terminal->out);
    }
    print_evidence(reading, rows, row, sum.lines > 1);
    print_in_step(reading, rows, row->in_step_with);
    print_objects(reading, rows->database, leak_objects(rows, row));
    if (row->stack_count > 1)
        fprintf(terminal->out, "%*sthe largest of %s:\n", EVIDENCE_INDENT, "", units_noun(row->stack_count, "stack").text);
    stack_frames_print(reading, stack_walk(walker, row->stack_id), row->leak ? FRAME_LINES : OTHER_FRAME_LINES);
}
