/* heapline start, heapline stop, heapline sample: ask the collector of a running process. */
#include <inttypes.h>
#include <stdio.h>

#include "collector_client.h"
#include "message.h"
#include "paths.h"
#include "units.h"

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

static void say_sampled(pid_t pid, uint64_t interval_bytes, const struct control_answer *answer)
{
    const char *since = answer->result == CONTROL_ALREADY ? "already" : "from now on";
    if (interval_bytes)
        printf("process %d is sampled %s, one block in %s on average, into %s\n", (int)pid, since, units_bytes((int64_t)interval_bytes).text,
               paths_relative(answer->trace_path));
    else
        printf("of process %d everything is recorded %s, into %s\n", (int)pid, since, paths_relative(answer->trace_path));
}

/* Of a process that is not being recorded. */
static void say_sampled_later(pid_t pid, uint64_t interval_bytes)
{
    if (interval_bytes)
        printf("process %d is not being recorded; from the next 'heapline start %d' on it is sampled, one block in %s on average\n", (int)pid, (int)pid,
               units_bytes((int64_t)interval_bytes).text);
    else
        printf("process %d is not being recorded; from the next 'heapline start %d' on everything is\n", (int)pid, (int)pid);
}

static int run_sample(int argc, char **argv)
{
    struct control_answer answer;
    struct control_settings settings;
    char argument[32];
    uint64_t interval_bytes;
    if (options_parse(&sample_command, &settings, argc, argv, OPTIONS_ANYWHERE) != 2)
        fail_usage("sample", "sample: of which process, by how many bytes? Give its id and a size (512K; 0: record everything)");
    pid_t pid = collector_pid_of_text(argv[1]);
    if (!pid)
        fail_usage("sample", "sample: '%s' is no process id", argv[1]);
    if (units_parse_bytes(argv[2], &interval_bytes) || interval_bytes >= 1ull << 56)
        fail_usage("sample", "sample: '%s' is no size (512K, 1M; 0: record everything)", argv[2]);
    snprintf(argument, sizeof argument, "%" PRIu64, interval_bytes);
    collector_ask("sample", pid, &(struct collector_question){.verb = CONTROL_SAMPLE, .argument = argument}, &answer);
    if (collector_says(&answer, "recording=0"))
        say_sampled_later(pid, interval_bytes);
    else
        say_sampled(pid, interval_bytes, &answer);
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

const struct command sample_command = {
    .name = "sample",
    .question = "record a sample only, or everything, from now on",
    .usage = "PID SIZE",
    .description = "Changes how a running process is recorded: a sample, one block in SIZE bytes on average (512K), or with 0 everything; of one "
                   "that is paused or stopped, how it is from the next start on. Whatever was recorded before keeps its weight: what was exact stays exact, and what was sampled counts as often as it did.\n"
                   "Each thread follows at its next allocation or deallocation that is recorded. Of a process that has recorded everything, "
                   "deallocations are still all looked at; a process that is started with --sample costs less.",
    .examples = "heapline sample 4711 512K      # from now on cheap\n"
                "heapline sample 4711 0         # everything, for a while",
    .statuses = COLLECTOR_STATUSES,
    .options = {control_options},
    .run = run_sample,
};
