/* See sampling.h: the distances, and the table of addresses (open addressing, linear probing, deletion by moving back). */
#include "sampling.h"

#include <errno.h>

#include "owned_lock.h"
#include "pages.h"
#include "random.h"
#include "recorder.h"

#define FIRST_CAPACITY 512u
#define CELL_FULL 255 /* stays: what it counted is not known any more */

_Atomic uint32_t *recorder_filter;

static _Atomic uint32_t filter[(1u << SAMPLING_FILTER_BITS) / 32];
/* How many sampled blocks there are for a bit of the first filter, and for a cell of the second one. */
static _Atomic uint8_t first_cells[1u << SAMPLING_FILTER_BITS];
static _Atomic uint8_t second_cells[1u << SAMPLING_SECOND_BITS]; /* memory for as much of it as sampled blocks touch */
static struct owned_lock table_lock;
static _Atomic uint32_t all_ends; /* 1: deallocations are recorded whatever the table says */
static uint64_t *addresses; /* 0: free */
static uint32_t capacity, count;

void sampling_start(void)
{
    recorder_filter = recorder_session->sampling_interval_bytes ? filter : NULL;
}

/* ---- distances ---- */

/* -ln(u), u uniform in (0, 1): u = m * 2^-e with m in [0.75, 1.5); ln(m) by its series in s = (m - 1) / (m + 1), |s| <= 1/5, to 1e-10. */
static double exponential(uint64_t random)
{
    random |= 1;
    int e = __builtin_clzll(random);
    double m = (double)(random << e >> 11) * 0x1p-52; /* 1 to 2 */
    if (m >= 1.5)
        m *= 0.5;
    else
        e++;
    double s = (m - 1) / (m + 1), s2 = s * s;
    double ln_m = 2 * s * (1 + s2 * (1. / 3 + s2 * (1. / 5 + s2 * (1. / 7 + s2 * (1. / 9 + s2 * (1. / 11 + s2 * (1. / 13)))))));
    return e * 0.69314718055994531 - ln_m;
}

uint64_t sampling_draw(struct thread_state *thread)
{
    uint64_t interval_bytes = thread->sampling_interval_bytes;
    /* Rounded up: a block of n bytes holds the point where n >= the distance. */
    return interval_bytes ? (uint64_t)(exponential(random_next(&thread->random)) * (double)interval_bytes) + 1 : 0;
}

/* What is counted down is a piece of the way. */
static void set_distance(uint64_t *left, uint64_t *rest, uint64_t distance)
{
    *left = distance < SAMPLING_LOOK_BYTES ? distance : SAMPLING_LOOK_BYTES;
    *rest = distance - *left;
}

int sampling_reach(struct thread_state *thread, uint64_t *left, uint64_t bytes)
{
    uint64_t *rest = left == &thread->sample_left ? &thread->sample_rest : &thread->copy_rest, distance = *left + *rest;
    int is_reached = bytes >= distance;
    set_distance(left, rest, is_reached ? sampling_draw(thread) : distance - bytes);
    if (!is_reached) /* else the event that follows looks */
        recorder_notice_sampling(thread);
    return is_reached;
}

static void begin_interval(struct thread_state *thread, uint64_t interval_bytes)
{
    thread->sampling_interval_bytes = interval_bytes;
    set_distance(&thread->sample_left, &thread->sample_rest, sampling_draw(thread));
    set_distance(&thread->copy_left, &thread->copy_rest, sampling_draw(thread));
    /* Unwanted copies pass: nobody copies so many bytes. */
    if (!(recorder_session->flags & SESSION_COPIES))
        thread->copy_left = UINT64_MAX;
}

void sampling_begin_thread(struct thread_state *thread)
{
    uint32_t generation = atomic_load_explicit(&thread->shared->generation, memory_order_relaxed);
    thread->random = recorder_session->sampling_seed ^ ((uint64_t)thread->slot << 32 | generation);
    thread->random = random_next(&thread->random);
    thread->must_tell_sampling = 0;
    begin_interval(thread, recorder_session->sampling_interval_bytes);
}

/* ---- addresses; with the lock ---- */

static uint32_t home_of(uint64_t address)
{
    return (uint32_t)(address * 0x9e3779b97f4a7c15ull >> 20) & (capacity - 1);
}

/* Where the address is, or would go. */
static uint32_t place_of(uint64_t address)
{
    uint32_t place = home_of(address);
    while (addresses[place] && addresses[place] != address)
        place = (place + 1) & (capacity - 1);
    return place;
}

static int grow(void)
{
    uint64_t *old = addresses;
    uint32_t old_capacity = capacity, new_capacity = capacity ? 2 * capacity : FIRST_CAPACITY;
    uint64_t *grown = pages_map(new_capacity * sizeof *grown);
    if (!grown)
        return 0;
    addresses = grown;
    capacity = new_capacity;
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i])
            addresses[place_of(old[i])] = old[i];
    if (old)
        pages_unmap(old, old_capacity * sizeof *old);
    return 1;
}

