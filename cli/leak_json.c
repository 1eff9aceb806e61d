/* A row of `heapline leaks` for programs: its object (leak_rows.h). */
#include "count_interval.h"
#include "estimate.h"
#include "leak_groups.h"
#include "object_rows.h"
#include "stack_rows.h"

static void write_place(struct json *json, const struct leak_rows *rows, const struct leak_row *row)
{
    const struct set_frame *frame = &rows->set.frames[row->frame_id];
    json_text(json, "file", frame->file ? frame->file : frame->module);
    json_line(json, "line", frame->line);
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
    char evidence[LEAK_EVIDENCE_BYTES];
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
        const struct object_line *surveyed = leak_objects(rows, row);
        object_types_json(surveyed, json);
        object_paths_json(rows->database, surveyed ? surveyed->frame_id : -1, json);
    }
    json_object_end(json);
}
