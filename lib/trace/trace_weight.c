/* See trace_weight.h. No libm: its last bit differs between versions and processors. Sums of products are kept from being fused, for the same
 * reason, by a volatile product. */
#include "trace_weight.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "status.h"
#include "trace_event.h"

#define LN_2 0.69314718055994531
#define TERMS 24

static double product(double a, double b)
{
    volatile double rounded = a * b;
    return rounded;
}

/* 1 - exp(-x), 0 <= x <= ln 2: x (1 - x/2 (1 - x/3 (1 - …))). */
static double series(double x)
{
    double sum = 1;
    for (int term = TERMS; term > 1; term--)
        sum = 1 - product(x / term, sum);
    return product(x, sum);
}

/* 1 - exp(-x). */
static double probability(double x)
{
    if (x > 64)
        return 1;
    double halvings = (double)(uint64_t)(x / LN_2), rest = x - product(halvings, LN_2);
    double left = 1 - series(rest > 0 ? rest : 0);
    if (halvings == 0)
        return series(x);
    for (uint64_t i = (uint64_t)halvings; i > 0; i--)
        left *= 0.5;
    return 1 - left;
}

struct trace_weight weight_table_weigh(const struct weight_table *table, uint32_t thread_id, uint64_t size_bytes, unsigned flags,
                                       uint64_t event_number)
{
    uint64_t interval_bytes = flags & (TRACE_ARENA | TRACE_MAPPING) || !size_bytes ? 0 : weight_table_interval(table, thread_id);
    if (!interval_bytes)
        return (struct trace_weight){size_bytes, 1};
    double p = probability((double)size_bytes / (double)interval_bytes), fraction = random_fraction(&event_number);
    if (p >= 1)
        return (struct trace_weight){size_bytes, 1}; /* larger than doubles can count */
    return (struct trace_weight){(uint64_t)((double)size_bytes / p + fraction), (uint64_t)(1 / p + fraction)};
}

/* Rounded down; from some size on all doubles are whole. */
static double whole(double value)
{
    return value < 1e18 ? (double)(uint64_t)value : value;
}

double trace_weight_count_variance(uint64_t size_bytes, struct trace_weight weight)
{
    if (!size_bytes || weight.bytes <= size_bytes)
        return 0;
    double times = (double)weight.bytes / (double)size_bytes, fraction = times - whole(times);
    double variance = product(times, times - 1) + product(fraction, 1 - fraction);
    return variance < 1024 ? whole(variance * 1024 + 0.5) / 1024 : whole(variance + 0.5);
}

void weight_table_init(struct weight_table *table, uint64_t base_bytes)
{
    *table = (struct weight_table){.base_bytes = base_bytes, .longest_bytes = base_bytes};
}

void weight_table_done(struct weight_table *table)
{
    free(table->intervals);
    free(table->freed);
    free(table->weights);
}

void weight_table_forget_freed(struct weight_table *table)
{
    for (uint32_t i = 0; i < table->freed_count; i++)
        table->freed[i].is_valid = 0;
}

void weight_table_reset(struct weight_table *table)
{
    for (uint32_t i = 0; i < table->interval_count; i++)
        table->intervals[i] = table->base_bytes;
    weight_table_forget_freed(table);
    if (table->weight_count)
        memset(table->weights, 0, table->weight_count * sizeof *table->weights);
}

int weight_table_set_interval(struct weight_table *table, uint32_t thread_id, uint64_t interval_bytes)
{
    if (thread_id >= table->interval_count) {
        uint32_t count = 2 * thread_id + 16;
        uint64_t *grown = realloc(table->intervals, count * sizeof *grown);
        if (!grown)
            return STATUS_NO_MEMORY;
        for (uint32_t i = table->interval_count; i < count; i++)
            grown[i] = table->base_bytes;
        table->intervals = grown;
        table->interval_count = count;
    }
    table->intervals[thread_id] = interval_bytes;
    if (interval_bytes > table->longest_bytes)
        table->longest_bytes = interval_bytes;
    return 0;
}

static int reserve(struct weight_table *table, uint32_t slot)
{
    uint64_t count = table->weight_count ? table->weight_count : 1024;
    while (count <= slot)
        count *= 2;
    struct trace_weight *grown = count <= UINT32_MAX ? realloc(table->weights, count * sizeof *grown) : NULL;
    if (!grown)
        return STATUS_NO_MEMORY;
    memset(grown + table->weight_count, 0, (count - table->weight_count) * sizeof *grown);
    table->weights = grown;
    table->weight_count = (uint32_t)count;
    return 0;
}

int weight_table_put(struct weight_table *table, uint32_t slot, uint64_t size_bytes, struct trace_weight weight)
{
    int counts_as_itself = weight.count == 1 && weight.bytes == size_bytes;
    if (slot >= table->weight_count && (counts_as_itself || reserve(table, slot)))
        return counts_as_itself ? 0 : STATUS_NO_MEMORY;
    table->weights[slot] = counts_as_itself ? (struct trace_weight){0, 0} : weight;
    return 0;
}

int weight_table_freed(struct weight_table *table, uint32_t thread_id, uint64_t size_bytes, uint32_t stack_id, struct trace_weight weight)
{
    if (thread_id >= table->freed_count) {
        uint32_t count = 2 * thread_id + 16;
        struct freed_weight *grown = realloc(table->freed, count * sizeof *grown);
        if (!grown)
            return STATUS_NO_MEMORY;
        memset(grown + table->freed_count, 0, (count - table->freed_count) * sizeof *grown);
        table->freed = grown;
        table->freed_count = count;
    }
    table->freed[thread_id] = (struct freed_weight){size_bytes, stack_id, 1, weight};
    return 0;
}

struct trace_weight weight_table_undo(struct weight_table *table, uint32_t thread_id, uint64_t size_bytes, uint32_t stack_id, unsigned flags,
                                      uint64_t event_number)
{
    struct freed_weight *freed = thread_id < table->freed_count ? &table->freed[thread_id] : NULL;
    int is_same = freed && freed->is_valid && freed->size_bytes == size_bytes && freed->stack_id == stack_id;
    if (freed)
        freed->is_valid = 0;
    return is_same ? freed->weight : weight_table_weigh(table, thread_id, size_bytes, flags, event_number);
}