/* Other bits than the first filter's, and the same again from further up: heaps are far apart. */
static _Atomic uint8_t *second_cell(uint64_t address)
{
    return &second_cells[(address >> 4 ^ address >> (4 + SAMPLING_SECOND_BITS)) & ((1u << SAMPLING_SECOND_BITS) - 1)];
}

static void count_in(_Atomic uint8_t *cell, int difference)
{
    uint8_t cell_count = atomic_load_explicit(cell, memory_order_relaxed);
    if (cell_count != CELL_FULL)
        atomic_store_explicit(cell, (uint8_t)(cell_count + difference), memory_order_relaxed);
}

static void count_block(uint64_t address, int difference)
{
    if (atomic_load_explicit(&all_ends, memory_order_relaxed))
        return; /* all bits stay set */
    uint32_t bit = sampling_bit(address), word = atomic_load_explicit(&filter[bit / 32], memory_order_relaxed);
    count_in(&first_cells[bit], difference);
    count_in(second_cell(address), difference);
    int is_empty = atomic_load_explicit(&first_cells[bit], memory_order_relaxed) == 0;
    word = is_empty ? word & ~(1u << bit % 32) : word | 1u << bit % 32;
    atomic_store_explicit(&filter[bit / 32], word, memory_order_relaxed);
}

static int add(uint64_t address)
{
    if (count >= capacity / 2 && !grow())
        return 0;
    uint32_t place = place_of(address);
    if (addresses[place])
        return 1; /* its deallocation was not seen: recording was stopped */
    addresses[place] = address;
    count++;
    count_block(address, 1);
    return 1;
}

static int remove_address(uint64_t address)
{
    if (!capacity)
        return 0;
    uint32_t mask = capacity - 1, hole = place_of(address);
    if (!addresses[hole])
        return 0;
    for (uint32_t i = (hole + 1) & mask; addresses[i]; i = (i + 1) & mask)
        /* May move into the hole unless its home lies cyclically behind the hole. */
        if (((i - home_of(addresses[i])) & mask) >= ((i - hole) & mask)) {
            addresses[hole] = addresses[i];
            hole = i;
        }
    addresses[hole] = 0;
    count--;
    count_block(address, -1);
    return 1;
}

/* ---- the same for hooks ---- */

int sampling_wants_all_ends(void)
{
    return (int)atomic_load_explicit(&all_ends, memory_order_acquire);
}

int sampling_add(const void *block)
{
    if (atomic_load_explicit(&all_ends, memory_order_relaxed))
        return 1;
    int saved_errno = errno, added = 0;
    if (owned_lock_take(&table_lock)) {
        added = add((uintptr_t)block);
        owned_lock_release(&table_lock);
    }
    errno = saved_errno;
    return added;
}

int sampling_remove(const void *block)
{
    /* Which of them ends a block that was recorded the collector knows; without it none is counted. */
    if (atomic_load_explicit(&all_ends, memory_order_relaxed))
        return ORDER_OWNER(atomic_load_explicit(&recorder_session->order, memory_order_relaxed)) != ORDER_LOST;
    if (atomic_load_explicit(second_cell((uintptr_t)block), memory_order_relaxed) == 0)
        return 0;
    int saved_errno = errno, removed = 1; /* where the table can't be asked, the collector knows */
    if (owned_lock_take(&table_lock)) {
        removed = remove_address((uintptr_t)block);
        owned_lock_release(&table_lock);
    }
    errno = saved_errno;
    return removed;
}

/* ---- another interval ---- */

/* With the lock. The filter, which every deallocation asks, lets none pass any more. */
static void open_all_ends(void)
{
    for (uint32_t i = 0; i < ARRAY_LENGTH(filter); i++)
        atomic_store_explicit(&filter[i], UINT32_MAX, memory_order_relaxed);
    atomic_store_explicit(&all_ends, 1, memory_order_release);
    if (capacity)
        pages_unmap(addresses, capacity * sizeof *addresses);
    addresses = NULL;
    capacity = count = 0;
}

void sampling_open(void)
{
    int saved_errno = errno;
    if (!recorder_filter && owned_lock_take(&table_lock)) {
        if (!recorder_filter)
            open_all_ends();
        __atomic_store_n(&recorder_filter, filter, __ATOMIC_RELEASE);
        owned_lock_release(&table_lock);
    }
    errno = saved_errno;
}

void sampling_change(struct thread_state *thread, uint64_t interval_bytes)
{
    int saved_errno = errno;
    int must_open = !interval_bytes && !atomic_load_explicit(&all_ends, memory_order_relaxed);
    if (must_open && !owned_lock_take(&table_lock))
        return;
    if (must_open) {
        open_all_ends();
        owned_lock_release(&table_lock);
    }
    begin_interval(thread, interval_bytes);
    thread->must_tell_sampling = 1;
    thread->limit = thread->cursor - 1; /* the next event asks for room, and is told there */
    errno = saved_errno;
}

int sampling_lock(void)
{
    return owned_lock_take(&table_lock);
}

void sampling_unlock(void)
{
    owned_lock_release(&table_lock);
}

void sampling_recover(void)
{
    owned_lock_recover(&table_lock);
}

void sampling_after_fork(void)
{
    owned_lock_reset(&table_lock);
}
