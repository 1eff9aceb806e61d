/* sampling.c: distances of a Poisson process, and the addresses of sampled blocks against a naive set. */
#include <math.h>

#include "capture_fixture.h"
#include "check.h"
#include "pages.h"
#include "sampling.h"

#define DRAWS 1000000
#define INTERVAL 1000

static struct thread_state *thread;

static void begin(uint64_t seed, uint32_t generation)
{
    recorder_session->sampling_interval_bytes = INTERVAL;
    recorder_session->sampling_seed = seed;
    recorder_session->flags = SESSION_COPIES;
    atomic_store(&thread->shared->generation, generation);
    sampling_start();
    sampling_begin_thread(thread);
}

/* Four standard errors of a count of so many trials. */
static void check_share(uint64_t count, double trials, double p)
{
    CHECK(fabs((double)count - trials * p) <= 4 * sqrt(trials * p * (1 - p)) + 1);
}

static void check_distances(void)
{
    static const uint64_t limits[] = {1, 10, 100, 693, 1000, 3000, 10000};
    uint64_t below[7] = {0}, sum = 0;
    begin(1, 1);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t distance = sampling_draw(thread);
        CHECK(distance > 0);
        sum += distance;
        for (int k = 0; k < 7; k++)
            below[k] += distance <= limits[k];
    }
    /* Whole numbers, geometrically distributed: the mean is 1000.5, the standard error that of 1e6 draws. */
    CHECK(fabs((double)sum / DRAWS - 1000.5) <= 4 * 1.0);
    for (int k = 0; k < 7; k++)
        check_share(below[k], DRAWS, -expm1(-(double)limits[k] / INTERVAL));
}

static void check_sizes(void)
{
    static const uint64_t sizes[] = {0, 1, 16, 500, 1000, 5000, 100000};
    begin(2, 1);
    for (int k = 0; k < 7; k++) {
        uint64_t taken = 0;
        for (int i = 0; i < 200000; i++)
            taken += (uint64_t)sampling_takes(thread, &thread->sample_left, sizes[k]);
        check_share(taken, 200000, -expm1(-(double)sizes[k] / INTERVAL));
    }
}

/* Threads and generations draw numbers of their own; a seed always the same ones. */
static void check_seeds(void)
{
    begin(3, 1);
    uint64_t first = thread->sample_left, copies = thread->copy_left;
    CHECK(first != copies);
    begin(3, 2);
    CHECK(thread->sample_left != first);
    begin(4, 1);
    CHECK(thread->sample_left != first);
    begin(3, 1);
    CHECK_EQUAL(thread->sample_left, first);
    CHECK_EQUAL(thread->copy_left, copies);
}

static void check_exact(void)
{
    recorder_session->sampling_interval_bytes = 0;
    sampling_start();
    sampling_begin_thread(thread);
    CHECK_EQUAL(thread->sample_left, 0);
    CHECK_EQUAL(thread->copy_left, 0);
    for (int i = 0; i < 1000; i++)
        CHECK(sampling_takes(thread, &thread->sample_left, (uint64_t)i) && sampling_ends(thread));
    recorder_session->flags = 0;
    sampling_begin_thread(thread);
    CHECK_EQUAL(thread->copy_left, UINT64_MAX);
}

/* Distances are counted down in pieces, at whose ends the thread looks up: as many points as ever. */
static void check_pieces(void)
{
    static const uint64_t sizes[] = {1000, 40000, 65536, 70000, 1000000, 10000000};
    const double interval = 300000;
    begin(6, 1);
    for (int k = 0; k < 6; k++) {
        uint64_t taken = 0;
        sampling_change(thread, (uint64_t)interval);
        for (int i = 0; i < 100000; i++) {
            CHECK(thread->sample_left <= SAMPLING_LOOK_BYTES);
            taken += (uint64_t)sampling_takes(thread, &thread->sample_left, sizes[k]);
        }
        check_share(taken, 100000, -expm1(-(double)sizes[k] / interval));
    }
}

/* From a sample to everything and back: then all deallocations are recorded, as the table lacks blocks. */
static void check_changes(void)
{
    begin(7, 1);
    thread->cursor = 1;
    CHECK(sampling_add((const void *)0x6000));
    CHECK(!sampling_ends((const void *)0x7000));
    sampling_change(thread, 2 * INTERVAL);
    CHECK_EQUAL(thread->sampling_interval_bytes, 2 * INTERVAL);
    CHECK_EQUAL(thread->must_tell_sampling, 1);
    CHECK(thread->limit < thread->cursor);
    CHECK(!sampling_ends((const void *)0x7000));
    CHECK(sampling_ends((const void *)0x6000));
    sampling_change(thread, 0);
    for (uint64_t size = 0; size < 100; size++)
        CHECK(sampling_takes(thread, &thread->sample_left, size) && sampling_takes(thread, &thread->copy_left, size));
    CHECK(sampling_add((const void *)0x8000));
    CHECK(sampling_ends((const void *)0x7000));
    sampling_change(thread, INTERVAL);
    CHECK(sampling_ends((const void *)0x7000) && sampling_ends((const void *)0x8000) && sampling_ends((const void *)0x8000));
    CHECK(!sampling_takes(thread, &thread->sample_left, 0));
}

#define BLOCKS 20000
static char is_there[BLOCKS];

/* Many of them on the same cells: some cells get more than they can count. */
static const void *block_at(uint64_t i)
{
    uint64_t row = i % 50, column = i / 50;
    return (const void *)(uintptr_t)(0x7f0000000000 + column * (1ull << 20) + row * 16);
}

static void check_addresses(void)
{
    uint64_t seed = 5;
    begin(1, 1);
    CHECK(!sampling_remove(block_at(0)));
    for (int round = 0; round < 400000; round++) {
        uint64_t i = check_random(&seed) % BLOCKS;
        if (is_there[i] || check_random(&seed) % 3 == 0) {
            CHECK_EQUAL(sampling_ends(block_at(i)), is_there[i]);
            is_there[i] = 0;
        } else {
            CHECK(sampling_add(block_at(i)));
            is_there[i] = 1;
        }
    }
    for (uint64_t i = 0; i < BLOCKS; i++)
        CHECK(!is_there[i] || sampling_may_know(block_at(i)));
    for (uint64_t i = 0; i < BLOCKS; i++)
        CHECK_EQUAL(sampling_ends(block_at(i)), is_there[i]);
    for (uint64_t i = 0; i < BLOCKS; i++)
        CHECK(!sampling_remove(block_at(i)));
}

/* Its deallocation was not seen: the address counts once. */
static void check_added_twice(void)
{
    const void *block = (const void *)0x5000;
    CHECK(sampling_add(block) && sampling_add(block));
    CHECK(sampling_ends(block));
    CHECK(!sampling_ends(block));
    CHECK(!sampling_may_know(block));
}

int main(void)
{
    capture_fixture_begin();
    thread = capture_fixture_thread();
    thread->shared = pages_map(sizeof *thread->shared);
    thread->cursor = 1;
    check_distances();
    check_sizes();
    check_seeds();
    check_addresses();
    check_added_twice();
    check_exact();
    check_pieces();
    check_changes();
    return 0;
}
