/* The collector and threads that pass blocks to one another: one order of events, in which an address is never live twice. */
#include <pthread.h>
#include <unistd.h>

#include "check.h"
#include "collector_scene.h"
#include "clock.h"
#include "event_words.h"

#define THREADS 4
#define THREAD_ROUNDS 10000
#define SHARED_BLOCKS 32

static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t free_addresses[SHARED_BLOCKS + THREADS], free_count, shared_blocks[SHARED_BLOCKS];

/* An allocator that hands an address out again as soon as it gets it back, to any thread. */
static uint32_t heap_take(void)
{
    pthread_mutex_lock(&heap_lock);
    uint32_t address = free_addresses[--free_count];
    pthread_mutex_unlock(&heap_lock);
    return address;
}

static void heap_give_back(uint32_t address)
{
    pthread_mutex_lock(&heap_lock);
    free_addresses[free_count++] = address;
    pthread_mutex_unlock(&heap_lock);
}

static uint32_t swap_shared(uint32_t at, uint32_t block)
{
    return __atomic_exchange_n(&shared_blocks[at], block, __ATOMIC_ACQ_REL);
}

static void *run_thread(void *context)
{
    struct player *player = context;
    uint64_t seed = 77 + player->slot;
    for (int i = 0; i < THREAD_ROUNDS; i++) {
        if (!player_wait_for_room(player, 32))
            _exit(99);
        int parallel = check_random(&seed) % 64 == 0;
        uint32_t address = heap_take();
        player_claim(player, parallel);
        player_allocate(player, EVENT_ALLOCATE, HEAP + 16 * address, 16, 0, clock_ticks());
        player_publish(player);
        uint32_t other = swap_shared((uint32_t)(check_random(&seed) >> 20) % SHARED_BLOCKS, address);
        if (other == 0)
            continue;
        player_claim(player, parallel);
        player_free(player, EVENT_FREE, HEAP + 16 * other, clock_ticks_in_order());
        player_publish(player);
        heap_give_back(other);
    }
    return NULL;
}

static void play_threads(struct session_header *session)
{
    static struct player players[THREADS];
    pthread_t threads[THREADS];
    for (uint32_t i = 1; i <= SHARED_BLOCKS + THREADS; i++)
        free_addresses[free_count++] = i;
    for (uint32_t i = 0; i < THREADS; i++)
        player_init(&players[i], session, 8192 * i, 8192);
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run_thread, &players[i]);
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void check_threads(void)
{
    int status;
    struct trace_listing *listing = scene_play("threads", 0, play_threads, &status);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(listing->totals.allocations, THREADS * THREAD_ROUNDS);
    CHECK_EQUAL(listing->totals.unknown_frees, 0);
    CHECK_EQUAL(listing->thread_count, THREADS);
    CHECK_EQUAL(listing->live_count, SHARED_BLOCKS);
    CHECK_EQUAL(listing->totals.event_count, 2 * THREADS * THREAD_ROUNDS - SHARED_BLOCKS);
    /* Every block is live only once: no moment has more than there are addresses. */
    CHECK(listing->totals.peak_bytes <= 16 * (SHARED_BLOCKS + THREADS));
    trace_listing_free(listing);
}

int main(int argc, char **argv)
{
    scenes_begin(argc, argv);
    check_threads();
    return scenes_end();
}
