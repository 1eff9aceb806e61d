/* Comparisons for programs: JSON, CSV, folded stacks (diff_output.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diff_interval.h"
#include "diff_output.h"
#include "frame_name.h"
#include "memory.h"
#include "stack_rows.h"
#include "text.h"

/* ---- what all outputs share ---- */

static int has_moment(const struct diff_side *sides)
{
    return sides[0].moment_ns >= 0 || sides[1].moment_ns >= 0;
}

static int is_snapshot(const struct diff_side *side)
{
    return side->summary.exit_kind && !strcmp(side->summary.exit_kind, "snapshot");
}

const char *diff_subject(const struct diff_side *sides, const struct diff_rows *rows)
{
    int are_snapshots = rows->of->amount == LIVE_BYTES && is_snapshot(&sides[0]) && is_snapshot(&sides[1]);
    return has_moment(sides) || are_snapshots ? "live" : rows->of->text;
}

const char *diff_row_status(const struct diff_rows *rows, const struct diff_row *row)
{
    int64_t delta = diff_row_delta(row, rows->of->amount);
    if (!delta)
        return "same";
    if (diff_row_is_noise(row))
        return "noise";
    if (!row->measures[0][rows->of->amount])
        return "new";
    return !row->measures[1][rows->of->amount] ? "gone" : delta > 0 ? "grew" : "shrank";
}

const char *diff_row_name(const struct diff_row *row)
{
    return row->is_rest ? "(since freed, arena slack)" : "(no stack)";
}

struct stack_frames diff_stack_frames(const struct diff_side *side, uint32_t stack)
{
    const struct stack_set *set = &side->set;
    struct stack_frames frames = {0};
    uint32_t depth = 0;
    for (uint32_t at = stack; at != SET_EMPTY && (at > SET_EMPTY || !depth); at = set->stacks[at].caller)
        depth++;
    frames.frames = memory_new(depth + 1u, sizeof *frames.frames);
    for (uint32_t at = stack, i = 0; i < depth; at = set->stacks[at].caller, i++) {
        const struct set_frame *frame = &set->frames[set->stacks[at].frame];
        if (!set->stacks[at].frame)
            continue;
        frames.frames[frames.count++] = (struct stack_frame){.kind = frame->kind, .function = frame->function, .file = frame->file,
                                                             .module = frame->module, .origin = frame->origin, .line = frame->line};
        if (frame->kind && !strcmp(frame->kind, "python")) {
            frames.python_count++;
            frames.python_end = frames.count;
        }
    }
    return frames;
}

/* Of moments only what is live is known. */
static int is_known(const struct diff_side *sides, int measure)
{
    return !has_moment(sides) || measure == LIVE_BYTES || measure == LIVE_ALLOCATIONS;
}

/* A line belongs to rows by line only; what a module is called, to rows by module only. */
static const char *row_file(const struct diff_rows *rows, const struct set_frame *frame)
{
    if (!frame)
        return NULL;
    return (rows->rule.by == ATTRIBUTE_MODULE && frame->module) || !frame->file ? frame->module : frame->file;
}

static int64_t row_line(const struct diff_rows *rows, const struct set_frame *frame)
{
    return !frame || !frame->file || rows->rule.by == ATTRIBUTE_FUNCTION || rows->rule.by == ATTRIBUTE_MODULE ? 0 : frame->line;
}

static const char *row_function(const struct diff_rows *rows, const struct diff_row *row)
{
    const struct set_frame *frame = diff_row_frame(row);
    if (!frame)
        return diff_row_name(row);
    return rows->rule.by == ATTRIBUTE_MODULE && row_file(rows, frame) ? NULL : frame->function;
}

/* ---- JSON ---- */

