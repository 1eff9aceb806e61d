/* heapline run: a program under the recorder. Its input, output, exit status and signals are its own; the report comes at its end. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "library.h"
#include "message.h"
#include "paths.h"
#include "report.h"
#include "rotation.h"
#include "run_actions.h"
#include "run_child.h"
#include "run_output.h"
#include "run_target.h"
#include "run_wait.h"
#include "trace_event.h"
#include "units.h"

struct run_settings {
    const char *output, *python, *module, *code, *rotate;
    const char *snapshot_signal, *start_signal, *stop_signal;
    int native, copies, follow, paused, force, quiet;
    uint64_t copy_threshold_bytes, max_trace_bytes, sampling_interval_bytes; /* NOT_GIVEN: the recorder's own */
    int64_t native_check_interval; /* 0: no checks */
};
#define NOT_GIVEN UINT64_MAX
#define FULL_DISK_BYTES (1u << 20) /* a block of the trace, which fitted only in part */

static const struct option_spec run_options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(struct run_settings, output), 0, "PATH",
     "write the trace to PATH (default: PROGRAM.PID.heapline in the current directory)"},
    {"force", 'f', OPTION_SET, offsetof(struct run_settings, force), 1, NULL, "overwrite PATH, and the traces of its run"},
    {NULL, 'm', OPTION_LAST, offsetof(struct run_settings, module), 0, "MODULE", "run a Python module, as python3 -m does"},
    {NULL, 'c', OPTION_LAST, offsetof(struct run_settings, code), 0, "CODE", "run Python code"},
    {"python", 0, OPTION_TEXT, offsetof(struct run_settings, python), 0, "EXE", "the interpreter for scripts, -m and -c (default: python3)"},
    {"native", 0, OPTION_SET, offsetof(struct run_settings, native), 1, NULL, "record native frames too (C, C++, Rust …)"},
    {"check-native", 0, OPTION_COUNT, offsetof(struct run_settings, native_check_interval), 0, "N",
     "with --native: compare one stack in N with a full walk by libunwind, and report how many differed"},
    {"copies", 0, OPTION_SET, offsetof(struct run_settings, copies), 1, NULL, "record copied bytes (the default)"},
    {"no-copies", 0, OPTION_SET, offsetof(struct run_settings, copies), 0, NULL, "don't"},
    {"copy-threshold", 0, OPTION_BYTES, offsetof(struct run_settings, copy_threshold_bytes), 0, "BYTES",
     "only count copies smaller than this, without their stacks"},
    {"follow", 0, OPTION_SET, offsetof(struct run_settings, follow), 1, NULL, "record child processes too (the default)"},
    {"no-follow", 0, OPTION_SET, offsetof(struct run_settings, follow), 0, NULL, "don't"},
    {"sample", 0, OPTION_BYTES, offsetof(struct run_settings, sampling_interval_bytes), 0, "BYTES",
     "record a sample, one block in so many bytes on average (512K); figures are then estimates"},
    {"paused", 0, OPTION_SET, offsetof(struct run_settings, paused), 1, NULL,
     "record nothing until 'heapline start PID' says so; costs next to nothing"},
    {"max-trace-size", 0, OPTION_BYTES, offsetof(struct run_settings, max_trace_bytes), 0, "BYTES",
     "bound the trace, and that of each child: when it has grown so large, events are added up instead of listed. Peak, totals, copies and "
     "what is live at the end stay exact; 0: no bound"},
    {"rotate", 0, OPTION_TEXT, offsetof(struct run_settings, rotate), 0, "SIZE|TIME",
     "record for ever: what happened last is listed event by event, in segments of this size (64M) or time (10min, 1h); when --max-trace-size "
     "(default 1G) is reached, the oldest segment is added up to make room"},
    {"snapshot-signal", 0, OPTION_TEXT, offsetof(struct run_settings, snapshot_signal), 0, "SIGNAL",
     "when 'heapline run' gets this signal (USR2), make a snapshot instead of passing it on to the program"},
    {"start-signal", 0, OPTION_TEXT, offsetof(struct run_settings, start_signal), 0, "SIGNAL", "the same for 'heapline start'"},
    {"stop-signal", 0, OPTION_TEXT, offsetof(struct run_settings, stop_signal), 0, "SIGNAL", "the same for 'heapline stop'"},
    {"quiet", 'q', OPTION_SET, offsetof(struct run_settings, quiet), 1, NULL, "no report at the end"},
    {0},
};

