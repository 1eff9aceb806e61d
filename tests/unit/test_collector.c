/* The collector as a program of its own: the first argument is its path. Each scene starts a player process that maps a session and fills
 * it, and the collector beside it, as the recorder would; then reads the trace it leaves. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "control.h"
#include "event_words.h"
#include "futex.h"
#include "session_fixture.h"

#define HEAP 0x7f0000000000ull

static const char *collector_path;
static char folder[64], path[100];
static rlim_t file_size_limit;
static uint64_t max_trace_bytes;

/* ---- processes ---- */

static pid_t start_collector(int memfd)
{
    pid_t collector = fork();
    if (collector != 0)
        return collector;
    dup2(open("/dev/null", O_RDWR), 0);
    /* Its own number must not be closed by the exec. */
    int kept = fcntl(memfd, F_DUPFD, 10);
    dup2(kept, 3);
    syscall(SYS_close_range, 4, ~0u, 0);
    if (file_size_limit)
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){file_size_limit, file_size_limit});
    execl(collector_path, "heapline-collector", NULL);
    _exit(127);
}

static void await_state(struct session_header *session, uint32_t state)
{
    for (int i = 0; i < 5000 && atomic_load(&session->collector_state) != state; i++)
        usleep(1000);
    CHECK_EQUAL(atomic_load(&session->collector_state), state);
}

struct scene {
    struct session_header *session;
    int memfd;
    pid_t player, collector;
    int status; /* the player's */
};

typedef void play_function(struct session_header *session);

/* Start a player that plays once the collector runs. */
static void scene_begin(struct scene *scene, const char *output, uint32_t flags, play_function *play)
{
    scene->session = session_new(&scene->memfd, output, flags);
    scene->session->max_trace_bytes = max_trace_bytes;
    scene->player = fork();
    if (scene->player == 0) {
        scene->session->pid = (uint32_t)getpid();
        for (int i = 0; i < 5000 && atomic_load(&scene->session->collector_state) == COLLECTOR_STARTING; i++)
            usleep(1000);
        play(scene->session);
        _exit(0);
    }
    while (*(volatile uint32_t *)&scene->session->pid != (uint32_t)scene->player)
        usleep(100);
    scene->collector = start_collector(scene->memfd);
}

static void scene_end(struct scene *scene)
{
    int status;
    CHECK_EQUAL(waitpid(scene->player, &scene->status, 0), scene->player);
    CHECK_EQUAL(waitpid(scene->collector, &status, 0), scene->collector);
    CHECK_EQUAL(status, 0);
    session_free(scene->session, scene->memfd);
}

static const char *file_in_folder(const char *format, unsigned number)
{
    static char file[200];
    size_t bytes = (size_t)snprintf(file, sizeof file, "%s/", folder);
    snprintf(file + bytes, sizeof file - bytes, format, number);
    return file;
}

static struct trace_listing *play_scene(const char *name, uint32_t flags, play_function *play, int *ret_status)
{
    struct scene scene;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    scene_begin(&scene, path, flags, play);
    scene_end(&scene);
    if (ret_status)
        *ret_status = scene.status;
    return trace_listing_read(path);
}

static int has_line(const struct trace_listing *listing, const char *line)
{
    const char *found = strstr(listing->text, line);
    return found && (found == listing->text || found[-1] == '\n') && found[strlen(line)] == '\n';
}

/* ---- how processes end ---- */

static void play_two_blocks(struct session_header *session)
{
    struct player player;
    player_init(&player, session, 0, 1024);
    session_define_node(session, 1, 0, 0x1000);
    player_claim(&player, 0);
    player_allocate(&player, EVENT_ALLOCATE, HEAP, 100, 1, 0);
    player_allocate(&player, EVENT_ALLOCATE, HEAP + 128, 200, 1, 0);
    player_free(&player, EVENT_FREE, HEAP, 0);
    player_publish(&player);
}

static void play_and_exit(struct session_header *session)
{
    play_two_blocks(session);
    _exit(7);
}

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

static void check_two_blocks(const struct trace_listing *listing)
{
    char *text = trace_listing_text(listing);
    CHECK_STRING(text, "t1 a0:100/1,0 a1:200/1,0 f0");
    CHECK_EQUAL(listing->overview.has_end, 1);
    CHECK_EQUAL(listing->overview.end.totals.live_bytes, 200);
    CHECK_EQUAL(listing->overview.end.totals.peak_bytes, 300);
    CHECK_EQUAL(listing->overview.end.totals.lost_events, 0);
    free(text);
}

