/* heapline leaks: which lines kept growing, since when, how fast, and why we think so. */
#include <stdlib.h>
#include <string.h>

#include "count_interval.h"
#include "estimate.h"
#include "leak_groups.h"
#include "leak_processes.h"
#include "line_rows.h"
#include "object_rows.h"
#include "stack_rows.h"
#include "summary.h"
#include "suppressions.h"
#include "text.h"
#include "units.h"

#define CANDIDATES_SHOWN 10
#define OTHERS_SHOWN 3 /* of what doesn't grow, where something does */
#define FRAME_LINES 12
#define OTHER_FRAME_LINES 5 /* of what doesn't grow */
#define EVIDENCE_INDENT 12
#define EVIDENCE_BYTES 640
#define TYPES_BYTES 600
#define PATHS_SHOWN 2
#define MEMBERS_SHOWN 4 /* of a leak's lines of one relation */

struct settings {
    struct reading reading;
    uint64_t limit_bytes; /* 0: the cgroup's */
    int all_processes;
};

static const struct option_spec leak_options[] = {
    {"memory-limit", 0, OPTION_BYTES, offsetof(struct settings, limit_bytes), 0, "SIZE",
     "say when growth reaches SIZE of resident memory (default: the limit of the cgroup that the program ran in)"},
    {"all-processes", 0, OPTION_SET, offsetof(struct settings, all_processes), 1, NULL,
     "of every process of the run, by line: what a server's worker processes leak"},
    {0},
};

enum { THRESHOLD_LIVE, THRESHOLD_GROWTH, THRESHOLD_CANDIDATES, THRESHOLD_CONFIDENCE, THRESHOLD_COUNT };
static struct threshold_value thresholds[THRESHOLD_COUNT] = {
    {"live", THRESHOLD_BYTES, 0}, {"growth", THRESHOLD_BYTES, 0}, {"candidates", THRESHOLD_COUNT_OF, 0}, {"confidence", THRESHOLD_SHARE, 0},
};

static void fill_thresholds(const struct leak_rows *rows)
{
    double highest = 0;
    for (int64_t i = 0; i < rows->count; i++)
        if (rows->rows[i].growth.confidence > highest)
            highest = rows->rows[i].growth.confidence;
    thresholds[THRESHOLD_LIVE].value = rows->end_bytes;
    thresholds[THRESHOLD_GROWTH].value = (int64_t)rows->growth_bytes_per_second;
    thresholds[THRESHOLD_CANDIDATES].value = rows->leak_count;
    thresholds[THRESHOLD_CONFIDENCE].value = (int64_t)(highest * THRESHOLD_SHARE_UNIT);
}

static void write_place(struct json *json, const struct leak_rows *rows, const struct leak_row *row)
{
    const struct set_frame *frame = &rows->set.frames[row->frame_id];
    json_text(json, "file", frame->file ? frame->file : frame->module);
    if (frame->line > 0)
        json_integer(json, "line", frame->line);
    else
        json_null(json, "line");
    json_text(json, "function", frame->function);
}

static void write_growth(struct json *json, const struct leak_row *row)
{
    const struct growth *growth = &row->growth;
    json_integer(json, "growth_bytes_per_second", (int64_t)(growth->bytes_per_second + 0.5));
    json_integer(json, "growth_bytes_per_hour", (int64_t)(growth->bytes_per_second * 3600 + 0.5));
    json_real(json, "growth_allocations_per_second", growth->blocks_per_second);
    json_real(json, "confidence", growth->confidence);
    json_text(json, "shape", leak_shape(row));
    if (growth->shape == GROWTH_NONE)
        json_null(json, "since_ns");
    else
        json_integer(json, "since_ns", (int64_t)(growth->onset_seconds * 1e9));
    json_real(json, "p", growth->p);
    if (growth->old_bytes >= 0)
        json_integer(json, "old_bytes", (int64_t)(growth->old_bytes + 0.5));
    else
        json_null(json, "old_bytes");
    json_real(json, "laplace_score", row->laplace_score);
    json_real(json, "survival", row->allocations ? (double)row->live_allocations / (double)row->allocations : 0);
    if (row->limit_ns >= 0)
        json_integer(json, "limit_reached_in_ns", row->limit_ns);
    else
        json_null(json, "limit_reached_in_ns");
}

