/* heapline start, heapline stop: ask the collector of a running process. */
#include <stdio.h>

#include "collector_client.h"
#include "message.h"
#include "paths.h"

struct control_settings {
    int unused;
};

static const struct option_spec control_options[] = {{0}};

static int run_start(int argc, char **argv)
{
    struct control_answer answer;
    struct control_settings settings;
    pid_t pid = collector_parse_pid(&start_command, &settings, argc, argv);
    collector_ask("start", pid, &(struct collector_question){.verb = CONTROL_START}, &answer);
    printf("process %d is recorded %s, into %s\n", (int)pid, answer.result == CONTROL_ALREADY ? "already" : "from now on",
           paths_relative(answer.trace_path));
    return CLI_DONE;
}

static int run_stop(int argc, char **argv)
{
    struct control_answer answer;
    struct control_settings settings;
    pid_t pid = collector_parse_pid(&stop_command, &settings, argc, argv);
    collector_ask("stop", pid, &(struct collector_question){.verb = CONTROL_STOP}, &answer);
    if (answer.result == CONTROL_ALREADY)
        printf("process %d is not being recorded\n", (int)pid);
    else
        printf("process %d is no longer recorded; what was is in %s\n", (int)pid, paths_relative(answer.trace_path));
    return CLI_DONE;
}

const struct command start_command = {
    .name = "start",
    .question = "begin to record a program that was started paused",
    .usage = "PID",
    .description = "Begins to record a process that was started by 'heapline run --paused', or that 'heapline stop' has stopped. What was "
                   "allocated before is not known: its deallocations are not counted, and what is live is what has been allocated since.\n"
                   "Each thread notices when it allocates, frees or copies next. Other processes of the run are not concerned.",
    .examples = "heapline run --paused -o server.heapline python3 server.py &\n"
                "heapline start 4711        # some hours later\n"
                "heapline stop 4711\n"
                "heapline report server.heapline",
    .statuses = COLLECTOR_STATUSES,
    .options = {control_options},
    .run = run_start,
};

const struct command stop_command = {
    .name = "stop",
    .question = "record no more; the program goes on",
    .usage = "PID",
    .description = "Stops recording a process, which goes on. Its trace can be read at once; 'heapline start' goes on with it.",
    .examples = "heapline stop 4711",
    .statuses = COLLECTOR_STATUSES,
    .options = {control_options},
    .run = run_stop,
};