static void check_ends(void)
{
    static const struct { const char *name; play_function *play; uint32_t reason; int status; } ends[] = {
        {"exit", play_and_exit, TRACE_END_EXIT, 7},
        {"kill", play_and_be_killed, TRACE_END_SIGNAL, SIGKILL},
        {"abort", play_and_abort, TRACE_END_SIGNAL, SIGABRT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        struct trace_listing *listing = play_scene(ends[i].name, 0, ends[i].play, NULL);
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
    snprintf(path, sizeof path, "%s/before", folder);
    struct session_header *session = session_new(&memfd, path, 0);
    pid_t player = fork();
    if (player == 0) {
        session->pid = (uint32_t)getpid();
        play_two_blocks(session);
        atomic_store(&session->exit_status, 5);
        atomic_store(&session->exit_kind, EXIT_CALLED);
        _exit(5);
    }
    CHECK_EQUAL(waitpid(player, &status, 0), player);
    pid_t collector = start_collector(memfd);
    CHECK_EQUAL(waitpid(collector, &status, 0), collector);
    CHECK_EQUAL(status, 0);
    struct trace_listing *listing = trace_listing_read(path);
    check_two_blocks(listing);
    CHECK_EQUAL(listing->overview.end.reason, TRACE_END_EXIT);
    CHECK_EQUAL(listing->overview.end.status, 5);
    trace_listing_free(listing);
    session_free(session, memfd);
}

static void check_identity_and_properties(void)
{
    char line[200];
    struct trace_listing *listing = play_scene("identity", SESSION_NATIVE, play_and_exit, NULL);
    const struct trace_identity *identity = &listing->overview.identity;
    CHECK_EQUAL(identity->session_id, 0x1234);
    CHECK_EQUAL(identity->parent_pid, getppid());
    CHECK_EQUAL(identity->flags, TRACE_NATIVE);
    CHECK(listing->overview.end.time_ns > 0 && listing->overview.end.time_ns < 60000000000ull);
    snprintf(line, sizeof line, "directory=%s", getcwd((char[150]){0}, 150));
    CHECK(has_line(listing, line));
    CHECK(has_line(listing, "options="));
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
    struct trace_listing *listing = play_scene("rings", 0, play_many, &status);
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
    struct trace_listing *listing = play_scene("requests", 0, play_and_ask, &status);
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
        snprintf(path, sizeof path, "%s/middle%d", folder, i);
        scene_begin(&scene, path, 0, play_until_killed);
        while (atomic_load(published) < (uint64_t)(1000 + 7777 * i))
            usleep(100);
        kill(scene.player, SIGKILL);
        scene_end(&scene);
        struct trace_listing *listing = trace_listing_read(path);
        uint64_t count = atomic_load(published);
        /* The last event may have been published and not yet counted. */
        CHECK(listing->totals.allocations == count || listing->totals.allocations == count + 1);
        CHECK_EQUAL(listing->overview.end.reason, TRACE_END_SIGNAL);
        trace_listing_free(listing);
    }
}

/* ---- threads that pass blocks to one another ---- */

#define THREADS 4
#define THREAD_ROUNDS 10000
#define SHARED_BLOCKS 32

static struct session_header *threads_session;
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
        player_free(player, EVENT_FREE, HEAP + 16 * other, clock_ticks());
        player_publish(player);
        heap_give_back(other);
    }
    return NULL;
}

static void play_threads(struct session_header *session)
{
    static struct player players[THREADS];
    pthread_t threads[THREADS];
    threads_session = session;
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
    struct trace_listing *listing = play_scene("threads", 0, play_threads, &status);
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

/* ---- forks ---- */

struct letter {
    struct session_fork_message message;
    uint64_t cursors[1];
};

static void send_letter(struct session_header *parent, const struct player *player, uint32_t sequence, uint64_t definition_head, int memfd)
{
    int connection = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path + 1, parent->fork_socket);
    socklen_t to_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(parent->fork_socket));
    struct letter letter = {{sequence, (uint32_t)getpid(), 1, 0, definition_head}, {player->cursor}};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &memfd, sizeof memfd);
    struct iovec text = {&letter, sizeof letter};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (connect(connection, (struct sockaddr *)&to, to_bytes) != 0 || sendmsg(connection, &message, 0) != sizeof letter)
        _exit(98);
    close(connection);
}

/* fork(), as the recorder sees it. Returns the child's session in the child, NULL in the parent. */
static struct session_header *fork_player(struct session_header *session, const struct player *player, int sends_letter, pid_t *ret_child)
{
    int memfd;
    uint64_t definition_head = atomic_load(&session->definition_head);
    uint32_t sequence = atomic_fetch_add(&session->fork_sequence, 1) + 1;
    atomic_fetch_add(&session->fork_freeze, 1);
    pid_t child = fork();
    if (child != 0) {
        *ret_child = child;
        return NULL;
    }
    if (!sends_letter)
        _exit(0);
    struct session_header *own = session_new(&memfd, session->output_path, session->flags | SESSION_FORKED);
    send_letter(session, player, sequence, definition_head, memfd);
    close(memfd);
    munmap(session, SESSION_TOTAL_BYTES + 4096);
    return own;
}

