/* See leak_groups.h. */
#include "leak_groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "count_interval.h"
#include "leak_owner.h"
#include "lockstep.h"
#include "memory.h"

/* A caller farther out runs many things. */
#define NEAR_CALLS 3

struct grouping {
    struct leak_rows *rows;
    double *floors;   /* of each reported line, one series */
    int first, count; /* the windows since warm-up */
    int64_t *members; /* rows of the leak that is being gathered, its first line first */
    int64_t member_count;
    char *in_step;    /* by row: with that first line */
};

static double *floor_of(const struct grouping *grouping, int64_t row)
{
    return grouping->floors + row * grouping->rows->window_count;
}

static void find_floors(struct grouping *grouping)
{
    const struct leak_rows *rows = grouping->rows;
    grouping->floors = memory_new((size_t)(rows->confident_count * rows->window_count) + 1, sizeof *grouping->floors);
    for (int64_t i = 0; i < rows->confident_count; i++)
        growth_floor(rows->rows[i].growth.by_new_blocks ? rows->rows[i].blocks : rows->rows[i].bytes, floor_of(grouping, i), rows->window_count);
}

static struct lockstep_series series_of(const struct grouping *grouping, int64_t row)
{
    const struct leak_rows *rows = grouping->rows;
    const struct growth *growth = &rows->rows[row].growth;
    return (struct lockstep_series){
        .levels = floor_of(grouping, row) + grouping->first,
        .steps = growth->by_new_blocks ? growth->grown_blocks : growth->rising_windows,
        .samples = rows->grain_bytes > 0 ? fmax(growth->grown_bytes / rows->grain_bytes, 1) : 0,
    };
}

static int are_in_step(const struct grouping *grouping, int64_t a, int64_t b)
{
    struct lockstep_series left = series_of(grouping, a), right = series_of(grouping, b);
    return lockstep(grouping->rows->seconds + grouping->first, grouping->count, &left, &right);
}

/* ---- near ---- */

static int same_text(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

static int same_function(const struct set_frame *a, const struct set_frame *b)
{
    return same_text(a->function, b->function) && same_text(a->file ? a->file : a->module, b->file ? b->file : b->module);
}

static uint32_t owner_of(const struct leak_rows *rows, const struct leak_row *row)
{
    return leak_owner_stack(&rows->set, stack_set_index(&rows->set, row->stack_id));
}

/* Whether the function of one line calls that of the other, or is it. Between lines of the program a framework's functions don't count. */
static int calls(const struct leak_rows *rows, const struct leak_row *outer, const struct leak_row *inner)
{
    const struct stack_set *set = &rows->set;
    int calls_left = NEAR_CALLS, is_through_own = !outer->is_foreign && !inner->is_foreign;
    for (uint32_t index = owner_of(rows, inner); index > SET_EMPTY && calls_left >= 0; index = set->stacks[index].caller) {
        const struct set_frame *frame = &set->frames[set->stacks[index].frame];
        if (same_function(frame, &set->frames[outer->frame_id]))
            return 1;
        calls_left -= !is_through_own || leak_is_own(frame);
    }
    return 0;
}

/* What calls a library that leaks may leak itself: that is another leak. */
static int are_near(const struct leak_rows *rows, const struct leak_row *first, const struct leak_row *member, const struct leak_row *other)
{
    return (!first->is_foreign || other->is_foreign) && (calls(rows, member, other) || calls(rows, other, member));
}

static int is_python(const struct leak_rows *rows, const struct leak_row *row)
{
    return same_text(rows->set.frames[row->frame_id].kind, "python");
}

static int is_own(const struct leak_row *row)
{
    return !row->is_foreign && !row->is_carrier;
}

/* How a line that is in step with a leak belongs to it, by what lines of it are known. */
static enum leak_relation find_relation(const struct grouping *grouping, int64_t row)
{
    const struct leak_rows *rows = grouping->rows;
    const struct leak_row *first = &rows->rows[grouping->members[0]], *other = &rows->rows[row];
    for (int64_t i = 0; i < grouping->member_count; i++)
        if (are_near(rows, first, &rows->rows[grouping->members[i]], other))
            return LEAK_BY_FUNCTION;
    return is_own(first) && !is_own(other) && is_python(rows, first) && is_python(rows, other) ? LEAK_BY_LIBRARY : LEAK_ALONE;
}

/* ---- grouping ---- */

static void add_member(struct grouping *grouping, int64_t row, enum leak_relation relation)
{
    grouping->rows->rows[row].leak = grouping->rows->leak_count;
    grouping->rows->rows[row].relation = relation;
    grouping->members[grouping->member_count++] = row;
}

/* A line that joins may be near to further ones: until none joins any more. */
static void gather(struct grouping *grouping)
{
    struct leak_rows *rows = grouping->rows;
    int64_t before;
    do {
        before = grouping->member_count;
        for (int64_t i = grouping->members[0] + 1; i < rows->confident_count; i++) {
            enum leak_relation relation = !rows->rows[i].leak && grouping->in_step[i] ? find_relation(grouping, i) : LEAK_ALONE;
            if (relation != LEAK_ALONE)
                add_member(grouping, i, relation);
        }
    } while (grouping->member_count > before);
}

static void begin_leak(struct grouping *grouping, int64_t first)
{
    struct leak_rows *rows = grouping->rows;
    rows->leak_count++;
    rows->rows[first].is_first = 1;
    grouping->member_count = 0;
    add_member(grouping, first, LEAK_ALONE);
    for (int64_t i = first + 1; i < rows->confident_count; i++)
        grouping->in_step[i] = !rows->rows[i].leak && are_in_step(grouping, first, i);
    gather(grouping);
    for (int64_t i = first + 1; i < rows->confident_count; i++)
        if (!rows->rows[i].leak && grouping->in_step[i] && !rows->rows[i].in_step_with)
            rows->rows[i].in_step_with = rows->rows[first].leak;
}

void leak_groups_find(struct leak_rows *rows)
{
    size_t count = (size_t)rows->confident_count + 1;
    struct grouping grouping = {
        .rows = rows, .first = growth_warm_window(rows->window_count),
        .members = memory_new(count, sizeof *grouping.members), .in_step = memory_new(count, 1),
    };
    grouping.count = rows->window_count - grouping.first;
    find_floors(&grouping);
    for (int64_t i = 0; i < rows->confident_count; i++)
        if (!rows->rows[i].leak)
            begin_leak(&grouping, i);
    free(grouping.floors);
    free(grouping.members);
    free(grouping.in_step);
}

struct leak_sum leak_sum(const struct leak_rows *rows, int64_t leak)
{
    struct leak_sum sum = {0};
    for (int64_t i = 0; i < rows->confident_count; i++) {
        const struct leak_row *row = &rows->rows[i];
        if (row->leak != leak)
            continue;
        sum.lines++;
        sum.live_bytes += row->live_bytes;
        sum.live_allocations += row->live_allocations;
        sum.bytes_per_second += row->growth.bytes_per_second;
        count_error_add(&sum.judged, &row->judged);
    }
    return sum;
}

const char *leak_relation_name(const struct leak_row *row)
{
    return row->relation == LEAK_BY_FUNCTION ? "function" : row->relation == LEAK_BY_LIBRARY ? "library" : NULL;
}
