/* Collectors of processes that fork and execute: a child's trace begins with what it inherited; an execed program's is its own. */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "collector_scene.h"
#include "event_words.h"

/* ---- forks ---- */

struct letter {
    struct session_fork_message message;
    uint64_t cursors[1];
};

static void send_letter(struct session_header *parent, const struct player *player, uint32_t sequence, uint64_t definition_head, int memfd,
                        uint64_t secret)
{
    int connection = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path + 1, parent->fork_socket);
    socklen_t to_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(parent->fork_socket));
    struct letter letter = {{sequence, (uint32_t)getpid(), 1, 0, definition_head, secret}, {player->cursor}};
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
    send_letter(session, player, sequence, 0, memfd, session->fork_secret + 1); /* somebody else's: thrown away */
    send_letter(session, player, sequence, definition_head, memfd, session->fork_secret);
    close(memfd);
    munmap(session, SESSION_TOTAL_BYTES + 4096);
    return own;
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
    await_collector_state(session, COLLECTOR_RUNNING);
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
    scene_begin(&scene, scene_file("forks"), SESSION_FOLLOW, play_forks);
    scene_end(&scene);
    CHECK_EQUAL(scene.status, 0);
    check_trace(scene_file("forks"), "t1 a0:8192/0,8 a1:100/0,0 a2:200/0,0 a3:300/0,0 f2 f3 a3:400/0,0 a2:500/0,0", 0, 0);
    check_trace(scene_file("forks.%u", (unsigned)children[0]),
                "a0:8192/0,18 a1:100/0,10 a2:300/0,10 t2 s0:4096 f1 a1:9000/0,0 a3:10000/0,0", TRACE_FORKED, 3);
    check_trace(scene_file("forks.%u", (unsigned)children[1]), "a0:4096/0,18 a1:9000/0,10 a2:300/0,10 t3 ?1", TRACE_FORKED, 4);
    /* The player gave its thread no name; it was there long enough for the collector to ask the kernel. */
    struct trace_listing *listing = trace_listing_read(scene_file("forks"));
    char line[100];
    snprintf(line, sizeof line, "thread 1 %d test_collector_", scene.player);
    CHECK(listing_has_line(listing, line));
    trace_listing_free(listing);
    CHECK(access(scene_file("forks.%u", (unsigned)children[2]), F_OK) != 0);
    CHECK(access(scene_file("forks.%u", (unsigned)children[3]), F_OK) != 0);
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
    scene_begin(&scene, scene_file("exec"), 0, play_exec);
    CHECK_EQUAL(waitpid(scene.collector, &status, 0), scene.collector); /* while the process still runs */
    CHECK_EQUAL(waitpid(scene.player, &status, WNOHANG), 0);
    struct trace_listing *listing = trace_listing_read(scene_file("exec"));
    check_two_blocks(listing);
    CHECK_EQUAL(listing->overview.end.reason, TRACE_END_EXEC);
    trace_listing_free(listing);

    /* The new program's collector: it cannot find the session's memory in the process, and ends at once, too. */
    struct session_header *session = session_new(&memfd, scene_file("exec"), 0);
    session->pid = (uint32_t)scene.player;
    pid_t collector = collector_start(memfd);
    CHECK_EQUAL(waitpid(collector, &status, 0), collector);
    listing = trace_listing_read(scene_file("exec"));
    CHECK_EQUAL(listing->overview.identity.flags, TRACE_EXECED);
    CHECK_EQUAL(listing->event_count - (listing->totals.peak_rss_bytes ? 1 : 0) <= 2, 1);
    CHECK_EQUAL(listing->overview.end.reason, TRACE_END_EXEC);
    trace_listing_free(listing);
    listing = trace_listing_read(scene_file("exec.%d.1", scene.player));
    check_two_blocks(listing);
    trace_listing_free(listing);
    kill(scene.player, SIGKILL);
    waitpid(scene.player, NULL, 0);
    session_free(session, memfd);
    session_free(scene.session, scene.memfd);
}

int main(int argc, char **argv)
{
    scenes_begin(argc, argv);
    check_forks();
    check_exec();
    return scenes_end();
}
