/* The collector as a program of its own: what it writes of a process that ends in whatever way, of rings that fill up, and on request. */
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "collector_scene.h"
#include "control.h"
#include "event_words.h"

/* ---- how processes end ---- */

static void play_and_be_killed(struct session_header *session)
{
    play_two_blocks(session);
    kill(getpid(), SIGKILL);
}

static void play_and_abort(struct session_header *session)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    play_two_blocks(session);
    atomic_store(&session->exit_status, 1); /* on its way out when it died */
    atomic_store(&session->exit_kind, EXIT_CALLED);
    abort();
}

static void check_ends(void)
{
    static const struct { const char *name; play_function *play; uint32_t reason; int status; } ends[] = {
        {"exit", play_and_exit, TRACE_END_EXIT, 7},
        {"kill", play_and_be_killed, TRACE_END_SIGNAL, SIGKILL},
        {"abort", play_and_abort, TRACE_END_SIGNAL, SIGABRT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        struct trace_listing *listing = scene_play(ends[i].name, 0, ends[i].play, NULL);
        check_two_blocks(listing);
        CHECK_EQUAL(listing->overview.end.reason, ends[i].reason);
        CHECK_EQUAL(listing->overview.end.status, ends[i].status);
        trace_listing_free(listing);
    }
}

/* Gone, and waited for, before the collector has even started: the events are there all the same. */
static void check_gone_before(void)
{
    int memfd, status;
    struct session_header *session = session_new(&memfd, scene_file("before"), 0);
    pid_t player = fork();
    if (player == 0) {
        session->pid = (uint32_t)getpid();
        play_two_blocks(session);
        atomic_store(&session->exit_status, 5);
        atomic_store(&session->exit_kind, EXIT_CALLED);
        _exit(5);
    }
    CHECK_EQUAL(waitpid(player, &status, 0), player);
    pid_t collector = collector_start(memfd);
    CHECK_EQUAL(waitpid(collector, &status, 0), collector);
    CHECK_EQUAL(status, 0);
    struct trace_listing *listing = trace_listing_read(scene_file("before"));
    check_two_blocks(listing);
    CHECK_EQUAL(listing->overview.end.reason, TRACE_END_EXIT);
    CHECK_EQUAL(listing->overview.end.status, 5);
    trace_listing_free(listing);
    session_free(session, memfd);
}

static void check_identity_and_properties(void)
{
    char line[200];
    struct trace_listing *listing = scene_play("identity", SESSION_NATIVE, play_and_exit, NULL);
    const struct trace_identity *identity = &listing->overview.identity;
    CHECK_EQUAL(identity->session_id, 0x1234);
    CHECK_EQUAL(identity->parent_pid, getppid());
    CHECK_EQUAL(identity->flags, TRACE_NATIVE);
    CHECK(listing->overview.end.time_ns > 0 && listing->overview.end.time_ns < 60000000000ull);
    snprintf(line, sizeof line, "directory=%s", getcwd((char[150]){0}, 150));
    CHECK(listing_has_line(listing, line));
    CHECK(listing_has_line(listing, "options="));
    CHECK(strstr(listing->text, "command=") && strstr(listing->text, "executable=/"));
    CHECK(strstr(listing->text, "hostname=") && strstr(listing->text, "kernel=") && strstr(listing->text, "heapline=0"));
    int samples = 0;
    for (size_t i = 0; i < listing->event_count; i++)
        samples += listing->events[i].kind == TRACE_RSS;
    CHECK_EQUAL(listing->totals.peak_rss_bytes > 100000, samples > 0);
    trace_listing_free(listing);
}

/* ---- rings ---- */

#define MANY_ROUNDS 20000
#define SMALL_RING_WORDS 64

static void play_many(struct session_header *session)
{
    struct player player;
    uint64_t seed = 5;
    player_init(&player, session, 0, SMALL_RING_WORDS);
    for (uint64_t i = 0; i < MANY_ROUNDS; i++) {
        if (i == MANY_ROUNDS / 2) {
            player_reserve(&player, 12);
            player_jump(&player, 4096, 8 * SMALL_RING_WORDS);
            player_publish(&player);
        }
        if (!player_wait_for_room(&player, 16))
            _exit(99);
        player_claim(&player, 0);
        player_allocate(&player, EVENT_ALLOCATE, HEAP + 64 * (i % 100), 1 + check_random(&seed) % 1000, 0, 0);
        player_publish(&player);
        if (i >= 99)
            player_free(&player, EVENT_FREE, HEAP + 64 * ((i + 1) % 100), 0);
        player_publish(&player);
    }
}

static void check_full_rings(void)
{
    int status;
    uint64_t seed = 5, bytes = 0;
    struct trace_listing *listing = scene_play("rings", 0, play_many, &status);
    CHECK_EQUAL(status, 0);
    for (int i = 0; i < MANY_ROUNDS; i++)
        bytes += 1 + check_random(&seed) % 1000;
    CHECK_EQUAL(listing->totals.allocations, MANY_ROUNDS);
    CHECK_EQUAL(listing->totals.allocated_bytes, bytes);
    CHECK_EQUAL(listing->totals.event_count, 2 * MANY_ROUNDS - 99);
    CHECK_EQUAL(listing->totals.unknown_frees, 0);
    CHECK_EQUAL(listing->live_count, 99);
    trace_listing_free(listing);
}

/* ---- requests ---- */

#define ASKED_ROUNDS 300
#define ASKED_EVENTS 1000

/* The answer's "events=". */
static uint64_t ask_events(const struct session_header *session)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct control_request_header request = {.magic = CONTROL_MAGIC, .verb = CONTROL_STATUS};
    struct control_answer answer;
    size_t bytes = (size_t)snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s", session->control_socket);
    int connection = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (connect(connection, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + bytes)) != 0 ||
        write(connection, &request, sizeof request) != sizeof request || read(connection, &answer, sizeof answer) != sizeof answer)
        return 0;
    close(connection);
    const char *events = strstr(answer.text, "events=");
    return events ? strtoull(events + 7, NULL, 10) : 0;
}

