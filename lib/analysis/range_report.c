/* Follows every block from the window of its allocation to that of its deallocation: see range_report.h.
 *
 * "At the highest": a use's level then is known without a snapshot. The highest moment of a window has a number (mark); before a use's level
 * changes for the first time since the latest mark, the level is kept as that of the mark. */
#include "range_report.h"

#include <stdlib.h>

#include "array.h"
#include "compiler.h"
#include "trace_reader.h"

#define BATCH 256
#define NO_USE UINT32_MAX

struct use_state {
    int64_t bytes, count;           /* live */
    int64_t marked_bytes, marked_count;
    struct range_flow flow;         /* of this window */
    uint64_t mark;
    int is_listed;                  /* in `changed` */
};

struct block_note {
    uint32_t use;
    int16_t birth;
};

/* Deallocations of this window by use and window of birth: open addressing. */
struct death {
    uint64_t key;  /* 0: free */
    int64_t bytes, count;
};

struct last_free {
    uint32_t owner, use;
    int16_t birth;
    int was_temporary, valid;
};

struct thread_note {
    uint32_t last_slot;
    struct last_free freed;
};

struct ranges {
    struct range_report *report;
    const struct range_request *request;
    const struct live_slots *slots;
    struct use_state *states;       /* by use */
    size_t state_capacity, use_capacity, flow_capacity, kept_capacity, peak_capacity;
    uint32_t *use_table;            /* by hash of group and thread: use + 1 */
    size_t use_mask;
    struct death *deaths;
    size_t death_mask, death_count;
    struct block_note *notes;       /* by slot */
    size_t note_capacity;
    struct thread_note *threads;
    size_t thread_capacity;
    uint32_t *changed;
    size_t changed_count, changed_capacity;
    struct trace_level level, highest;
    uint64_t mark;
    uint64_t small_copied_bytes, small_copies;          /* so far */
    uint64_t window_small_copied_bytes, window_small_copies; /* at the window's start */
    uint32_t thread_id;
    int window;
};

static uint64_t slack_of(const struct trace_level *level)
{
    return level->arena_bytes > level->object_bytes ? level->arena_bytes - level->object_bytes : 0;
}

/* ---- uses ---- */

static int grow_use_table(struct ranges *ranges)
{
    size_t mask = ranges->use_mask ? ranges->use_mask << 1 | 1 : 1023;
    uint32_t *table = calloc(mask + 1, sizeof *table);
    if (!table)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < ranges->report->use_count; i++) {
        const struct range_use *use = &ranges->report->uses[i];
        size_t at = hash_number((uint64_t)use->group << 32 | use->thread_id) & mask;
        while (table[at])
            at = (at + 1) & mask;
        table[at] = i + 1;
    }
    free(ranges->use_table);
    ranges->use_table = table;
    ranges->use_mask = mask;
    return STATUS_OK;
}

/* NO_USE without memory. */
static uint32_t find_use(struct ranges *ranges, uint32_t stack_id)
{
    struct range_report *report = ranges->report;
    uint32_t group = stack_id < ranges->request->stack_count ? ranges->request->groups[stack_id] : 0;
    size_t at = hash_number((uint64_t)group << 32 | ranges->thread_id) & ranges->use_mask;
    for (; ranges->use_table[at]; at = (at + 1) & ranges->use_mask) {
        const struct range_use *use = &report->uses[ranges->use_table[at] - 1];
        if (use->group == group && use->thread_id == ranges->thread_id)
            return ranges->use_table[at] - 1;
    }
    if (!ARRAY_EXTEND(report->uses, ranges->use_capacity, report->use_count + 1) ||
        !ARRAY_RESERVE(ranges->states, ranges->state_capacity, report->use_count + 1))
        return NO_USE;
    report->uses[report->use_count] = (struct range_use){group, ranges->thread_id};
    ranges->use_table[at] = (uint32_t)++report->use_count;
    if (report->use_count * 2 > ranges->use_mask && grow_use_table(ranges))
        return NO_USE;
    return (uint32_t)report->use_count - 1;
}

static int list_use(struct ranges *ranges, uint32_t use)
{
    if (likely(ranges->states[use].is_listed))
        return STATUS_OK;
    if (!ARRAY_EXTEND(ranges->changed, ranges->changed_capacity, ranges->changed_count + 1))
        return STATUS_NO_MEMORY;
    ranges->changed[ranges->changed_count++] = use;
    ranges->states[use].is_listed = 1;
    return STATUS_OK;
}

static int change_level(struct ranges *ranges, uint32_t use, int64_t bytes, int64_t count)
{
    struct use_state *state = &ranges->states[use];
    if (state->mark != ranges->mark) {
        state->mark = ranges->mark;
        state->marked_bytes = state->bytes;
        state->marked_count = state->count;
    }
    state->bytes += bytes;
    state->count += count;
    return list_use(ranges, use);
}

