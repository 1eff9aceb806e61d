/* Follows the trace of a running process: asks its collector to write what it has, and replays what has come. For heapline live and
 * heapline metrics. One thread; allocates. */
#ifndef HEAPLINE_CLI_LIVE_FOLLOW_H
#define HEAPLINE_CLI_LIVE_FOLLOW_H

#include <sys/types.h>

#include "control.h"
#include "live_replay.h"

enum follow_state {
    FOLLOW_RUNNING,
    FOLLOW_SILENT, /* the collector does not answer at the moment */
    FOLLOW_ENDED,  /* nothing will come any more */
};

struct live_follow {
    pid_t pid;
    char trace_path[CONTROL_PATH_BYTES];
    enum follow_state state;
    struct live_replay *replay;
    int has_made_room; /* a step met what an old part of a rotated trace had left to a new one: the next question begins from the start */
};

/* Begin with process `pid`; `name` is the command's. Where that can't be, ends the program with a message. Nothing is replayed yet. */
void live_follow_begin(struct live_follow *follow, const char *name, pid_t pid);
void live_follow_end(struct live_follow *follow);

/* Have all written that was recorded until now, and look for it. Sets the state; the replay's steps are the caller's. Returns 1: the trace is
 * another one than before, or old parts of it have made room: it begins from its start. */
int live_follow_ask(struct live_follow *follow);
/* A step of the replay: 1 while there is more. A damaged trace ends the following, but a rotated one that is still written. */
int live_follow_step(struct live_follow *follow);
/* Ask, and all steps. */
int live_follow_all(struct live_follow *follow);

#endif
