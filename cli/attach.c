/* heapline attach: record a process that was started without us, from now on. heapline detach: no more (docs/attach.md). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "attach.h"
#include "attach_python.h"
#include "collector_client.h"
#include "inject.h"
#include "library.h"
#include "memory.h"
#include "message.h"
#include "paths.h"
#include "process_family.h"
#include "rotation.h"
#include "run_output.h"
#include "trace_event.h"
#include "units.h"

/* To write the end of a long recording's trace. */
#define END_PATIENCE_S 600
#define MAX_NUMBER 10000
#define MAX_CHILDREN 16 /* that are named */

struct attach_options {
    const char *output, *rotate;
    int native, copies, force;
    uint64_t copy_threshold_bytes, max_trace_bytes, sampling_interval_bytes; /* NOT_GIVEN: the recorder's own */
    struct rotation rotation;
};
#define NOT_GIVEN UINT64_MAX

static const struct option_spec attach_options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(struct attach_options, output), 0, "PATH",
     "write the trace to PATH (default: PROGRAM.PID.heapline in the current directory)"},
    {"force", 'f', OPTION_SET, offsetof(struct attach_options, force), 1, NULL, "overwrite PATH, and the traces of its run"},
    {"native", 0, OPTION_SET, offsetof(struct attach_options, native), 1, NULL, "record native frames too (C, C++, Rust …)"},
    {"copies", 0, OPTION_SET, offsetof(struct attach_options, copies), 1, NULL, "record copied bytes (the default)"},
    {"no-copies", 0, OPTION_SET, offsetof(struct attach_options, copies), 0, NULL, "don't"},
    {"copy-threshold", 0, OPTION_BYTES, offsetof(struct attach_options, copy_threshold_bytes), 0, "BYTES",
     "only count copies smaller than this, without their stacks"},
    {"sample", 0, OPTION_BYTES, offsetof(struct attach_options, sampling_interval_bytes), 0, "BYTES",
     "record a sample, one block in so many bytes on average (512K); figures are then estimates"},
    {"max-trace-size", 0, OPTION_BYTES, offsetof(struct attach_options, max_trace_bytes), 0, "BYTES",
     "bound the trace: when it has grown so large, events are added up instead of listed; 0: no bound"},
    {"rotate", 0, OPTION_TEXT, offsetof(struct attach_options, rotate), 0, "SIZE|TIME",
     "record for ever: what happened last is listed event by event, in segments of this size (64M) or time (10min, 1h); when --max-trace-size "
     "(default 1G) is reached, the oldest segment is added up to make room"},
    {0},
};

/* HEAPLINE_OPTIONS, as the recorder reads it. */
static void make_options(const struct attach_options *settings, char *out, size_t size)
{
    int used = snprintf(out, size, "%s%s", settings->copies ? "copies" : "no-copies", settings->native ? ",native" : "");
    if (settings->copy_threshold_bytes != NOT_GIVEN)
        used += snprintf(out + used, size - (size_t)used, ",copy-threshold=%llu", (unsigned long long)settings->copy_threshold_bytes);
    if (settings->sampling_interval_bytes != NOT_GIVEN)
        used += snprintf(out + used, size - (size_t)used, ",sample=%llu", (unsigned long long)settings->sampling_interval_bytes);
    if (settings->max_trace_bytes != NOT_GIVEN)
        used += snprintf(out + used, size - (size_t)used, ",max-trace-size=%llu", (unsigned long long)settings->max_trace_bytes);
    /* In the units that a collector understands, which is told by `attach` once more. */
    if (settings->rotation.segment_bytes)
        snprintf(out + used, size - (size_t)used, ",rotate=%llu", (unsigned long long)settings->rotation.segment_bytes);
    else if (settings->rotation.segment_ms)
        snprintf(out + used, size - (size_t)used, ",rotate=%llums", (unsigned long long)settings->rotation.segment_ms);
}

/* ---- the trace's name ---- */

/* The name that a program goes by where its file has another one (redis-server is a link to redis-check-rdb): the first word of its command
 * line, if the process is named like that, too; else the file's. */
static void read_own_name(pid_t pid, const char *arguments, const char *program, char *name, size_t size)
{
    char path[32], own[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(own, sizeof own, file))
        own[0] = '\0';
    if (file)
        fclose(file);
    own[strcspn(own, "\n")] = '\0';
    snprintf(name, size, "%.*s", (int)strcspn(arguments, " "), arguments);
    const char *word = paths_base(name);
    if (*own && !strncmp(word, own, strlen(own)))
        memmove(name, word, strlen(word) + 1);
    else
        snprintf(name, size, "%s", paths_base(program));
}