static void note_level(struct ranges *ranges)
{
    if (!trace_level_higher(&ranges->level, &ranges->highest))
        return;
    ranges->highest = ranges->level;
    ranges->mark++;
}

/* ---- deaths ---- */

static int grow_deaths(struct ranges *ranges)
{
    size_t mask = ranges->death_mask ? ranges->death_mask << 1 | 1 : 1023;
    struct death *table = calloc(mask + 1, sizeof *table);
    if (!table)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; ranges->deaths && i <= ranges->death_mask; i++) {
        if (!ranges->deaths[i].key)
            continue;
        size_t at = hash_number(ranges->deaths[i].key) & mask;
        while (table[at].key)
            at = (at + 1) & mask;
        table[at] = ranges->deaths[i];
    }
    free(ranges->deaths);
    ranges->deaths = table;
    ranges->death_mask = mask;
    return STATUS_OK;
}

static int count_death(struct ranges *ranges, uint32_t use, int16_t birth, int64_t bytes, int64_t count)
{
    uint64_t key = (uint64_t)use << 8 | (uint64_t)(birth + 2);
    size_t at = hash_number(key) & ranges->death_mask;
    while (ranges->deaths[at].key && ranges->deaths[at].key != key)
        at = (at + 1) & ranges->death_mask;
    int is_new = !ranges->deaths[at].key;
    ranges->deaths[at].key = key;
    ranges->deaths[at].bytes += bytes;
    ranges->deaths[at].count += count;
    ranges->death_count += (size_t)is_new;
    return is_new && ranges->death_count * 2 > ranges->death_mask ? grow_deaths(ranges) : STATUS_OK;
}

/* What has died in this window, or lives at the end, becomes rows. */
static int flush_deaths(struct ranges *ranges)
{
    struct range_report *report = ranges->report;
    for (size_t i = 0; i <= ranges->death_mask && ranges->death_count; i++) {
        const struct death *death = &ranges->deaths[i];
        if (!death->key || (!death->bytes && !death->count))
            continue;
        if (!ARRAY_EXTEND(report->kept, ranges->kept_capacity, report->kept_count + 1))
            return STATUS_NO_MEMORY;
        report->kept[report->kept_count++] = (struct range_kept){
            .use = (uint32_t)(death->key >> 8),
            .birth = (int16_t)((int)(death->key & 0xff) - 2),
            .death = (int16_t)ranges->window,
            .bytes = death->bytes,
            .count = death->count,
        };
    }
    memset(ranges->deaths, 0, (ranges->death_mask + 1) * sizeof *ranges->deaths);
    ranges->death_count = 0;
    return STATUS_OK;
}

/* ---- windows ---- */

static uint64_t window_end_ns(const struct ranges *ranges)
{
    return (uint64_t)((unsigned __int128)ranges->request->duration_ns * (unsigned)(ranges->window + 1) / (unsigned)ranges->report->window_count);
}

static int flush_use(struct ranges *ranges, uint32_t use)
{
    struct range_report *report = ranges->report;
    struct use_state *state = &ranges->states[use];
    const struct range_flow *flow = &state->flow;
    int64_t bytes = state->mark == ranges->mark ? state->marked_bytes - state->bytes : 0;
    int64_t count = state->mark == ranges->mark ? state->marked_count - state->count : 0;
    if (!ARRAY_EXTEND(report->flows, ranges->flow_capacity, report->flow_count + 1) ||
        !ARRAY_EXTEND(report->peaks, ranges->peak_capacity, report->peak_count + 1))
        return STATUS_NO_MEMORY;
    if (flow->allocations || flow->temporary_allocations || flow->copies || flow->copied_bytes) {
        report->flows[report->flow_count] = *flow;
        report->flows[report->flow_count].use = use;
        report->flows[report->flow_count++].window = (uint32_t)ranges->window;
    }
    if (bytes || count)
        report->peaks[report->peak_count++] = (struct range_peak){use, (uint32_t)ranges->window, bytes, count};
    state->flow = (struct range_flow){0};
    state->is_listed = 0;
    return STATUS_OK;
}