static void allocate_at(struct player *player, uint64_t index, uint64_t size)
{
    player_claim(player, 0);
    player_allocate(player, EVENT_ALLOCATE, HEAP + 64 * index, size, 0, 0);
    player_publish(player);
}

static void free_at(struct player *player, uint64_t index)
{
    player_claim(player, 0);
    player_free(player, EVENT_FREE, HEAP + 64 * index, 0);
    player_publish(player);
}

/* _exit, as the recorder sees it: the process may be gone before the clone has looked at it. */
static void leave(struct session_header *session, int status)
{
    atomic_store(&session->exit_status, status);
    atomic_store(&session->exit_kind, EXIT_CALLED);
    _exit(status);
}

static pid_t *children; /* shared: child, grandchild, execed child, dead child */

static void play_grandchild(struct session_header *session)
{
    struct player player;
    player_init(&player, session, 0, 1024);
    free_at(&player, 0);
    leave(session, 4);
}

static void play_child(struct session_header *session)
{
    struct player player;
    player_init(&player, session, 0, 1024);
    player_claim(&player, 0);
    player_unmap(&player, 0x10000000, 4096, 0);
    free_at(&player, 0);
    allocate_at(&player, 9, 9000); /* where the parent allocates something else */
    await_state(session, COLLECTOR_RUNNING);
    struct session_header *grandchild = fork_player(session, &player, 1, &children[1]);
    if (grandchild)
        play_grandchild(grandchild);
    allocate_at(&player, 10, 10000);
    waitpid(children[1], NULL, 0);
    leave(session, 3);
}

static void play_forks(struct session_header *session)
{
    struct player player;
    player_init(&player, session, 0, 1024);
    player_claim(&player, 0);
    player_map(&player, 0x10000000, 8192, 0, 0, 0);
    allocate_at(&player, 0, 100);
    allocate_at(&player, 1, 200);
    allocate_at(&player, 2, 300);
    free_at(&player, 1);
    struct session_header *child = fork_player(session, &player, 1, &children[0]);
    if (child)
        play_child(child);
    /* Right after the fork: not the child's. */
    free_at(&player, 2);
    allocate_at(&player, 9, 400);
    child = fork_player(session, &player, 1, &children[2]);
    if (child) {
        struct player own;
        player_init(&own, child, 0, 1024);
        allocate_at(&own, 3, 5);
        atomic_store(&child->exit_kind, EXIT_EXEC);
        execlp("sleep", "sleep", "0.3", NULL);
    }
    fork_player(session, &player, 0, &children[3]); /* dies before it can send its letter */
    allocate_at(&player, 4, 500);
    for (int i = 0; i < 4; i++)
        if (i != 1)
            waitpid(children[i], NULL, 0);
    for (int i = 0; i < 4000 && atomic_load(&session->fork_freeze); i++)
        usleep(1000);
    _exit(atomic_load(&session->fork_freeze) != 0);
}

static void await_lock(const char *file)
{
    int opened = -1;
    for (int i = 0; i < 3000 && (opened = open(file, O_RDONLY)) < 0; i++)
        usleep(1000);
    CHECK(opened >= 0 && flock(opened, LOCK_EX) == 0);
    close(opened);
}

static void check_trace(const char *file, const char *expected, uint32_t flags, int exit_status)
{
    await_lock(file);
    struct trace_listing *listing = trace_listing_read(file);
    char *text = trace_listing_text(listing);
    CHECK_STRING(text, expected);
    CHECK_EQUAL(listing->overview.identity.flags, flags);
    CHECK_EQUAL(listing->overview.has_end, 1);
    CHECK_EQUAL(listing->overview.end.reason, TRACE_END_EXIT);
    CHECK_EQUAL(listing->overview.end.status, exit_status);
    free(text);
    trace_listing_free(listing);
}

static void check_forks(void)
{
    struct scene scene;
    children = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(path, sizeof path, "%s/forks", folder);
    scene_begin(&scene, path, SESSION_FOLLOW, play_forks);
    scene_end(&scene);
    CHECK_EQUAL(scene.status, 0);
    check_trace(path, "t1 a0:8192/0,8 a1:100/0,0 a2:200/0,0 a3:300/0,0 f2 f3 a3:400/0,0 a2:500/0,0", 0, 0);
    check_trace(file_in_folder("forks.%u", (unsigned)children[0]),
                "a0:8192/0,18 a1:100/0,10 a2:300/0,10 t2 s0:4096 f1 a1:9000/0,0 a3:10000/0,0", TRACE_FORKED, 3);
    check_trace(file_in_folder("forks.%u", (unsigned)children[1]), "a0:4096/0,18 a1:9000/0,10 a2:300/0,10 t3 ?1", TRACE_FORKED, 4);
    /* The player gave its thread no name; it was there long enough for the collector to ask the kernel. */
    struct trace_listing *listing = trace_listing_read(path);
    char line[100];
    snprintf(line, sizeof line, "thread 1 %d test_collector", scene.player);
    CHECK(has_line(listing, line));
    trace_listing_free(listing);
    CHECK(access(file_in_folder("forks.%u", (unsigned)children[2]), F_OK) != 0);
    CHECK(access(file_in_folder("forks.%u", (unsigned)children[3]), F_OK) != 0);
}