/* What the last survey found there; NULL: nothing, or there was none. */
static const struct object_line *objects_of(const struct leak_rows *rows, const struct leak_row *row)
{
    const struct set_frame *frame = &rows->set.frames[row->frame_id];
    const struct object_line *line = object_rows_find(rows->objects, frame->file ? frame->file : frame->module, frame->line);
    return line ? line : object_rows_of_stack(rows->objects, rows->database, row->stack_id);
}

/* Of a sample. */
static void write_intervals(struct json *json, const struct leak_rows *rows, const struct leak_row *row)
{
    if (!(int64_t)rows->grain_bytes)
        return;
    json_object(json, ESTIMATE_KEY);
    estimate_json(json, "live_bytes", estimate_of_bytes(row->live_bytes, row->live_allocations, (int64_t)rows->grain_bytes));
    if (rows->knows_errors) {
        estimate_json(json, "live_allocations", count_interval_of(&row->judged, LIVE_ALLOCATIONS, row->live_allocations));
        estimate_json(json, "live_allocations_at_end", count_interval_of(&row->error, LIVE_ALLOCATIONS, row->end_allocations));
        estimate_json(json, "allocations", count_interval_of(&row->error, ALLOCATIONS, row->allocations));
    }
    json_object_end(json);
}

/* The leak that a line belongs to, and of its first line the others. */
static void write_leak(struct json *json, const struct leak_rows *rows, const struct leak_row *row)
{
    if (row->leak)
        json_integer(json, "leak", row->leak);
    else
        json_null(json, "leak");
    if (row->in_step_with)
        json_integer(json, "in_step_with", row->in_step_with);
    else
        json_null(json, "in_step_with");
    json_array(json, "members");
    for (int64_t i = 0; row->is_first && i < rows->confident_count; i++) {
        const struct leak_row *member = &rows->rows[i];
        if (member->leak != row->leak || member->is_first)
            continue;
        json_object(json, NULL);
        write_place(json, rows, member);
        json_integer(json, "live_bytes", member->live_bytes);
        json_integer(json, "live_allocations", member->live_allocations);
        write_intervals(json, rows, member);
        json_integer(json, "growth_bytes_per_second", (int64_t)(member->growth.bytes_per_second + 0.5));
        json_text(json, "relation", leak_relation_name(member));
        json_object_end(json);
    }
    json_array_end(json);
}

void leak_candidate_json(struct json *json, const struct leak_rows *rows, const struct leak_row *row, struct stack_walker *walker)
{
    char evidence[EVIDENCE_BYTES];
    json_object(json, NULL);
    write_place(json, rows, row);
    json_integer(json, "live_bytes", row->live_bytes);
    json_integer(json, "live_allocations", row->live_allocations);
    write_intervals(json, rows, row);
    write_growth(json, row);
    leak_evidence(rows, row, evidence, sizeof evidence);
    json_text(json, "evidence", evidence);
    write_leak(json, rows, row);
    json_integer(json, "live_bytes_at_end", row->end_bytes);
    json_integer(json, "live_allocations_at_end", row->end_allocations);
    json_integer(json, "allocations", row->allocations);
    json_integer(json, "stacks", row->stack_count);
    if (row->oldest_ns >= 0) {
        json_integer(json, "oldest_age_ns", row->oldest_ns);
        json_integer(json, "newest_age_ns", row->newest_ns);
    }
    json_array(json, "window_bytes");
    for (int i = 0; row->stack_id >= 0 && i < rows->window_count; i++)
        json_integer(json, NULL, (int64_t)row->bytes[i]);
    json_array_end(json);
    stack_frames_json(stack_walk(walker, row->stack_id), json);
    if (rows->objects && rows->objects->survey_id >= 0) {
        const struct object_line *surveyed = objects_of(rows, row);
        object_types_json(surveyed, json);
        object_paths_json(rows->database, surveyed ? surveyed->frame_id : -1, json);
    }
    json_object_end(json);
}

