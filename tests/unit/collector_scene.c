/* See collector_scene.h. */
#include "collector_scene.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "event_words.h"

static const char *collector_path;
static char folder[64];
rlim_t scene_file_size_limit;
uint64_t scene_max_trace_bytes;

void scenes_begin(int argc, char **argv)
{
    CHECK(argc == 2);
    collector_path = realpath(argv[1], NULL);
    strcpy(folder, "/tmp/heapline-collector-XXXXXX");
    CHECK(mkdtemp(folder));
}

int scenes_end(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0;
}

/* ---- processes ---- */

pid_t collector_start(int memfd)
{
    pid_t collector = fork();
    if (collector != 0)
        return collector;
    dup2(open("/dev/null", O_RDWR), 0);
    /* Its own number must not be closed by the exec. */
    int kept = fcntl(memfd, F_DUPFD, 10);
    dup2(kept, 3);
    syscall(SYS_close_range, 4, ~0u, 0);
    if (scene_file_size_limit)
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){scene_file_size_limit, scene_file_size_limit});
    execl(collector_path, "heapline-collector", NULL);
    _exit(127);
}

void await_collector_state(struct session_header *session, uint32_t state)
{
    for (int i = 0; i < 5000 && atomic_load(&session->collector_state) != state; i++)
        usleep(1000);
    CHECK_EQUAL(atomic_load(&session->collector_state), state);
}

void scene_begin(struct scene *scene, const char *output, uint32_t flags, play_function *play)
{
    scene->session = session_new(&scene->memfd, output, flags);
    scene->session->max_trace_bytes = scene_max_trace_bytes;
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
    scene->collector = collector_start(scene->memfd);
}

void scene_end(struct scene *scene)
{
    int status;
    CHECK_EQUAL(waitpid(scene->player, &scene->status, 0), scene->player);
    CHECK_EQUAL(waitpid(scene->collector, &status, 0), scene->collector);
    CHECK_EQUAL(status, 0);
    session_free(scene->session, scene->memfd);
}

const char *scene_file(const char *format, ...)
{
    static char file[200];
    va_list arguments;
    int bytes = snprintf(file, sizeof file, "%s/", folder);
    va_start(arguments, format);
    vsnprintf(file + bytes, sizeof file - (size_t)bytes, format, arguments);
    va_end(arguments);
    return file;
}

const char *scene_folder(void)
{
    return folder;
}

struct trace_listing *scene_play(const char *name, uint32_t flags, play_function *play, int *ret_status)
{
    struct scene scene;
    scene_begin(&scene, scene_file("%s", name), flags, play);
    scene_end(&scene);
    if (ret_status)
        *ret_status = scene.status;
    return trace_listing_read(scene_file("%s", name));
}

int listing_has_line(const struct trace_listing *listing, const char *line)
{
    const char *found = strstr(listing->text, line);
    return found && (found == listing->text || found[-1] == '\n') && found[strlen(line)] == '\n';
}

/* ---- parts ---- */

void play_two_blocks(struct session_header *session)
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

void play_and_exit(struct session_header *session)
{
    play_two_blocks(session);
    _exit(7);
}

void check_two_blocks(const struct trace_listing *listing)
{
    char *text = trace_listing_text(listing);
    CHECK_STRING(text, "t1 a0:100/1,0 a1:200/1,0 f0");
    CHECK_EQUAL(listing->overview.has_end, 1);
    CHECK_EQUAL(listing->overview.end.totals.live_bytes, 200);
    CHECK_EQUAL(listing->overview.end.totals.peak_bytes, 300);
    CHECK_EQUAL(listing->overview.end.totals.lost_events, 0);
    free(text);
}

void allocate_at(struct player *player, uint64_t index, uint64_t size)
{
    player_claim(player, 0);
    player_allocate(player, EVENT_ALLOCATE, HEAP + 64 * index, size, 0, 0);
    player_publish(player);
}

void free_at(struct player *player, uint64_t index)
{
    player_claim(player, 0);
    player_free(player, EVENT_FREE, HEAP + 64 * index, 0);
    player_publish(player);
}