static int close_window(struct ranges *ranges)
{
    int status = STATUS_OK;
    ranges->report->windows[ranges->window] = (struct range_window){
        .end_time_ns = window_end_ns(ranges),
        .heap_bytes = trace_level_total(&ranges->level),
        .slack_bytes = slack_of(&ranges->level),
        .peak_bytes = trace_level_total(&ranges->highest),
        .peak_slack_bytes = slack_of(&ranges->highest),
        .small_copied_bytes = ranges->small_copied_bytes - ranges->window_small_copied_bytes,
        .small_copies = ranges->small_copies - ranges->window_small_copies,
    };
    for (size_t i = 0; i < ranges->changed_count && !status; i++)
        status = flush_use(ranges, ranges->changed[i]);
    if (!status)
        status = flush_deaths(ranges);
    ranges->changed_count = 0;
    ranges->window_small_copied_bytes = ranges->small_copied_bytes;
    ranges->window_small_copies = ranges->small_copies;
    ranges->highest = ranges->level;
    ranges->mark++;
    ranges->window++;
    return status;
}

/* The last window stays open until the end. */
static int pass_time(struct ranges *ranges, uint64_t time_ns)
{
    int status = STATUS_OK;
    while (!status && ranges->window < ranges->report->window_count - 1 && time_ns >= window_end_ns(ranges))
        status = close_window(ranges);
    return status;
}

/* ---- events ---- */

static int room_for(struct ranges *ranges, uint32_t slot)
{
    size_t before = ranges->thread_capacity;
    if (!ARRAY_EXTEND(ranges->notes, ranges->note_capacity, (size_t)slot + 1) ||
        !ARRAY_RESERVE(ranges->threads, ranges->thread_capacity, (size_t)ranges->thread_id + 1))
        return 0;
    for (size_t i = before; i < ranges->thread_capacity; i++)
        ranges->threads[i].last_slot = SLOT_NONE;
    return 1;
}

static int on_allocate(struct ranges *ranges, const struct trace_event *event)
{
    trace_level_change(&ranges->level, event->flags, event->size_bytes, 1);
    int status = STATUS_OK;
    if (!(event->flags & TRACE_ARENA)) {
        uint32_t use = find_use(ranges, event->stack_id);
        if (use == NO_USE || !room_for(ranges, event->slot))
            return STATUS_NO_MEMORY;
        status = change_level(ranges, use, (int64_t)event->size_bytes, 1);
        ranges->notes[event->slot] = (struct block_note){use, (int16_t)(event->flags & TRACE_INHERITED ? RANGE_BEFORE : ranges->window)};
        if (!(event->flags & TRACE_INHERITED)) {
            ranges->states[use].flow.allocated_bytes += event->size_bytes;
            ranges->states[use].flow.allocations++;
            ranges->threads[ranges->thread_id].last_slot = event->slot;
        }
    }
    note_level(ranges);
    return status;
}

static int take_from(struct ranges *ranges, const struct block_note *note, uint64_t bytes, int64_t count)
{
    int status = change_level(ranges, note->use, -(int64_t)bytes, -count);
    if (!status && note->birth < ranges->window)
        status = count_death(ranges, note->use, note->birth, (int64_t)bytes, count);
    return status;
}

static int on_free(struct ranges *ranges, const struct trace_event *event)
{
    trace_level_change(&ranges->level, event->block_flags, event->size_bytes, -1);
    if (event->block_flags & TRACE_ARENA)
        return STATUS_OK;
    const struct block_note note = ranges->notes[event->slot];
    uint32_t owner = ranges->report->uses[note.use].thread_id;
    int is_temporary = ranges->threads[owner].last_slot == event->slot;
    if (!room_for(ranges, event->slot))
        return STATUS_NO_MEMORY;
    int status = take_from(ranges, &note, event->size_bytes, 1);
    if (is_temporary) {
        ranges->threads[owner].last_slot = SLOT_NONE;
        ranges->states[note.use].flow.temporary_allocations++;
    }
    ranges->threads[ranges->thread_id].freed = (struct last_free){owner, note.use, note.birth, is_temporary, 1};
    return status;
}

/* The block that the thread freed last is live again, as if nothing had happened to it. */
static int on_undo_free(struct ranges *ranges, const struct trace_event *event)
{
    trace_level_change(&ranges->level, event->flags, event->size_bytes, 1);
    if (event->flags & TRACE_ARENA)
        return STATUS_OK;
    if (!room_for(ranges, event->slot))
        return STATUS_NO_MEMORY;
    struct last_free *freed = &ranges->threads[ranges->thread_id].freed;
    struct block_note note = {freed->use, freed->birth};
    if (!freed->valid)
        note = (struct block_note){find_use(ranges, event->stack_id), (int16_t)ranges->window};
    if (note.use == NO_USE)
        return STATUS_NO_MEMORY;
    ranges->notes[event->slot] = note;
    int status = take_from(ranges, &note, 0 - event->size_bytes, -1);
    if (freed->valid && freed->was_temporary) {
        ranges->states[note.use].flow.temporary_allocations--;
        if (ranges->threads[freed->owner].last_slot == SLOT_NONE)
            ranges->threads[freed->owner].last_slot = event->slot;
    }
    freed->valid = 0;
    note_level(ranges);
    return status;
}