static int write_leaks(const struct reading *reading, sqlite3 *database, const struct leak_rows *rows,
                       const struct suppressions *suppressions)
{
    struct json json;
    struct stack_walker walker;
    int64_t limit = reading_limit(reading, 0);
    stack_walker_init(&walker, database);
    json_begin(&json, stdout, "leaks");
    json_integer(&json, "live_bytes", rows->live_bytes);
    json_integer(&json, "live_bytes_at_end", rows->end_bytes + suppressions->total.bytes);
    json_integer(&json, "judged_ns", rows->judged_ns);
    if (rows->teardown_ns >= 0)
        json_integer(&json, "teardown_ns", rows->teardown_ns);
    else
        json_null(&json, "teardown_ns");
    if (rows->held_count)
        json_integer(&json, "idle_ns", rows->idle_ns);
    else
        json_null(&json, "idle_ns");
    json_integer(&json, "growing", rows->confident_count);
    json_integer(&json, "leaks", rows->leak_count);
    json_integer(&json, "growth_bytes_per_second", (int64_t)(rows->growth_bytes_per_second + 0.5));
    json_real(&json, "survival", rows->survival);
    if (rows->limit_bytes)
        json_integer(&json, "memory_limit_bytes", rows->limit_bytes);
    else
        json_null(&json, "memory_limit_bytes");
    json_array(&json, "candidates");
    for (int64_t i = 0; i < rows->count && (!limit || i < limit); i++)
        leak_candidate_json(&json, rows, &rows->rows[i], &walker);
    json_array_end(&json);
    suppressions_json(suppressions, &json);
    int status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, &json);
    reading_json_end(&json);
    stack_walker_done(&walker);
    return status;
}

/* ---- text ---- */

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
    char evidence[sizeof first + EVIDENCE_BYTES];
    size_t used = is_of_several ? strlen(first) : 0;
    memcpy(evidence, first, used);
    leak_evidence(rows, row, evidence + used, EVIDENCE_BYTES);
    fprintf(terminal->out, "%s%*s", terminal_style(terminal, STYLE_DIM), EVIDENCE_INDENT, "");
    terminal_wrap(terminal->out, evidence, terminal->width, EVIDENCE_INDENT);
    fprintf(terminal->out, "%s\n", terminal_style(terminal, STYLE_PLAIN));
}

/* A leak with all its lines, or what holds memory and isn't reported. */
static void print_entry(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *row, struct stack_walker *walker)
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
    print_objects(reading, rows->database, objects_of(rows, row));
    if (row->stack_count > 1)
        fprintf(terminal->out, "%*sthe largest of %s:\n", EVIDENCE_INDENT, "", units_noun(row->stack_count, "stack").text);
    stack_frames_print(reading, stack_walk(walker, row->stack_id), row->leak ? FRAME_LINES : OTHER_FRAME_LINES);
}

static const char *const next_commands[] = {
    "timeline %s", "does the heap as a whole grow?",
    "lines %s --sort live", "what was live at the end, by line",
};