static void write_side(struct json *json, const char *key, const struct diff_side *side)
{
    json_object(json, key);
    json_text(json, "trace", side->path);
    json_text(json, "command", side->summary.command);
    json_integer(json, "pid", side->summary.pid);
    json_integer(json, "start_realtime_ns", side->summary.start_realtime_ns);
    json_integer(json, "duration_ns", side->summary.duration_ns);
    if (side->moment_ns >= 0)
        json_integer(json, "moment_ns", side->moment_ns);
    else
        json_null(json, "moment_ns");
    json_boolean(json, "complete", side->summary.complete != 0);
    json_integer(json, "lost_events", side->summary.lost_events);
    json_integer(json, "sampling_interval_bytes", side->summary.sampling_interval_bytes);
    json_object_end(json);
}

static const char *const prefixes[] = {[FIGURE_OLD] = "old", [FIGURE_NEW] = "new", [FIGURE_DELTA] = "delta"};

static void write_measures(struct json *json, const struct diff_side *sides, const struct diff_row *row)
{
    for (int m = 0; m < MEASURE_COUNT; m++) {
        if (!is_known(sides, m))
            continue;
        for (int i = 0; i < FIGURE_COUNT; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s_%s", prefixes[i], measures[m].name);
            json_integer(json, name, i < FIGURE_DELTA ? row->measures[i][m] : diff_row_delta(row, (enum measure)m));
        }
    }
}

static void write_intervals(struct json *json, const struct diff_side *sides, const struct diff_rows *rows, const struct diff_row *row)
{
    struct estimate_interval intervals[FIGURE_COUNT];
    if (!diff_is_sampled(sides))
        return;
    json_object(json, ESTIMATE_KEY);
    for (enum measure m = 0; m < MEASURE_COUNT; m++)
        for (int i = 0; is_known(sides, (int)m) && diff_intervals(sides, rows, row, m, intervals) && i < FIGURE_COUNT; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s_%s", prefixes[i], measures[m].name);
            estimate_json(json, name, intervals[i]);
        }
    json_object_end(json);
}

static void write_row(struct json *json, const struct diff_side *sides, const struct diff_rows *rows, const struct diff_row *row)
{
    const struct set_frame *frame = diff_row_frame(row);
    json_object(json, NULL);
    json_text(json, "file", row_file(rows, frame));
    json_line(json, "line", row_line(rows, frame));
    json_text(json, "function", row_function(rows, row));
    json_text(json, "kind", frame ? frame->kind : NULL);
    json_text(json, "origin", frame ? frame->origin : NULL);
    json_text(json, "old_file", row_file(rows, row->frames[0]));
    json_line(json, "old_line", row_line(rows, row->frames[0]));
    json_text(json, "new_file", row_file(rows, row->frames[1]));
    json_line(json, "new_line", row_line(rows, row->frames[1]));
    json_text(json, "status", diff_row_status(rows, row));
    write_measures(json, sides, row);
    write_intervals(json, sides, rows, row);
    json_real(json, measures[rows->of->amount].is_bytes ? "noise_bytes" : "noise", sqrt(row->variance));
    json_real(json, "significance", row->significance);
    if (rows->rule.by_stack) {
        int side = row->frames[1] ? 1 : 0;
        struct stack_frames frames = diff_stack_frames(&sides[side], row->stacks[side]);
        stack_frames_json(&frames, json);
        free(frames.frames);
    }
    json_object_end(json);
}

void diff_write_json(struct json *json, const struct diff_side *sides, const struct diff_rows *rows, int64_t limit)
{
    write_side(json, "old", &sides[0]);
    write_side(json, "new", &sides[1]);
    json_text(json, "by", rows->rule.by_stack ? "stack" : attribution_name(rows->rule.by));
    json_text(json, "of", has_moment(sides) ? "live" : rows->of->name);
    write_measures(json, sides, &rows->total);
    write_intervals(json, sides, rows, &rows->total);
    json_real(json, "noise_bytes", sqrt(rows->total.variance));
    json_real(json, "ratio", rows->scatter.ratio);
    json_real(json, "dispersion", rows->scatter.dispersion);
    json_integer(json, "edited_files", rows->edited_files);
    json_array(json, "rows");
    for (int64_t i = 0; i < rows->count && (!limit || i < limit); i++)
        write_row(json, sides, rows, &rows->rows[i]);
    json_array_end(json);
}