/* HEAPLINE_OPTIONS, as the recorder reads it. */
static void make_options(const struct run_settings *settings, char *out, size_t size)
{
    int used = snprintf(out, size, "%s,%s%s%s%s", settings->copies ? "copies" : "no-copies", settings->follow ? "follow" : "no-follow",
                        settings->native ? ",native" : "", settings->paused ? ",paused" : "", settings->force ? ",force" : "");
    if (settings->copy_threshold_bytes != NOT_GIVEN)
        used += snprintf(out + used, size - (size_t)used, ",copy-threshold=%llu", (unsigned long long)settings->copy_threshold_bytes);
    if (settings->sampling_interval_bytes != NOT_GIVEN)
        used += snprintf(out + used, size - (size_t)used, ",sample=%llu", (unsigned long long)settings->sampling_interval_bytes);
    if (settings->native_check_interval)
        used += snprintf(out + used, size - (size_t)used, ",check-native=%lld", (long long)settings->native_check_interval);
    if (settings->max_trace_bytes != NOT_GIVEN)
        used += snprintf(out + used, size - (size_t)used, ",max-trace-size=%llu", (unsigned long long)settings->max_trace_bytes);
    if (settings->rotate)
        snprintf(out + used, size - (size_t)used, ",rotate=%s", settings->rotate);
}

static void parse_actions(const struct run_settings *settings)
{
    const struct run_action actions[] = {
        {"snapshot", "snapshot-signal", settings->snapshot_signal},
        {"start", "start-signal", settings->start_signal},
        {"stop", "stop-signal", settings->stop_signal},
    };
    run_actions_parse(actions, sizeof actions / sizeof *actions);
}

/* A number of its own for every run, the same in the traces of all its processes. */
static void make_session(char *out, size_t size)
{
    uint64_t id = 0;
    while (id == 0)
        if (getrandom(&id, sizeof id, 0) != sizeof id)
            id = (uint64_t)getpid() << 32 | (uint32_t)time(NULL);
    snprintf(out, size, "%016llx", (unsigned long long)id);
}

static void check_settings(const struct run_settings *settings, int operand_count)
{
    if (!operand_count && !settings->module && !settings->code)
        fail_usage("run", "run: which program? Give an executable, a script.py, -m MODULE or -c CODE");
    if (settings->max_trace_bytes && settings->max_trace_bytes < TRACE_MIN_BOUND_BYTES)
        fail_usage("run", "run: --max-trace-size %s is too little: the names of a program's stacks and sums for each take %s at least",
                   units_bytes((int64_t)settings->max_trace_bytes).text, units_bytes(TRACE_MIN_BOUND_BYTES).text);
    if (settings->rotate)
        rotation_parse("run", settings->rotate, settings->max_trace_bytes);
}

/* ---- after the program ---- */