/* Many events, which take a while, and a last one; and at once the question how many there were. */
static void play_and_ask(struct session_header *session)
{
    struct player player;
    uint64_t events = 0;
    player_init(&player, session, 0, 8 * ASKED_EVENTS);
    for (int round = 0; round < ASKED_ROUNDS; round++) {
        for (int i = 0; i <= ASKED_EVENTS; i++) {
            if (i % 100 == 0 && !player_wait_for_room(&player, 1600))
                _exit(99);
            player_claim(&player, 0);
            player_allocate(&player, EVENT_ALLOCATE, HEAP + 64 * events++, 16, 0, 0);
            if (i + 1 >= ASKED_EVENTS)
                player_publish(&player);
        }
        if (ask_events(session) != events)
            _exit(98);
    }
}

/* An answer is about all that was recorded when the question came, even if the collector was at work on what came before. */
static void check_requests(void)
{
    int status;
    struct trace_listing *listing = scene_play("requests", 0, play_and_ask, &status);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(listing->totals.event_count, ASKED_ROUNDS * (ASKED_EVENTS + 1));
    trace_listing_free(listing);
}

/* Killed at any moment: whatever had been published is in the trace. */
static _Atomic uint64_t *published;

static void play_until_killed(struct session_header *session)
{
    struct player player;
    player_init(&player, session, 0, 8192);
    for (uint64_t i = 0; player_wait_for_room(&player, 16); i++) {
        player_claim(&player, 0);
        player_allocate(&player, EVENT_ALLOCATE, HEAP + 16 * i, 16, 0, 0);
        player_publish(&player);
        atomic_store(published, i + 1);
    }
}

static void check_killed_in_the_middle(void)
{
    published = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 5; i++) {
        struct scene scene;
        *published = 0;
        scene_begin(&scene, scene_file("middle%d", i), 0, play_until_killed);
        while (atomic_load(published) < (uint64_t)(1000 + 7777 * i))
            usleep(100);
        kill(scene.player, SIGKILL);
        scene_end(&scene);
        struct trace_listing *listing = trace_listing_read(scene_file("middle%d", i));
        uint64_t count = atomic_load(published);
        /* The last event may have been published and not yet counted. */
        CHECK(listing->totals.allocations == count || listing->totals.allocations == count + 1);
        CHECK_EQUAL(listing->overview.end.reason, TRACE_END_SIGNAL);
        trace_listing_free(listing);
    }
}

int main(int argc, char **argv)
{
    scenes_begin(argc, argv);
    check_ends();
    check_gone_before();
    check_identity_and_properties();
    check_full_rings();
    check_requests();
    check_killed_in_the_middle();
    return scenes_end();
}
