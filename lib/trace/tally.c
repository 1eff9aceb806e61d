/* What of the tally is not done for every event (tally.h). One thread; allocates. */
#include "tally.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "status.h"

/* Moments are at first so close to each other that a trace's time has about so many: as the replay's timeline. */
#define MOMENTS_A_TRACE 2048
#define MIN_MOMENT_NS 100000
#define FIRST_ITEMS 512u

/* Room for items numbered up to `highest`, the new ones zero. Pages of their own: what is not used takes address space only, as most of the
 * numbers of stacks, which are but callers of others. Returns 0 or STATUS_NO_MEMORY. */
static int reserve(void **items, uint32_t *capacity, uint32_t highest, size_t item_bytes)
{
    if (highest < *capacity)
        return 0;
    uint64_t grown = 2ull * *capacity;
    if (grown <= highest)
        grown = (uint64_t)highest + FIRST_ITEMS;
    if (grown > UINT32_MAX)
        return STATUS_NO_MEMORY;
    void *moved = *items ? mremap(*items, *capacity * item_bytes, grown * item_bytes, MREMAP_MAYMOVE)
                         : mmap(NULL, grown * item_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (moved == MAP_FAILED)
        return STATUS_NO_MEMORY;
    madvise(moved, grown * item_bytes, MADV_NOHUGEPAGE);
    *items = moved;
    *capacity = (uint32_t)grown;
    return 0;
}

static void release(void *items, uint32_t capacity, size_t item_bytes)
{
    if (items)
        munmap(items, capacity * item_bytes);
}

int tally_reserve(struct tally *tally, uint32_t stack_count, uint32_t thread_count)
{
    uint32_t threads_before = tally->thread_capacity;
    if (reserve((void **)&tally->places, &tally->place_capacity, stack_count, sizeof *tally->places) ||
        reserve((void **)&tally->threads, &tally->thread_capacity, thread_count, sizeof *tally->threads))
        return STATUS_NO_MEMORY;
    for (uint32_t i = threads_before; i < tally->thread_capacity; i++)
        tally->threads[i].last_slot = SLOT_NONE;
    return 0;
}

uint32_t tally_new_place(struct tally *tally, uint32_t stack_id)
{
    if (reserve((void **)&tally->uses, &tally->use_capacity, tally->use_count, sizeof *tally->uses) ||
        reserve((void **)&tally->copies, &tally->copy_capacity, tally->use_count, sizeof *tally->copies)) {
        tally->out_of_memory = 1;
        return tally->places[0];
    }
    return tally->places[stack_id] = tally->use_count++;
}

struct count_error *tally_error_of(struct tally *tally, uint32_t place)
{
    if (reserve((void **)&tally->errors, &tally->error_capacity, place, sizeof *tally->errors)) {
        tally->out_of_memory = 1;
        return &tally->nobodys_error.sums;
    }
    struct tally_error *error = &tally->errors[place];
    if (error->mark != tally->mark) {
        error->sums.peak = error->sums.live;
        error->mark = tally->mark;
    }
    return &error->sums;
}

struct tally *tally_new(uint32_t stack_count, uint32_t thread_count)
{
    struct tally *tally = calloc(1, sizeof *tally);
    if (!tally)
        return NULL;
    tally->use_count = 1;
    /* The unknown stack has a place in any case. */
    if (tally_reserve(tally, stack_count, thread_count) == 0 && tally_new_place(tally, 0))
        return tally;
    tally_free(tally);
    return NULL;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    release(tally->places, tally->place_capacity, sizeof *tally->places);
    release(tally->uses, tally->use_capacity, sizeof *tally->uses);
    release(tally->copies, tally->copy_capacity, sizeof *tally->copies);
    release(tally->errors, tally->error_capacity, sizeof *tally->errors);
    release(tally->threads, tally->thread_capacity, sizeof *tally->threads);
    free(tally);
}

/* ---- stretches ---- */

static void set_time(struct tally *tally, uint64_t time_ns)
{
    uint64_t age = time_ns >> TALLY_AGE_SHIFT;
    tally->age = age < UINT32_MAX ? (uint32_t)age : UINT32_MAX;
}

void tally_begin_stretch(struct tally *tally, uint64_t time_ns, uint64_t heap_bytes)
{
    memset(tally->uses, 0, tally->use_count * sizeof *tally->uses);
    memset(tally->copies, 0, tally->use_count * sizeof *tally->copies);
    if (tally->errors)
        memset(tally->errors, 0, (tally->use_count < tally->error_capacity ? tally->use_count : tally->error_capacity) * sizeof *tally->errors);
    tally->mark = TALLY_FIRST_MARK;
    tally->changed_stacks = 0;
    tally->moment_count = 0;
    tally->moment_width_ns = time_ns / MOMENTS_A_TRACE > MIN_MOMENT_NS ? time_ns / MOMENTS_A_TRACE : MIN_MOMENT_NS;
    tally->moment_end_ns = time_ns + tally->moment_width_ns;
    tally->moment_peak_bytes = heap_bytes;
    set_time(tally, time_ns);
}

static struct count_error errors_of(const struct tally *tally, uint32_t place, int has_peak)
{
    if (place >= tally->error_capacity)
        return (struct count_error){0};
    const struct tally_error *error = &tally->errors[place];
    struct count_error sums = error->sums;
    if (error->mark != tally->mark)
        sums.peak = sums.live;
    if (!has_peak)
        sums.peak = 0;
    return sums;
}

int tally_stack(const struct tally *tally, uint32_t stack_id, int has_peak, struct tally_stack *ret_stack)
{
    uint32_t place = tally->places[stack_id];
    const struct tally_use *use = &tally->uses[place];
    int is_aside = use->mark == tally->mark;
    if (!place || !use->mark)
        return 0;
    *ret_stack = (struct tally_stack){
        .stack_id = stack_id,
        .live_bytes = (int64_t)use->live_bytes,
        .live_allocations = (int64_t)use->live_allocations,
        .allocated_bytes = use->allocated_bytes,
        .allocations = use->allocations,
        .temporary_allocations = (int64_t)use->temporary_allocations,
        .copied_bytes = tally->copies[place].copied_bytes,
        .copies = tally->copies[place].copies,
        .peak_bytes = has_peak ? (int64_t)(is_aside ? use->peak_bytes : use->live_bytes) : 0,
        .peak_allocations = has_peak ? (int64_t)(is_aside ? use->peak_allocations : use->live_allocations) : 0,
        .errors = errors_of(tally, place, has_peak),
    };
    return 1;
}

/* ---- time ---- */

/* Two become one, so that there is room again. */
static void halve_moments(struct tally *tally)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i + 1 < tally->moment_count; i += 2) {
        const struct tally_moment *first = &tally->moments[i];
        struct tally_moment both = tally->moments[i + 1];
        if (first->heap_peak_bytes > both.heap_peak_bytes)
            both.heap_peak_bytes = first->heap_peak_bytes;
        tally->moments[kept++] = both;
    }
    tally->moment_count = kept;
    tally->moment_width_ns *= 2;
}

