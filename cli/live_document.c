/* See live_document.h. */
#include "live_document.h"

#include "count_interval.h"
#include "json.h"

/* Of a sample. */
static void write_intervals(struct json *json, const struct live_model *model, const struct live_row *row)
{
    int64_t interval_bytes = (int64_t)model->replay->totals.sampling_interval_bytes;
    if (!interval_bytes)
        return;
    json_object(json, ESTIMATE_KEY);
    estimate_json(json, "live_bytes", estimate_of_bytes((int64_t)row->live_bytes, (int64_t)row->live_allocations, interval_bytes));
    estimate_json(json, "allocated_bytes", estimate_of_bytes((int64_t)row->allocated_bytes, (int64_t)row->allocations, interval_bytes));
    if (live_model_knows_errors(model)) {
        estimate_json(json, "live_allocations", count_interval_of(&row->error, LIVE_ALLOCATIONS, (int64_t)row->live_allocations));
        estimate_json(json, "allocations", count_interval_of(&row->error, ALLOCATIONS, (int64_t)row->allocations));
    }
    json_object_end(json);
}

static void write_total_intervals(struct json *json, const struct live_model *model)
{
    const struct replay_totals *totals = &model->replay->totals;
    if (!live_model_knows_errors(model))
        return;
    json_object(json, ESTIMATE_KEY);
    estimate_json(json, "live_allocations", count_interval_of(&model->error, LIVE_ALLOCATIONS, (int64_t)totals->live_allocations));
    estimate_json(json, "allocations", count_interval_of(&model->error, ALLOCATIONS, (int64_t)totals->allocations));
    estimate_json(json, "copies", count_interval_of(&model->error, COPIES, (int64_t)totals->copies));
    json_object_end(json);
}

static void write_row(struct json *json, const struct live_model *model, const struct live_row *row)
{
    static const char *const origins[] = {[FRAME_USER] = "user", [FRAME_PACKAGE] = "package", [FRAME_STDLIB] = "stdlib",
                                          [FRAME_IMPORT] = "import", [FRAME_OF_NATIVE] = "native", [FRAME_SYSTEM] = "system"};
    json_object(json, NULL);
    json_text(json, "file", row->file);
    json_line(json, "line", row->line);
    json_text(json, "function", row->function);
    json_text(json, "kind", row->kind == TRACE_FRAME_PYTHON ? "python" : "native");
    json_text(json, "origin", origins[row->origin]);
    json_integer(json, "live_bytes", (int64_t)row->live_bytes);
    json_integer(json, "live_allocations", (int64_t)row->live_allocations);
    json_integer(json, "allocated_bytes", (int64_t)row->allocated_bytes);
    json_integer(json, "allocations", (int64_t)row->allocations);
    json_real(json, "allocated_bytes_per_second", row->bytes_per_s);
    json_real(json, "allocations_per_second", row->allocations_per_s);
    json_integer(json, "growth_bytes", row->growth_bytes);
    write_intervals(json, model, row);
    json_object_end(json);
}

void live_document_write(const struct live_view *view, enum follow_state state, int64_t limit)
{
    const struct live_model *model = view->model;
    const struct replay_totals *totals = &model->replay->totals;
    struct json json;
    int64_t written = 0;
    json_begin(&json, stdout, "live");
    json_integer(&json, "pid", view->pid);
    json_text(&json, "process", live_model_property(model, "command"));
    json_boolean(&json, "running", state != FOLLOW_ENDED);
    json_integer(&json, "duration_ns", (int64_t)model->time_ns);
    json_integer(&json, "events", (int64_t)totals->event_count);
    json_integer(&json, "live_bytes", (int64_t)totals->live_bytes);
    json_integer(&json, "live_allocations", (int64_t)totals->live_allocations);
    json_integer(&json, "peak_bytes", (int64_t)totals->peak_bytes);
    json_integer(&json, "peak_time_ns", (int64_t)totals->peak_time_ns);
    json_integer(&json, "rss_bytes", (int64_t)model->rss_bytes);
    json_integer(&json, "allocated_bytes", (int64_t)totals->allocated_bytes);
    json_integer(&json, "allocations", (int64_t)totals->allocations);
    json_integer(&json, "copied_bytes", (int64_t)totals->copied_bytes);
    json_integer(&json, "copies", (int64_t)totals->copies);
    json_integer(&json, "lost_events", (int64_t)totals->lost_events);
    json_integer(&json, "sampling_interval_bytes", (int64_t)model->replay->totals.sampling_interval_bytes);
    json_integer(&json, "interval_ns", (int64_t)model->growth_ns);
    json_real(&json, "allocated_bytes_per_second", model->bytes_per_s);
    json_real(&json, "allocations_per_second", model->allocations_per_s);
    json_integer(&json, "growth_bytes", model->growth_bytes);
    write_total_intervals(&json, model);
    json_array(&json, "lines");
    for (uint32_t i = 0; i < model->row_count; i++)
        if (live_row_matches(&model->rows[i], view->filter) && (!limit || written++ < limit))
            write_row(&json, model, &model->rows[i]);
    json_array_end(&json);
    reading_json_end(&json);
}