/* ---- exec ---- */

static void play_exec(struct session_header *session)
{
    play_two_blocks(session);
    atomic_store(&session->exit_kind, EXIT_EXEC);
    execlp("sleep", "sleep", "1", NULL);
}

static void check_exec(void)
{
    struct scene scene;
    int memfd, status;
    snprintf(path, sizeof path, "%s/exec", folder);
    scene_begin(&scene, path, 0, play_exec);
    CHECK_EQUAL(waitpid(scene.collector, &status, 0), scene.collector); /* while the process still runs */
    CHECK_EQUAL(waitpid(scene.player, &status, WNOHANG), 0);
    struct trace_listing *listing = trace_listing_read(path);
    check_two_blocks(listing);
    CHECK_EQUAL(listing->overview.end.reason, TRACE_END_EXEC);
    trace_listing_free(listing);

    /* The new program's collector: it cannot find the session's memory in the process, and ends at once, too. */
    struct session_header *session = session_new(&memfd, path, 0);
    session->pid = (uint32_t)scene.player;
    pid_t collector = start_collector(memfd);
    CHECK_EQUAL(waitpid(collector, &status, 0), collector);
    listing = trace_listing_read(path);
    CHECK_EQUAL(listing->overview.identity.flags, TRACE_EXECED);
    CHECK_EQUAL(listing->event_count - (listing->totals.peak_rss_bytes ? 1 : 0) <= 2, 1);
    CHECK_EQUAL(listing->overview.end.reason, TRACE_END_EXEC);
    trace_listing_free(listing);
    char aside[150];
    snprintf(aside, sizeof aside, "%s.%d.1", path, scene.player);
    listing = trace_listing_read(aside);
    check_two_blocks(listing);
    trace_listing_free(listing);
    kill(scene.player, SIGKILL);
    waitpid(scene.player, NULL, 0);
    session_free(session, memfd);
    session_free(scene.session, scene.memfd);
}

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
    file_size_limit = 1500000;
    struct trace_listing *listing = play_scene("full", 0, play_noise, &status);
    file_size_limit = 0;
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
    max_trace_bytes = 500000; /* less than the least there is, which holds */
    struct trace_listing *listing = play_scene("limited", 0, play_noise, &status);
    max_trace_bytes = 0;
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
    pid_t collector = start_collector(memfd);
    CHECK_EQUAL(waitpid(collector, &status, 0), collector);
    CHECK_EQUAL(WEXITSTATUS(status), 1);
    CHECK_EQUAL(atomic_load(&session->collector_state), COLLECTOR_GONE);
    session->magic = 0;
    collector = start_collector(memfd);
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
    struct trace_listing *listing = play_scene("counters", SESSION_COPIES, play_counters, NULL);
    CHECK_EQUAL(listing->totals.lost_events, 7);
    CHECK_EQUAL(listing->totals.copies, 10);
    CHECK_EQUAL(listing->totals.copied_bytes, 1000);
    CHECK(has_line(listing, "lost_definitions=5") && has_line(listing, "unsafe_stacks=6") && has_line(listing, "python=3.11"));
    CHECK(has_line(listing, "python_stacks=off") && has_line(listing, "malloc=of another library"));
    trace_listing_free(listing);
}

static void check_default_name(void)
{
    struct scene scene;
    char before[200];
    CHECK(getcwd(before, sizeof before) && chdir(folder) == 0);
    scene_begin(&scene, "", 0, play_and_exit);
    scene_end(&scene);
    struct trace_listing *listing = trace_listing_read(file_in_folder("test_collector.%u.heapline", (unsigned)scene.player));
    check_two_blocks(listing);
    trace_listing_free(listing);
    CHECK(chdir(before) == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    collector_path = realpath(argv[1], NULL);
    strcpy(folder, "/tmp/heapline-collector-XXXXXX");
    CHECK(mkdtemp(folder));
    check_ends();
    check_gone_before();
    check_identity_and_properties();
    check_full_rings();
    check_requests();
    check_killed_in_the_middle();
    check_threads();
    check_forks();
    check_exec();
    check_full_disk();
    check_size_limit();
    check_unwritable();
    check_counters();
    check_default_name();
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0;
}