static int on_shrink(struct ranges *ranges, const struct trace_event *event)
{
    trace_level_change(&ranges->level, event->block_flags, event->size_bytes, -1);
    return event->block_flags & TRACE_ARENA ? STATUS_OK : take_from(ranges, &ranges->notes[event->slot], event->size_bytes, 0);
}

static int on_copy(struct ranges *ranges, const struct trace_event *event)
{
    uint32_t use = find_use(ranges, event->stack_id);
    if (use == NO_USE)
        return STATUS_NO_MEMORY;
    ranges->states[use].flow.copied_bytes += event->size_bytes;
    ranges->states[use].flow.copies++;
    return list_use(ranges, use);
}

static int apply(struct ranges *ranges, const struct trace_event *event)
{
    switch ((enum trace_event_kind)event->kind) {
    case TRACE_ALLOCATE:
        return on_allocate(ranges, event);
    case TRACE_FREE:
        return on_free(ranges, event);
    case TRACE_COPY:
        return on_copy(ranges, event);
    case TRACE_SHRINK:
        return on_shrink(ranges, event);
    case TRACE_UNDO_FREE:
        return on_undo_free(ranges, event);
    case TRACE_TIME:
        return pass_time(ranges, event->time_ns);
    case TRACE_THREAD:
        ranges->thread_id = event->thread_id;
        return STATUS_OK;
    case TRACE_SMALL_COPIES:
        ranges->small_copied_bytes = event->size_bytes;
        ranges->small_copies = event->count;
        return STATUS_OK;
    default:
        return STATUS_OK;
    }
}

/* ---- the pass ---- */

/* A damaged block ends the pass, as it ends the replay. */
static int read_trace(struct ranges *ranges, struct trace_reader *reader, struct status_detail *detail)
{
    struct trace_event events[BATCH];
    size_t count;
    while (!trace_reader_next_block(reader, detail))
        while (!trace_reader_next_events(reader, events, BATCH, &count, detail))
            for (size_t i = 0; i < count; i++) {
                int status = apply(ranges, &events[i]);
                if (status)
                    return status;
            }
    return STATUS_OK;
}

static int finish(struct ranges *ranges)
{
    int status = pass_time(ranges, ranges->request->duration_ns);
    while (!status && ranges->window < ranges->report->window_count)
        status = close_window(ranges);
    for (uint32_t i = 0; !status && i < ranges->slots->used_count && i < ranges->note_capacity; i++) {
        const struct live_slot *slot = &ranges->slots->slots[i];
        if (live_slot_is_live(slot) && !(live_slot_flags(slot) & TRACE_ARENA))
            status = count_death(ranges, ranges->notes[i].use, ranges->notes[i].birth, (int64_t)live_slots_size(ranges->slots, i), 1);
    }
    return status ? status : flush_deaths(ranges);
}

static void ranges_done(struct ranges *ranges)
{
    free(ranges->states);
    free(ranges->use_table);
    free(ranges->deaths);
    free(ranges->notes);
    free(ranges->threads);
    free(ranges->changed);
}

void range_report_free(struct range_report *report)
{
    if (!report)
        return;
    free(report->uses);
    free(report->flows);
    free(report->kept);
    free(report->peaks);
    free(report);
}

int range_report_build(const char *trace_path, const struct range_request *request, struct range_report **ret_report, struct status_detail *detail)
{
    struct status_detail ignored;
    struct trace_reader *reader;
    int status = trace_reader_open(trace_path, &reader, detail ? detail : &ignored);
    if (status)
        return status;
    const struct trace_overview *overview = trace_reader_overview(reader);
    struct ranges ranges = {.request = request, .slots = trace_reader_slots(reader), .mark = 1, .report = calloc(1, sizeof *ranges.report)};
    int is_sampled = overview->identity.sampling_interval_bytes || overview->identity.flags & TRACE_RESAMPLED;
    status = overview->has_tally || is_sampled ? STATUS_END : ranges.report ? STATUS_OK : STATUS_NO_MEMORY;
    if (!status && (grow_use_table(&ranges) || grow_deaths(&ranges) || !room_for(&ranges, 0)))
        status = STATUS_NO_MEMORY;
    if (!status) {
        ranges.report->window_count = request->window_count;
        status = read_trace(&ranges, reader, detail ? detail : &ignored);
    }
    if (!status)
        status = finish(&ranges);
    trace_reader_close(reader);
    ranges_done(&ranges);
    if (status)
        range_report_free(ranges.report);
    else
        *ret_report = ranges.report;
    return status;
}
