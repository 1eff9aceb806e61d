/* Counts blocks by size from a trace's events: see size_classes.h. */
#include "size_classes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "message.h"
#include "sampling_probability.h"
#include "trace_reader.h"

#define BATCH 256

struct counting {
    struct size_classes *sizes;
    struct trace_reader *reader;
    uint64_t interval_bytes, event_count, peak_event; /* interval_bytes: of threads that nothing was said of */
    uint32_t thread_id;
    uint64_t *thread_intervals; /* of each thread */
    size_t thread_count;
    double *slot_weights;       /* of each slot's block; NULL: all count once */
    size_t slot_count;
};

static unsigned class_of(uint64_t size_bytes)
{
    if (size_bytes <= 8)
        return size_bytes != 0;
    unsigned size_class = 62 - (unsigned)__builtin_clzll(size_bytes - 1);
    return size_class < SIZE_CLASSES ? size_class : SIZE_CLASSES - 1;
}

uint64_t size_class_most(unsigned size_class)
{
    return size_class ? UINT64_C(4) << size_class : 0;
}

uint64_t size_class_least(unsigned size_class)
{
    return size_class ? (size_class == 1 ? 1 : size_class_most(size_class - 1) + 1) : 0;
}

/* ---- samples ---- */

static void *extend(void *items, size_t *count, size_t needed, size_t item_bytes)
{
    size_t grown = needed < 2 * *count ? 2 * *count : needed + 64;
    if (needed <= *count)
        return items;
    *count = grown;
    return memory_resize(items, grown, item_bytes);
}

static uint64_t *interval_of_thread(struct counting *counting)
{
    size_t before = counting->thread_count;
    counting->thread_intervals = extend(counting->thread_intervals, &counting->thread_count, counting->thread_id + (size_t)1, sizeof(uint64_t));
    for (size_t i = before; i < counting->thread_count; i++)
        counting->thread_intervals[i] = counting->interval_bytes;
    return &counting->thread_intervals[counting->thread_id];
}

static void reserve_weights(struct counting *counting, size_t slot_count)
{
    size_t before = counting->slot_count;
    counting->slot_weights = extend(counting->slot_weights, &counting->slot_count, slot_count, sizeof(double));
    for (size_t i = before; i < counting->slot_count; i++)
        counting->slot_weights[i] = 1;
}

static double weight_of_slot(const struct counting *counting, const struct live_slots *slots, uint32_t slot)
{
    uint64_t size_bytes = live_slots_size(slots, slot);
    return size_bytes ? (double)trace_reader_weight(counting->reader, slot).bytes / (double)size_bytes : 1;
}

/* Behind history, the trace says what its blocks count as: their bytes are less rounded than their number. */
static void take_segment_weights(struct counting *counting)
{
    const struct live_slots *slots = trace_reader_slots(counting->reader);
    reserve_weights(counting, slots->used_count + (size_t)1);
    for (uint32_t i = 0; i < slots->used_count; i++)
        if (live_slot_is_live(&slots->slots[i]))
            counting->slot_weights[i] = weight_of_slot(counting, slots, i);
}

/* Nothing counts more than once until the first sample. */
static void change_sampling(struct counting *counting, uint64_t interval_bytes)
{
    *interval_of_thread(counting) = interval_bytes;
    if (interval_bytes)
        reserve_weights(counting, trace_reader_slots(counting->reader)->used_count + (size_t)1);
}

/* How many blocks it stands for. */
static double weigh(struct counting *counting, const struct trace_event *event)
{
    if (!counting->slot_weights)
        return 1;
    uint64_t interval_bytes = event->size_bytes && !(event->flags & TRACE_MAPPING) ? *interval_of_thread(counting) : 0;
    double weight = interval_bytes ? 1 / sampling_probability(event->size_bytes, interval_bytes) : 1;
    reserve_weights(counting, event->slot + (size_t)1);
    return counting->slot_weights[event->slot] = weight;
}

/* It stands for so many: (1 - p) / p^2. */
static struct size_error error_of(double weight)
{
    return (struct size_error){weight * (weight - 1), weight * (weight - 1)};
}

void size_error_add(struct size_error *sum, const struct size_error *error)
{
    sum->variance += error->variance;
    if (error->largest > sum->largest)
        sum->largest = error->largest;
}

/* ---- by stack ---- */

static size_t place_of(const struct size_classes *sizes, uint32_t stack_id, uint32_t size_class)
{
    uint64_t hash = ((uint64_t)stack_id << 8 | size_class) * UINT64_C(0x9e3779b97f4a7c15);
    size_t place = (hash >> 24) & (sizes->stack_capacity - 1);
    while (sizes->stacks[place].size_class && (sizes->stacks[place].stack_id != stack_id || sizes->stacks[place].size_class != size_class))
        place = (place + 1) & (sizes->stack_capacity - 1);
    return place;
}

static void grow(struct size_classes *sizes)
{
    struct size_classes old = *sizes;
    sizes->stack_capacity = old.stack_capacity ? 2 * old.stack_capacity : 1024;
    sizes->stacks = memory_new(sizes->stack_capacity, sizeof *sizes->stacks);
    for (size_t i = 0; i < old.stack_capacity; i++)
        if (old.stacks[i].size_class)
            sizes->stacks[place_of(sizes, old.stacks[i].stack_id, old.stacks[i].size_class)] = old.stacks[i];
    free(old.stacks);
}

