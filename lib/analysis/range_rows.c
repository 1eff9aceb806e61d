/* Adds up what happens to uses within a window, and makes rows of it at its end: see range_state.h.
 *
 * "At the highest": a use's level then is known without a snapshot. The highest moment of a window has a number (mark); before a use's level
 * changes for the first time since the latest mark, the level is kept as that of the mark. One thread; allocates. */
#include "range_state.h"

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

uint32_t range_find_use(struct ranges *ranges, uint32_t stack_id)
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
        return RANGE_NO_USE;
    report->uses[report->use_count] = (struct range_use){group, ranges->thread_id};
    ranges->use_table[at] = (uint32_t)++report->use_count;
    if (report->use_count * 2 > ranges->use_mask && grow_use_table(ranges))
        return RANGE_NO_USE;
    return (uint32_t)report->use_count - 1;
}

int range_list_use(struct ranges *ranges, uint32_t use)
{
    if (likely(ranges->states[use].is_listed))
        return STATUS_OK;
    if (!ARRAY_EXTEND(ranges->changed, ranges->changed_capacity, ranges->changed_count + 1))
        return STATUS_NO_MEMORY;
    ranges->changed[ranges->changed_count++] = use;
    ranges->states[use].is_listed = 1;
    return STATUS_OK;
}

int range_change_level(struct ranges *ranges, uint32_t use, int64_t bytes, int64_t count)
{
    struct use_state *state = &ranges->states[use];
    if (state->mark != ranges->mark) {
        state->mark = ranges->mark;
        state->marked_bytes = state->bytes;
        state->marked_count = state->count;
    }
    state->bytes += bytes;
    state->count += count;
    return range_list_use(ranges, use);
}

void range_note_level(struct ranges *ranges)
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

int range_count_death(struct ranges *ranges, uint32_t use, int16_t birth, int64_t bytes, int64_t count)
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

int range_flush_deaths(struct ranges *ranges)
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

int range_close_window(struct ranges *ranges)
{
    int status = STATUS_OK;
    ranges->report->windows[ranges->window] = (struct range_window){
        .end_time_ns = ranges->request->end_times_ns[ranges->window],
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
        status = range_flush_deaths(ranges);
    ranges->changed_count = 0;
    ranges->window_small_copied_bytes = ranges->small_copied_bytes;
    ranges->window_small_copies = ranges->small_copies;
    ranges->highest = ranges->level;
    ranges->mark++;
    ranges->window++;
    return status;
}

int range_rows_begin(struct ranges *ranges)
{
    int status = grow_use_table(ranges);
    return status ? status : grow_deaths(ranges);
}