static void print_conclusion(const struct reading *reading, const struct leak_rows *rows, const struct suppressions *suppressions)
{
    FILE *out = reading->terminal.out;
    fprintf(out, "\n%s live at %s%s, from %s; ", units_bytes(rows->live_bytes).text,
            rows->teardown_ns >= 0 ? units_time(rows->judged_ns).text : "the end",
            suppressions->total.stacks ? " and not suppressed" : "", units_noun(rows->count, "line").text);
    if (!rows->confident_count)
        fputs("none of them kept growing.\n", out);
    else
        fprintf(out, "%s of them kept growing, by %s/s", units_count(rows->confident_count).text,
                units_bytes((int64_t)rows->growth_bytes_per_second).text);
    if (rows->leak_count < rows->confident_count)
        fprintf(out, "; those in step taken together, %s", units_noun(rows->leak_count, "candidate").text);
    if (rows->confident_count)
        fputs(".\n", out);
    if (rows->teardown_ns >= 0)
        fprintf(out, "From %s on the program freed what it held, because it ended: %s live at the end.\n", units_time(rows->teardown_ns).text,
                units_bytes(rows->end_bytes).text);
    if (rows->held_count)
        fprintf(out, "From %s on the program had next to nothing to do. %s grew until then, and come%s %s.\n", units_time(rows->idle_ns).text,
                units_noun(rows->held_count, rows->confident_count ? "further line" : "line").text, rows->held_count == 1 ? "s" : "",
                rows->confident_count ? "next" : "first");
    if (rows->limit_bytes && rows->growth_bytes_per_second > 0 && rows->limit_bytes > rows->resident_bytes) {
        double seconds = (double)(rows->limit_bytes - rows->resident_bytes) / rows->growth_bytes_per_second;
        if (seconds < 9e9)
            fprintf(out, "At this pace %s resident become the limit of %s in %s.\n", units_bytes(rows->resident_bytes).text,
                    units_bytes(rows->limit_bytes).text, units_time((int64_t)(seconds * 1e9)).text);
    }
    fputc('\n', out);
}

/* The further lines of a leak stand below its first. */
static int is_entry(const struct leak_row *row)
{
    return !row->leak || row->is_first;
}

/* All leaks, as far as they are wanted; of the others fewer. 0: all. */
static int64_t entries_shown(const struct reading *reading, const struct leak_rows *rows)
{
    int64_t limit = reading_limit(reading, rows->leak_count ? rows->leak_count + OTHERS_SHOWN : CANDIDATES_SHOWN);
    return reading->limit == LIMIT_DEFAULT && limit > CANDIDATES_SHOWN ? CANDIDATES_SHOWN : limit;
}

static int print_leaks(struct reading *reading, sqlite3 *database, const struct leak_rows *rows, const struct suppressions *suppressions)
{
    struct summary summary;
    struct stack_walker walker;
    int64_t shown = entries_shown(reading, rows), entries = 0, rest_bytes = 0, rest_lines = 0;
    summary_load(database, &summary);
    summary_print_title(reading, &summary);
    summary_print_warnings(reading, &summary);
    print_conclusion(reading, rows, suppressions);
    stack_walker_init(&walker, database);
    for (int64_t i = 0; i < rows->count; i++) {
        if (!is_entry(&rows->rows[i]))
            continue;
        if (!shown || entries++ < shown) {
            print_entry(reading, rows, &rows->rows[i], &walker);
            continue;
        }
        rest_bytes += rows->rows[i].leak ? leak_sum(rows, rows->rows[i].leak).live_bytes : rows->rows[i].live_bytes;
        rest_lines += rows->rows[i].leak ? leak_sum(rows, rows->rows[i].leak).lines : 1;
    }
    if (rest_lines)
        terminal_print(&reading->terminal, STYLE_DIM, "%10s  in %s (--limit 0 shows all)\n", units_bytes(rest_bytes).text,
                       units_noun(rest_lines, "further line").text);
    suppressions_print(reading, suppressions, 1);
    stack_walker_done(&walker);
    summary_free(&summary);
    reading_next(reading, next_commands, 2);
    return reading_thresholds(reading, thresholds, THRESHOLD_COUNT, NULL);
}