/* In a process of its own: whatever happens to the report, the exit status stays the program's. */
static void print_report(const char *output)
{
    fflush(NULL);
    pid_t reporter = fork();
    if (reporter == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        fputc('\n', stderr);
        int status = report_print(output, stderr);
        fflush(stderr);
        _exit(status);
    }
    while (reporter > 0 && waitpid(reporter, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void explain_missing_trace(const char *library)
{
    warn("no trace was written: the recorder (%s) was not loaded into the program, or could not start its collector. "
         "A program that clears LD_PRELOAD, drops privileges before it starts, or is confined (seccomp) cannot be recorded", library);
}

/* What the trace's end says of the recording itself. */
static void explain_trace(const char *output, const struct run_trace *trace)
{
    struct statvfs disk;
    if (trace->state == RUN_TRACE_BUSY)
        warn("'%s' is still being written, but nothing has happened for a minute: what it holds so far can be read", output);
    else if (!trace->is_whole && statvfs(output, &disk) == 0 && disk.f_bavail * disk.f_frsize < FULL_DISK_BYTES)
        warn("no space was left on the disk of '%s': the trace ends where it was full", output);
}

static void print_open_children(const char *output, int count)
{
    if (count == 1)
        fprintf(stderr, "1 child process of the run is still running; its trace, %s.PID, grows until it ends.\n", output);
    else if (count)
        fprintf(stderr, "%d child processes of the run are still running; their traces, %s.PID, grow until they end.\n", count, output);
}

static void finish_trace(const struct run_settings *settings, const char *output, const char *session, const char *library)
{
    struct run_trace trace;
    run_wait(output, session, &trace);
    if (trace.state == RUN_TRACE_MISSING) {
        explain_missing_trace(library);
        return;
    }
    int open_count = settings->follow ? run_wait_others(output, session) : 0;
    if (!settings->quiet) {
        /* As short as it was given: the report's last lines are to be typed again. */
        const char *shown = settings->output ? settings->output : paths_base(output);
        print_report(shown);
        fprintf(stderr, "\nTrace: %s (%s)\n", shown, units_bytes(trace.file_bytes).text);
        print_open_children(shown, open_count);
    }
    explain_trace(output, &trace);
}

static int run_run(int argc, char **argv)
{
    struct run_settings settings = {.copies = 1, .follow = 1, .copy_threshold_bytes = NOT_GIVEN, .max_trace_bytes = NOT_GIVEN,
                                    .sampling_interval_bytes = NOT_GIVEN};
    struct run_target target;
    char options[256], session[17];
    int operand_count = options_parse(&run_command, &settings, argc, argv, OPTIONS_FIRST);
    check_settings(&settings, operand_count);
    parse_actions(&settings);
    argv[1 + operand_count] = NULL;
    run_target_find(&(struct run_request){settings.python, settings.module, settings.code, argv + 1}, &target);
    char *library = library_find();
    char *output = run_output_prepare("run", settings.output, settings.force);
    make_options(&settings, options, sizeof options);
    make_session(session, sizeof session);
    pid_t child = run_child_start(target.path, target.arguments,
                                  &(struct run_environment){library, output, target.name, options, session});
    run_child_await(child);
    if (!output)
        output = run_output_default("run", target.name, child);
    finish_trace(&settings, output, session, library);
    int wait_status = run_child_reap(child);
    free(output);
    free(library);
    run_target_done(&target);
    run_child_end_like(wait_status);
}

const struct command run_command = {
    .name = "run",
    .question = "run a program under the recorder",
    .usage = "[OPTIONS] [--] PROGRAM [ARG…]\n"
             "heapline run [OPTIONS] script.py [ARG…]\n"
             "heapline run [OPTIONS] -m MODULE [ARG…]\n"
             "heapline run [OPTIONS] -c CODE [ARG…]",
    .description = "Runs a program and records every allocation it makes: of C and C++ code, and of Python objects with the line that made them. "
                   "The program's input, output, exit status and signals are its own; the report goes to stderr when it ends.\n"
                   "Child processes are recorded too, each in PATH.PID; commands find them from PATH.",
    .examples = "heapline run train.py --epochs 3\n"
                "heapline run -o app.heapline --force ./app input.txt\n"
                "heapline run -m pytest tests/\n"
                "heapline run --no-copies --quiet -o /tmp/job.heapline -- python3.12 job.py\n"
                "LD_PRELOAD=.../libheapline.so HEAPLINE_OUTPUT=app.heapline ./app    # without this command",
    .statuses = "as the program's own (killed by a signal: the same signal). Where it was not started:\n"
                "2  wrong usage, no such program, or PATH exists\n"
                "4  the system refused: PROGRAM or PATH is not accessible, or PROGRAM cannot be recorded",
    .options = {run_options},
    .run = run_run,
};