static void count_allocation(const struct counting *counting, const struct trace_event *event, double weight)
{
    struct size_classes *sizes = counting->sizes;
    unsigned size_class = class_of(event->size_bytes);
    double bytes = weight * (double)event->size_bytes;
    if (2 * sizes->stack_count >= sizes->stack_capacity)
        grow(sizes);
    struct stack_sizes *stack = &sizes->stacks[place_of(sizes, event->stack_id, size_class + 1)];
    sizes->stack_count += !stack->size_class;
    stack->stack_id = event->stack_id;
    stack->size_class = size_class + 1;
    stack->allocations += weight;
    stack->allocated_bytes += bytes;
    sizes->classes[size_class].allocations += weight;
    sizes->classes[size_class].allocated_bytes += bytes;
    struct size_error error = error_of(weight);
    size_error_add(&stack->error, &error);
    size_error_add(&sizes->classes[size_class].error, &error);
}

/* ---- what is live now ---- */

static void count_live(const struct counting *counting, int at_peak)
{
    const struct live_slots *slots = trace_reader_slots(counting->reader);
    for (uint32_t i = 0; i < slots->used_count; i++) {
        const struct live_slot *slot = &slots->slots[i];
        if (!live_slot_is_live(slot) || live_slot_flags(slot) & TRACE_ARENA)
            continue;
        uint64_t size_bytes = live_slots_size(slots, i);
        double weight = i < counting->slot_count ? counting->slot_weights[i] : 1, bytes = weight * (double)size_bytes;
        struct size_class *size_class = &counting->sizes->classes[class_of(size_bytes)];
        *(at_peak ? &size_class->peak_allocations : &size_class->live_allocations) += weight;
        *(at_peak ? &size_class->peak_bytes : &size_class->live_bytes) += bytes;
        struct size_error error = error_of(weight);
        size_error_add(at_peak ? &size_class->peak_error : &size_class->live_error, &error);
    }
}

static int takes_slot(const struct trace_event *event)
{
    return event->kind == TRACE_ALLOCATE || event->kind == TRACE_UNDO_FREE;
}

static void count_block_taken(struct counting *counting, const struct trace_event *event)
{
    double weight = weigh(counting, event);
    if (event->kind == TRACE_ALLOCATE && !(event->flags & (TRACE_ARENA | TRACE_INHERITED)))
        count_allocation(counting, event, weight);
}

static int counts_as_event(const struct trace_event *event)
{
    return event->kind <= TRACE_UNDO_FREE;
}

/* Events one by one up to the peak, where the live blocks must be seen as they are then. */
static size_t batch_size(const struct counting *counting)
{
    uint64_t left = counting->peak_event > counting->event_count ? counting->peak_event - counting->event_count : BATCH;
    return left < BATCH ? (size_t)left : BATCH;
}

static int count_block(struct counting *counting, struct status_detail *detail)
{
    struct trace_event events[BATCH];
    size_t count;
    int status;
    while ((status = trace_reader_next_events(counting->reader, events, batch_size(counting), &count, detail)) == STATUS_OK)
        for (size_t i = 0; i < count; i++) {
            if (events[i].kind == TRACE_THREAD)
                counting->thread_id = events[i].thread_id;
            else if (events[i].kind == TRACE_SAMPLING)
                change_sampling(counting, events[i].size_bytes);
            else if (takes_slot(&events[i]))
                count_block_taken(counting, &events[i]);
            counting->event_count += (uint64_t)counts_as_event(&events[i]);
            if (counts_as_event(&events[i]) && counting->event_count == counting->peak_event) {
                count_live(counting, 1);
                counting->sizes->knows_peak = 1;
            }
        }
    return status;
}

void size_classes_read(const char *trace_path, struct size_classes *ret_sizes)
{
    struct counting counting = {.sizes = ret_sizes};
    struct status_detail detail = {0};
    *ret_sizes = (struct size_classes){0};
    errno = 0;
    int status = trace_reader_open(trace_path, &counting.reader, &detail);
    if (status)
        fail_trace(trace_path, status, &detail);
    const struct trace_overview *overview = trace_reader_overview(counting.reader);
    counting.interval_bytes = overview->identity.sampling_interval_bytes;
    if (counting.interval_bytes)
        reserve_weights(&counting, 1);
    counting.peak_event = overview->peak_event;
    ret_sizes->is_sampled = counting.interval_bytes || overview->identity.flags & TRACE_RESAMPLED;
    /* What is behind the damage of a damaged trace, the report's warning tells. */
    while (trace_reader_next_block(counting.reader, &detail) == STATUS_OK) {
        const struct trace_tally *tally = trace_reader_tally(counting.reader);
        if (tally && !overview->has_history)
            break;
        counting.event_count += tally ? tally->event_count : 0;
        if (trace_reader_is_segment(counting.reader))
            take_segment_weights(&counting);
        if (count_block(&counting, &detail) < 0)
            break;
    }
    ret_sizes->knows_end = !overview->has_tally;
    if (ret_sizes->knows_end)
        count_live(&counting, 0);
    trace_reader_close(counting.reader);
    free(counting.thread_intervals);
    free(counting.slot_weights);
}

void size_classes_free(struct size_classes *sizes)
{
    free(sizes->stacks);
    *sizes = (struct size_classes){0};
}