/* ---- CSV ---- */

/* Of a sample, behind all else: both ends of each difference's; nothing in them where nobody knows. */
static void write_csv_intervals(FILE *out, const struct diff_side *sides, const struct diff_rows *rows, const struct diff_row *row)
{
    struct estimate_interval intervals[FIGURE_COUNT];
    for (enum measure m = 0; m < MEASURE_COUNT; m++)
        if (!is_known(sides, (int)m) || m == TEMPORARY_ALLOCATIONS)
            continue;
        else if (diff_intervals(sides, rows, row, m, intervals))
            fprintf(out, ",%lld,%lld", (long long)intervals[FIGURE_DELTA].low, (long long)intervals[FIGURE_DELTA].high);
        else
            fputs(",,", out);
}

static void write_csv_row(FILE *out, const struct diff_side *sides, const struct diff_rows *rows, const struct diff_row *row)
{
    const struct set_frame *frame = diff_row_frame(row);
    text_csv_field(out, frame ? frame->kind : NULL);
    putc(',', out);
    text_csv_field(out, row_file(rows, frame));
    for (int i = -1; i < 2; i++) {
        int64_t line = row_line(rows, i < 0 ? frame : row->frames[i]);
        putc(',', out);
        if (line > 0)
            fprintf(out, "%lld", (long long)line);
    }
    putc(',', out);
    text_csv_field(out, row_function(rows, row));
    fprintf(out, ",%s", diff_row_status(rows, row));
    for (int m = 0; m < MEASURE_COUNT; m++)
        if (is_known(sides, m))
            fprintf(out, ",%lld,%lld,%lld", (long long)row->measures[0][m], (long long)row->measures[1][m], (long long)diff_row_delta(row, (enum measure)m));
    fprintf(out, ",%.0f,%.6f", sqrt(row->variance), row->significance);
    if (diff_is_sampled(sides))
        write_csv_intervals(out, sides, rows, row);
    fputs("\r\n", out);
}

void diff_write_csv(FILE *out, const struct diff_side *sides, const struct diff_rows *rows, int64_t limit)
{
    fputs("kind,file,line,old_line,new_line,function,status", out);
    for (int m = 0; m < MEASURE_COUNT; m++)
        if (is_known(sides, m))
            fprintf(out, ",old_%s,new_%s,delta_%s", measures[m].name, measures[m].name, measures[m].name);
    fputs(",noise,significance", out);
    for (enum measure m = 0; diff_is_sampled(sides) && m < MEASURE_COUNT; m++)
        if (is_known(sides, (int)m) && m != TEMPORARY_ALLOCATIONS)
            fprintf(out, ",delta_%s_low_95,delta_%s_high_95", measures[m].name, measures[m].name);
    fputs("\r\n", out);
    for (int64_t i = 0; i < rows->count && (!limit || i < limit); i++)
        write_csv_row(out, sides, rows, &rows->rows[i]);
}

/* ---- folded ---- */

void diff_write_folded(FILE *out, const struct diff_side *sides, const struct diff_rows *rows)
{
    enum measure amount = rows->of->amount;
    for (int64_t i = 0; i < rows->count; i++) {
        const struct diff_row *row = &rows->rows[i];
        if (!row->measures[0][amount] && !row->measures[1][amount])
            continue;
        int side = row->frames[1] ? 1 : 0;
        struct stack_frames frames = diff_stack_frames(&sides[side], row->stacks[side]);
        for (int j = frames.count - 1; j >= 0; j--) {
            const struct stack_frame *frame = &frames.frames[j];
            struct set_frame named = {.kind = frame->kind, .function = frame->function, .file = frame->file, .module = frame->module, .line = frame->line};
            frame_name_write(out, &named);
            if (j)
                putc(';', out);
        }
        if (!frames.count)
            fputs(diff_row_name(row), out);
        fprintf(out, " %lld %lld\n", (long long)row->measures[0][amount], (long long)row->measures[1][amount]);
        free(frames.frames);
    }
}
