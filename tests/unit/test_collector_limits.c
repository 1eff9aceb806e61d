/* The collector where it can't write what it would: full disks, bounded traces, no folder. What it counts and where it writes by default. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "collector_scene.h"
#include "event_words.h"

/* ---- limits and failures ---- */

#define NOISE_EVENTS 700000

/* Much that doesn't compress. */
static void play_noise(struct session_header *session)
{
    struct player player;
    uint64_t seed = 9;
    player_init(&player, session, 0, 65536);
    for (uint64_t i = 0; i < NOISE_EVENTS; i++) {
        if (i % 100 == 0 && !player_wait_for_room(&player, 300))
            _exit(99);
        player_claim(&player, 0);
        player_allocate(&player, EVENT_ALLOCATE, HEAP + 16 * i, check_random(&seed) >> 36, 0, 0);
        player_publish(&player);
    }
}

static void check_full_disk(void)
{
    int status;
    scene_file_size_limit = 1500000;
    struct trace_listing *listing = scene_play("full", 0, play_noise, &status);
    scene_file_size_limit = 0;
    CHECK_EQUAL(status, 0); /* the target never notices */
    CHECK_EQUAL(listing->overview.has_end, 0);
    CHECK(listing->totals.allocations > 10000 && listing->totals.allocations < NOISE_EVENTS);
    CHECK(listing->overview.file_bytes <= 1500000);
    CHECK_EQUAL(listing->overview.good_bytes, listing->overview.file_bytes);
    trace_listing_free(listing);
}

static void check_size_limit(void)
{
    int status;
    uint64_t seed = 9, bytes = 0;
    for (int i = 0; i < NOISE_EVENTS; i++)
        bytes += check_random(&seed) >> 36;
    scene_max_trace_bytes = 500000; /* less than the least there is, which holds */
    struct trace_listing *listing = scene_play("limited", 0, play_noise, &status);
    scene_max_trace_bytes = 0;
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(listing->overview.has_end, 1);
    CHECK_EQUAL(listing->overview.has_tally, 1);
    CHECK_EQUAL(listing->overview.end.totals.allocations, NOISE_EVENTS);
    CHECK_EQUAL(listing->overview.end.totals.allocated_bytes, bytes);
    CHECK_EQUAL(listing->overview.peak_bytes, bytes);
    CHECK(listing->event_count > 100000 && listing->event_count < NOISE_EVENTS);
    CHECK(listing->overview.file_bytes > TRACE_MIN_BOUND_BYTES / 2 && listing->overview.file_bytes <= TRACE_MIN_BOUND_BYTES);
    trace_listing_free(listing);
}

static void check_unwritable(void)
{
    int memfd, status;
    struct session_header *session = session_new(&memfd, "/nonexistent/folder/trace", 0);
    pid_t collector = collector_start(memfd);
    CHECK_EQUAL(waitpid(collector, &status, 0), collector);
    CHECK_EQUAL(WEXITSTATUS(status), 1);
    CHECK_EQUAL(atomic_load(&session->collector_state), COLLECTOR_GONE);
    session->magic = 0;
    collector = collector_start(memfd);
    CHECK_EQUAL(waitpid(collector, &status, 0), collector);
    CHECK_EQUAL(WEXITSTATUS(status), 1);
    session_free(session, memfd);
}

static void play_counters(struct session_header *session)
{
    struct player player;
    player_init(&player, session, 0, 1024);
    allocate_at(&player, 0, 1);
    atomic_store(&session->lost_events, 3);
    atomic_store(&session_threads(session)[0].lost_events, 4);
    atomic_store(&session_threads(session)[0].small_copies, 10);
    atomic_store(&session_threads(session)[0].small_copied_bytes, 1000);
    atomic_store(&session->lost_definitions, 5);
    atomic_store(&session->unsafe_stacks, 6);
    session->python_version = 0x030b;
    session->python_flags = PYTHON_STACKS_OFF;
    session->warnings = WARNING_MALLOC_NOT_OURS;
}

static void check_counters(void)
{
    struct trace_listing *listing = scene_play("counters", SESSION_COPIES, play_counters, NULL);
    CHECK_EQUAL(listing->totals.lost_events, 7);
    CHECK_EQUAL(listing->totals.copies, 10);
    CHECK_EQUAL(listing->totals.copied_bytes, 1000);
    CHECK(listing_has_line(listing, "lost_definitions=5") && listing_has_line(listing, "unsafe_stacks=6") && listing_has_line(listing, "python=3.11"));
    CHECK(listing_has_line(listing, "python_stacks=off") && listing_has_line(listing, "malloc=of another library"));
    trace_listing_free(listing);
}

static void check_default_name(void)
{
    struct scene scene;
    char before[200];
    CHECK(getcwd(before, sizeof before) && chdir(scene_folder()) == 0);
    scene_begin(&scene, "", 0, play_and_exit);
    scene_end(&scene);
    struct trace_listing *listing = trace_listing_read(scene_file("test_collector_limits.%u.heapline", (unsigned)scene.player));
    check_two_blocks(listing);
    trace_listing_free(listing);
    CHECK(chdir(before) == 0);
}

int main(int argc, char **argv)
{
    scenes_begin(argc, argv);
    check_full_disk();
    check_size_limit();
    check_unwritable();
    check_counters();
    check_default_name();
    return scenes_end();
}
