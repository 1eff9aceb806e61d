/* See live_follow.h. */
#include "live_follow.h"

#include <stdio.h>
#include <string.h>

#include "collector_client.h"
#include "message.h"

#define PATIENCE_S 2

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

int live_follow_ask(struct live_follow *follow)
{
    struct control_answer answer;
    struct collector_question question = {.verb = CONTROL_FLUSH, .patience_s = PATIENCE_S};
    enum collector_reply reply = follow->state == FOLLOW_ENDED ? COLLECTOR_NONE : collector_try(follow->pid, &question, &answer);
    int is_other = reply == COLLECTOR_ANSWERED && strcmp(answer.trace_path, follow->trace_path) != 0;
    if (is_other) {
        live_follow_end(follow);
        open_trace(follow, answer.trace_path);
    }
    follow->state = reply == COLLECTOR_ANSWERED ? FOLLOW_RUNNING : reply == COLLECTOR_SILENT ? FOLLOW_SILENT : FOLLOW_ENDED;
    live_replay_follow(follow->replay, NULL);
    return is_other;
}

int live_follow_step(struct live_follow *follow)
{
    struct status_detail detail = {0};
    int status = live_replay_step(follow->replay, &detail);
    if (status < 0)
        follow->state = FOLLOW_ENDED;
    return status == 0;
}