static int all_processes(const struct settings *settings)
{
    const struct reading *reading = &settings->reading;
    struct leak_processes leaks;
    struct suppressions suppressions;
    struct json json;
    int status;
    suppressions_load(reading->suppressions, &suppressions);
    leak_processes_load(reading, &suppressions, settings->limit_bytes, &leaks);
    thresholds[THRESHOLD_LIVE].value = leaks.end_bytes;
    thresholds[THRESHOLD_GROWTH].value = (int64_t)leaks.bytes_per_second;
    for (int i = 0; i < leaks.place_count; i++) {
        int64_t confidence = (int64_t)(leaks.places[i].whole.confidence * THRESHOLD_SHARE_UNIT);
        thresholds[THRESHOLD_CANDIDATES].value += leaks.places[i].whole.confidence >= LEAK_CONFIDENT;
        if (confidence > thresholds[THRESHOLD_CONFIDENCE].value)
            thresholds[THRESHOLD_CONFIDENCE].value = confidence;
    }
    if (reading->json) {
        json_begin(&json, stdout, "leaks");
        leak_processes_write(reading, &leaks, &json);
        suppressions_json(&suppressions, &json);
        status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, &json);
        reading_json_end(&json);
    } else {
        leak_processes_print(reading, &leaks);
        suppressions_print(reading, &suppressions, 1);
        status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, NULL);
    }
    leak_processes_free(&leaks);
    suppressions_free(&suppressions);
    return status;
}

static int run_leaks(int argc, char **argv)
{
    struct settings settings = {.reading = READING_INIT};
    struct reading *reading = &settings.reading;
    struct leak_rows rows;
    struct object_rows objects;
    struct suppressions suppressions;
    reading_parse(&leaks_command, reading, argc, argv, 1);
    reading_thresholds_validate(reading, thresholds, THRESHOLD_COUNT);
    if (settings.all_processes)
        return all_processes(&settings);
    suppressions_load(reading->suppressions, &suppressions);
    sqlite3 *database = reading_open(reading);
    leak_rows_load(database, &suppressions, settings.limit_bytes, &rows);
    object_rows_load(database, &objects);
    rows.objects = &objects;
    rows.database = database;
    fill_thresholds(&rows);
    int status = reading->json ? write_leaks(reading, database, &rows, &suppressions)
                               : print_leaks(reading, database, &rows, &suppressions);
    leak_rows_free(&rows);
    object_rows_free(&objects);
    suppressions_free(&suppressions);
    reading_close(reading, database);
    return status;
}

const struct command leaks_command = {
    .name = "leaks",
    .question = "which lines keep growing, since when and how fast?",
    .usage = "[OPTIONS] TRACE",
    .description = "Lists lines by the evidence that they leak: what they hold that was never given back grows after the first quarter of the run "
                   "(in which caches fill), steadily, until the program ends. Confidence says how far that is so, from 0 to 1: 0.5 and more "
                   "is reported. A cache that is full, batches, what came in one go and what fluctuates score low. A program that frees all "
                   "when it ends is judged by what it held before. Growth that is wanted looks the same: the line tells.\n"
                   "Lines near each other that grow in step are one candidate; with --json each line has the number of its 'leak'.\n"
                   "A program with children has a trace for each process; TRACE is judged alone, with --all-processes all of its run.",
    .examples = "heapline leaks service.heapline\n"
                "heapline leaks --memory-limit 2G service.heapline      # full when?\n"
                "heapline leaks --all-processes server.heapline         # of its workers, too\n"
                "heapline leaks --fail-on 0.8 service.heapline          # in CI: a confidence\n"
                "heapline leaks --fail-on growth=10K service.heapline   # bytes a second\n"
                "heapline leaks --suppressions known.supp --fail-on live=0 app.heapline\n"
                "\n"
                "--fail-on knows confidence (the highest; exceeded where it is reached), live\n"
                "(bytes at the end), growth (bytes a second) and candidates (how many; lines in\n"
                "step with each other are one), the last two over lines of confidence 0.5 and\n"
                "more. What is suppressed counts for none.",
    .statuses = READING_STATUSES_FAIL,
    .options = {leak_options, limit_options, suppression_options, fail_options, fold_options, reading_options},
    .run = run_leaks,
};
