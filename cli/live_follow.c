/* See live_follow.h. */
#include "live_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "collector_client.h"
#include "message.h"

#define PATIENCE_S 2
#define MAX_ATTEMPTS 5 /* to read a rotated trace faster than it is written */
#define END_LIMIT_MS 5000
#define END_STEP_MS 20

static void open_trace(struct live_follow *follow, const char *trace_path)
{
    struct status_detail detail = {0};
    snprintf(follow->trace_path, sizeof follow->trace_path, "%s", trace_path);
    int status = live_replay_open(trace_path, &follow->replay, &detail);
    if (status)
        fail_trace(trace_path, status, &detail);
}

void live_follow_begin(struct live_follow *follow, const char *name, pid_t pid)
{
    struct control_answer answer;
    *follow = (struct live_follow){.pid = pid};
    collector_ask(name, pid, &(struct collector_question){.verb = CONTROL_FLUSH}, &answer);
    open_trace(follow, answer.trace_path);
}

void live_follow_end(struct live_follow *follow)
{
    live_replay_close(follow->replay);
    follow->replay = NULL;
}

static void reopen(struct live_follow *follow, const char *trace_path)
{
    char path[CONTROL_PATH_BYTES];
    snprintf(path, sizeof path, "%s", trace_path);
    live_follow_end(follow);
    open_trace(follow, path);
}

static int is_being_written(const char *trace_path)
{
    int file = open(trace_path, O_RDONLY | O_CLOEXEC);
    int is_locked = file >= 0 && flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (file >= 0)
        close(file);
    return is_locked;
}

/* The process has gone; its collector may still have its last events to write. */
static void await_end(const struct live_follow *follow)
{
    for (int waited_ms = 0; waited_ms < END_LIMIT_MS && is_being_written(follow->trace_path); waited_ms += END_STEP_MS)
        usleep(END_STEP_MS * 1000);
}

int live_follow_ask(struct live_follow *follow)
{
    struct control_answer answer;
    struct collector_question question = {.verb = CONTROL_FLUSH, .patience_s = PATIENCE_S};
    enum collector_reply reply = follow->state == FOLLOW_ENDED ? COLLECTOR_NONE : collector_try(follow->pid, &question, &answer);
    int is_other = reply == COLLECTOR_ANSWERED && strcmp(answer.trace_path, follow->trace_path) != 0;
    if (is_other)
        reopen(follow, answer.trace_path);
    follow->state = reply == COLLECTOR_ANSWERED ? FOLLOW_RUNNING : reply == COLLECTOR_SILENT ? FOLLOW_SILENT : FOLLOW_ENDED;
    if (follow->state == FOLLOW_ENDED)
        await_end(follow);
    int has_made_room = follow->has_made_room || live_replay_follow(follow->replay, NULL) == STATUS_CORRUPT;
    if (has_made_room)
        reopen(follow, follow->trace_path);
    follow->has_made_room = 0;
    return is_other || has_made_room;
}

int live_follow_step(struct live_follow *follow)
{
    struct status_detail detail = {0};
    int status = live_replay_step(follow->replay, &detail);
    if (status < 0 && follow->state != FOLLOW_ENDED && live_replay_is_rotated(follow->replay))
        follow->has_made_room = 1;
    else if (status < 0)
        follow->state = FOLLOW_ENDED;
    return status == 0;
}

int live_follow_all(struct live_follow *follow)
{
    int is_new = 0, attempts = 0;
    do {
        is_new |= live_follow_ask(follow);
        while (live_follow_step(follow))
            ;
    } while (follow->has_made_room && ++attempts < MAX_ATTEMPTS);
    return is_new;
}
