/* See sampling.h: the distances, and the table of addresses (open addressing, linear probing, deletion by moving back). */
#include "sampling.h"

#include <errno.h>

#include "lock.h"
#include "pages.h"
#include "random.h"
#include "recorder.h"

#define FIRST_CAPACITY 512u
#define CELL_FULL 255 /* stays: what it counted is not known any more */

_Atomic uint8_t *recorder_filter;

static _Atomic uint8_t cells[1u << SAMPLING_FILTER_BITS];
static _Atomic uint8_t second_cells[1u << SAMPLING_SECOND_BITS]; /* memory for as much of it as sampled blocks touch */
static struct lock table_lock;
static uint64_t *addresses; /* 0: free */
static uint32_t capacity, count;

void sampling_start(void)
{
    recorder_filter = recorder_session->sampling_interval_bytes ? cells : NULL;
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
    /* Rounded up: a block of n bytes holds the point where n >= the distance. */
    return (uint64_t)(exponential(random_next(&thread->random)) * (double)recorder_session->sampling_interval_bytes) + 1;
}

void sampling_begin_thread(struct thread_state *thread)
{
    uint32_t generation = atomic_load_explicit(&thread->shared->generation, memory_order_relaxed);
    int is_sampled = recorder_session->sampling_interval_bytes != 0;
    thread->random = recorder_session->sampling_seed ^ ((uint64_t)thread->slot << 32 | generation);
    thread->random = random_next(&thread->random);
    thread->sample_left = is_sampled ? sampling_draw(thread) : 0;
    /* Unwanted copies pass: nobody copies so many bytes. */
    thread->copy_left = !(recorder_session->flags & SESSION_COPIES) ? UINT64_MAX : is_sampled ? sampling_draw(thread) : 0;
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

static int add(uint64_t address)
{
    if (count >= capacity / 2 && !grow())
        return 0;
    uint32_t place = place_of(address);
    if (addresses[place])
        return 1; /* its deallocation was not seen: recording was stopped */
    addresses[place] = address;
    count++;
    count_in(sampling_cell(address), 1);
    count_in(second_cell(address), 1);
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
    count_in(sampling_cell(address), -1);
    count_in(second_cell(address), -1);
    return 1;
}

/* ---- the same for hooks ---- */

int sampling_add(const void *block)
{
    int saved_errno = errno;
    lock_take(&table_lock);
    int added = add((uintptr_t)block);
    lock_release(&table_lock);
    errno = saved_errno;
    return added;
}

int sampling_remove(const void *block)
{
    if (atomic_load_explicit(second_cell((uintptr_t)block), memory_order_relaxed) == 0)
        return 0;
    int saved_errno = errno;
    lock_take(&table_lock);
    int removed = remove_address((uintptr_t)block);
    lock_release(&table_lock);
    errno = saved_errno;
    return removed;
}

void sampling_lock(void)
{
    lock_take(&table_lock);
}

void sampling_unlock(void)
{
    lock_release(&table_lock);
}