/* The process's program: of an interpreter, the script that it runs. */
static void read_program(pid_t pid, char *name, size_t size)
{
    char path[PATH_MAX], arguments[PATH_MAX] = "";
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FILE *file = fopen(path, "re");
    size_t bytes = file ? fread(arguments, 1, sizeof arguments - 1, file) : 0;
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    char program[PATH_MAX];
    ssize_t length = readlink(path, program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    char own_name[PATH_MAX];
    read_own_name(pid, arguments, *program ? program : "program", own_name, sizeof own_name);
    const char *chosen = own_name;
    const char *script = arguments + strlen(arguments) + 1;
    if (paths_is_interpreter(program) && script < arguments + bytes && *script && *script != '-')
        chosen = paths_base(script);
    size_t chosen_bytes = strlen(chosen);
    if (chosen != own_name && chosen_bytes > 3 && !strcmp(chosen + chosen_bytes - 3, ".py"))
        chosen_bytes -= 3;
    snprintf(name, size, "%.*s", (int)chosen_bytes, chosen);
}

/* PROGRAM.PID.heapline, PROGRAM.PID.2.heapline …: each time that the process is attached to has a trace of its own. */
static char *default_output(pid_t pid)
{
    char program[160], name[NAME_MAX + 1];
    read_program(pid, program, sizeof program);
    snprintf(name, sizeof name, "%s.%d.heapline", program, (int)pid);
    for (int number = 2; access(name, F_OK) == 0 && number < MAX_NUMBER; number++)
        snprintf(name, sizeof name, "%s.%d.%d.heapline", program, (int)pid, number);
    return run_output_prepare("attach", name, 0);
}

/* ---- attach ---- */

_Noreturn static void fail_process(const char *command, pid_t pid, const struct inject_detail *detail)
{
    fail(CLI_SYSTEM, "%s: process %d %s", command, (int)pid, detail->text);
}

enum presence {
    PRESENCE_NONE,     /* the library was never there */
    PRESENCE_DETACHED, /* it waits to record again */
};

static enum presence find_presence(pid_t pid, const char *library)
{
    struct control_answer status;
    enum collector_reply reply = collector_try(pid, &(struct collector_question){.verb = CONTROL_STATUS}, &status);
    if (reply == COLLECTOR_NONE && inject_has_library(pid, library))
        fail(CLI_SYSTEM, "attach: process %d has a recorder already, whose collector has ended: it can't be recorded again", (int)pid);
    if (reply == COLLECTOR_NONE)
        return PRESENCE_NONE;
    if (reply != COLLECTOR_ANSWERED)
        collector_fail("attach", pid, reply, &status);
    if (collector_says(&status, "detached=1"))
        return PRESENCE_DETACHED;
    if (!collector_says(&status, "recording=1"))
        fail(CLI_SYSTEM, "attach: process %d has a recorder, which is paused: 'heapline start %d' begins to record", (int)pid, (int)pid);
    fail(CLI_SYSTEM, "attach: process %d is recorded already, into %s", (int)pid, paths_relative(status.trace_path));
}

/* Have a stopped thread of the process call a function of the library, which is loaded first where it isn't there. */
static int call_in_thread(const char *command, pid_t pid, const char *library, const char *function, const void *argument,
                          size_t argument_bytes)
{
    struct injection *injection;
    struct inject_detail detail = {{0}};
    int result = 0, status = inject_begin(pid, &injection, &detail);
    if (status != INJECT_DONE)
        fail_process(command, pid, &detail);
    if (!inject_has_library(pid, library))
        status = inject_load(injection, library, &detail);
    if (status == INJECT_DONE)
        status = inject_call(injection, library, function, argument, argument_bytes, &result, &detail);
    inject_end(injection);
    if (status != INJECT_DONE)
        fail_process(command, pid, &detail);
    return result;
}

/* The same, by its interpreter where it has one that takes requests. */
static int call_in_process(const char *command, pid_t pid, const char *library, const char *function, const void *argument,
                           size_t argument_bytes)
{
    struct inject_detail detail = {{0}};
    int result = 0;
    if (inject_check(pid, library, &detail) != INJECT_DONE)
        fail_process(command, pid, &detail);
    switch (attach_by_python(pid, library, function, argument, argument_bytes, &result)) {
    case ATTACH_PYTHON_CALLED:
        return result;
    case ATTACH_PYTHON_AT_WORK:
        fail(CLI_SYSTEM, "%s: process %d did not finish loading the recorder in 20 seconds", command, (int)pid);
    default:
        return call_in_thread(command, pid, library, function, argument, argument_bytes);
    }
}

static void check_result(pid_t pid, int result)
{
    switch (result) {
    case ATTACH_STARTED:
    case ATTACH_AGAIN:
    case ATTACH_ALREADY: /* what was interrupted before is taken up */
        return;
    case ATTACH_PRELOADED:
        fail(CLI_SYSTEM, "attach: process %d was started with the recorder, which has ended its trace", (int)pid);
    case ATTACH_FORKED:
        fail(CLI_SYSTEM, "attach: process %d was forked by one that had been detached from, and has no recorder of its own", (int)pid);
    case ATTACH_REFUSED:
        fail(CLI_SYSTEM, "attach: process %d can't start its recorder: it has no memory or no processes left, or may not create them", (int)pid);
    default:
        fail(CLI_SYSTEM, "attach: process %d has a recorder of another version", (int)pid);
    }
}

static void fill_settings(struct attach_settings *settings, const char *options, const char *output)
{
    const char *collector = getenv("HEAPLINE_COLLECTOR");
    *settings = (struct attach_settings){.magic = ATTACH_MAGIC, .bytes = sizeof *settings};
    while (settings->session_id == 0)
        if (getrandom(&settings->session_id, sizeof settings->session_id, 0) != sizeof settings->session_id)
            settings->session_id = (uint64_t)getpid();
    snprintf(settings->options, sizeof settings->options, "%s", options);
    snprintf(settings->output_path, sizeof settings->output_path, "%s", output);
    snprintf(settings->collector_path, sizeof settings->collector_path, "%s", collector ? collector : "");
}

/* Whoever attaches to a server with worker processes often means those. */
static void say_children(const pid_t *children, int count)
{
    if (count == 0)
        return;
    printf(count == 1 ? "a process that it has started before is not recorded by that; attach to it as well if it matters:"
                      : "%d processes that it has started before are not recorded by that; attach to those that matter as well:", count);
    for (int i = 0; i < count && i < MAX_CHILDREN; i++)
        printf(" %d", (int)children[i]);
    puts(count > MAX_CHILDREN ? " …" : "");
}

/* The collector has been started by the process: it opens the trace, as the process's user. */
static void await_collector(pid_t pid, const char *library, const char *output, struct control_answer *ret_status)
{
    enum collector_reply reply = collector_try(pid, &(struct collector_question){.verb = CONTROL_STATUS}, ret_status);
    if (reply == COLLECTOR_ANSWERED)
        return;
    call_in_process("attach", pid, library, DETACH_FUNCTION, NULL, 0);
    fail(CLI_SYSTEM, "attach: process %d could not start its collector, or that could not write '%s' as the process's user", (int)pid, output);
}

static void begin_again(pid_t pid, const char *library, const char *options, const char *output, struct control_answer *ret_answer)
{
    char *argument = memory_format("%s\n%s", options, output);
    struct collector_question question = {.verb = CONTROL_ATTACH, .argument = argument};
    enum collector_reply reply = collector_try(pid, &question, ret_answer);
    free(argument);
    if (reply == COLLECTOR_ANSWERED && ret_answer->result != CONTROL_REFUSED)
        return;
    call_in_process("attach", pid, library, DETACH_FUNCTION, NULL, 0);
    if (reply == COLLECTOR_ANSWERED)
        fail(CLI_SYSTEM, "attach: process %d: %s", (int)pid, ret_answer->text);
    collector_fail("attach", pid, reply, ret_answer);
}

static int run_attach(int argc, char **argv)
{
    struct attach_options settings = {.copies = 1, .copy_threshold_bytes = NOT_GIVEN, .max_trace_bytes = NOT_GIVEN,
                                      .sampling_interval_bytes = NOT_GIVEN};
    struct inject_detail detail = {{0}};
    struct attach_settings request;
    struct control_answer answer;
    char options[256];
    pid_t pid = collector_parse_pid(&attach_command, &settings, argc, argv);
    if (settings.max_trace_bytes && settings.max_trace_bytes < TRACE_MIN_BOUND_BYTES)
        fail_usage("attach", "attach: --max-trace-size %s is too little: the names of a program's stacks and sums for each take %s at least",
                   units_bytes((int64_t)settings.max_trace_bytes).text, units_bytes(TRACE_MIN_BOUND_BYTES).text);
    if (settings.rotate)
        settings.rotation = rotation_parse("attach", settings.rotate, settings.max_trace_bytes);
    char *library = library_find();
    if (inject_check(pid, library, &detail) != INJECT_DONE)
        fail_process("attach", pid, &detail);
    enum presence presence = find_presence(pid, library);
    pid_t children[MAX_CHILDREN];
    int child_count = process_family_children(pid, children, MAX_CHILDREN);
    char *output = settings.output ? run_output_prepare("attach", settings.output, settings.force) : default_output(pid);
    make_options(&settings, options, sizeof options);
    fill_settings(&request, options, output);
    check_result(pid, call_in_process("attach", pid, library, ATTACH_FUNCTION, &request, sizeof request));
    if (presence == PRESENCE_DETACHED)
        begin_again(pid, library, options, output, &answer);
    else
        await_collector(pid, library, output, &answer);
    printf("process %d is recorded from now on, into %s; 'heapline detach %d' ends it\n", (int)pid, paths_relative(answer.trace_path), (int)pid);
    if (presence == PRESENCE_NONE)
        say_children(children, child_count);
    free(output);
    free(library);
    return CLI_DONE;
}

/* ---- detach ---- */

struct detach_options {
    int unused;
};

static const struct option_spec detach_options[] = {{0}};

static int run_detach(int argc, char **argv)
{
    struct detach_options settings;
    struct control_answer answer;
    pid_t pid = collector_parse_pid(&detach_command, &settings, argc, argv);
    char *library = library_find();
    collector_ask("detach", pid, &(struct collector_question){.verb = CONTROL_STATUS}, &answer);
    int was_detached = collector_says(&answer, "detached=1");
    if (!was_detached)
        collector_ask("detach", pid, &(struct collector_question){.verb = CONTROL_DETACH, .patience_s = END_PATIENCE_S}, &answer);
    /* From here on nothing is recorded, whatever becomes of the hooks. */
    int result = call_in_process("detach", pid, library, DETACH_FUNCTION, NULL, 0);
    if (was_detached && result != DETACH_DONE)
        fail(CLI_SYSTEM, "detach: process %d was detached from already", (int)pid);
    if (was_detached)
        printf("process %d runs without the recorder's hooks again\n", (int)pid);
    else
        printf("process %d is no longer recorded; what was is in %s\n", (int)pid, paths_relative(answer.trace_path));
    free(library);
    return CLI_DONE;
}

#define ATTACH_STATUSES "0  done\n2  wrong usage, or PATH exists\n4  it can't be done; the message says why, and the process goes on as it was"

const struct command attach_command = {
    .name = "attach",
    .question = "record a process that runs already",
    .usage = "[OPTIONS] PID",
    .description = "Begins to record a process that was started without heapline. What was allocated before is not known: its deallocations "
                   "are not counted, and what is live is what has been allocated since.\n"
                   "One of its threads is interrupted for some milliseconds, at a moment when it is neither in the allocator nor in the loader; "
                   "it loads the recorder and goes on. No debugger is needed. A CPython from 3.14 on is asked to do that itself, and has a second "
                   "for it. Children that it forks are recorded too, each in PATH.PID; "
                   "other programs that they run are not.\n"
                   "A process that can't be attached to (static, in a container, confined, another user's …) is left alone, and the message "
                   "says why.",
    .examples = "heapline attach 4711\n"
                "heapline attach --sample 512K -o /tmp/server.heapline $(pidof server)\n"
                "heapline detach 4711\n"
                "heapline report /tmp/server.heapline",
    .statuses = ATTACH_STATUSES,
    .options = {attach_options},
    .run = run_attach,
};

const struct command detach_command = {
    .name = "detach",
    .question = "end the recording of an attached process",
    .usage = "PID",
    .description = "Ends the recording that 'heapline attach' began, and its trace. The process goes on as before it was attached to: its calls "
                   "no longer lead through the recorder, whose library stays loaded and does nothing. It can be attached to again, into another "
                   "trace.",
    .examples = "heapline detach 4711",
    .statuses = ATTACH_STATUSES,
    .options = {detach_options},
    .run = run_detach,
};