void tally_close_moment(struct tally *tally, uint64_t time_ns, uint64_t heap_bytes)
{
    tally->moments[tally->moment_count++] = (struct tally_moment){time_ns, heap_bytes, tally->moment_peak_bytes, tally->rss_bytes};
    tally->moment_peak_bytes = heap_bytes;
    /* One stays free for the stretch's end. */
    if (tally->moment_count == TALLY_MOMENTS)
        halve_moments(tally);
    tally->moment_end_ns = time_ns + tally->moment_width_ns;
}

void tally_time(struct tally *tally, uint64_t time_ns, uint64_t heap_bytes)
{
    set_time(tally, time_ns);
    if (time_ns >= tally->moment_end_ns)
        tally_close_moment(tally, time_ns, heap_bytes);
}

/* ---- blocks ---- */

uint64_t tally_age(const struct tally *tally, const struct live_slot *slot)
{
    unsigned flags = live_slot_flags(slot);
    uint32_t age = flags & SLOT_LAST ? tally->threads[slot->sequence].last_age : slot->sequence;
    /* Of the stream's blocks, by how many allocations before its end. */
    return flags & SLOT_LATE ? 1ull << 32 | age : UINT32_MAX - (tally->stream_sequence - age);
}

void tally_set_last(struct tally *tally, struct live_slots *slots, uint32_t thread_id, uint32_t slot)
{
    struct tally_thread *thread = &tally->threads[thread_id];
    thread->last_slot = slot;
    thread->last_age = slots->slots[slot].sequence;
    live_slot_set_flags(&slots->slots[slot], live_slot_flags(&slots->slots[slot]) | SLOT_LAST);
    slots->slots[slot].sequence = thread_id;
}
