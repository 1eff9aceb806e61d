/* Scenes with the collector as a program of its own: a player process maps a session and fills it, and the collector runs beside it, as
 * the recorder would start it. All traces are in one folder, which ends with the test. */
#ifndef HEAPLINE_TESTS_COLLECTOR_SCENE_H
#define HEAPLINE_TESTS_COLLECTOR_SCENE_H

#include <sys/resource.h>
#include <sys/types.h>

#include "session_fixture.h"

#define HEAP 0x7f0000000000ull

/* For collectors and sessions that are started from now on; 0: none. */
extern rlim_t scene_file_size_limit;
extern uint64_t scene_max_trace_bytes;

/* The program's first argument is the collector's path. */
void scenes_begin(int argc, char **argv);
/* Returns the program's exit status. */
int scenes_end(void);
/* A file in the folder; good until the next call. */
const char *scene_file(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *scene_folder(void);

/* The collector of a session. */
pid_t collector_start(int memfd);
void await_collector_state(struct session_header *session, uint32_t state);

struct scene {
    struct session_header *session;
    int memfd;
    pid_t player, collector;
    int status; /* the player's */
};

typedef void play_function(struct session_header *session);

/* Start a player that plays once the collector runs. */
void scene_begin(struct scene *scene, const char *output, uint32_t flags, play_function *play);
/* Wait for both; the collector ends with status 0. */
void scene_end(struct scene *scene);
/* A whole scene, and the trace that it leaves in the folder. ret_status: NULL, or the player's. */
struct trace_listing *scene_play(const char *name, uint32_t flags, play_function *play, int *ret_status);
int listing_has_line(const struct trace_listing *listing, const char *line);

/* A part that several tests have: two blocks, the first of which is freed. */
void play_two_blocks(struct session_header *session);
void check_two_blocks(const struct trace_listing *listing);
/* The same, and _exit(7). */
void play_and_exit(struct session_header *session);

/* One event each, published; `index` stands for an address. */
void allocate_at(struct player *player, uint64_t index, uint64_t size);
void free_at(struct player *player, uint64_t index);

#endif
