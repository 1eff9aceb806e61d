/* Waits for the collector: see run_wait.h. */
#include "run_wait.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"
#include "run_output.h"
#include "trace_reader.h"

#define POLL_MS 5
#define MESSAGE_AFTER_MS 2000
#define STILL_FOR_MS 60000       /* without a byte written */
#define STARTING_FOR_MS 5000     /* a collector that has not begun its file */
#define ABSENT_FOR_MS 200        /* no collector seen */
#define COLLECTOR_COMM "heapline-collec" /* as the kernel cuts it */
#define ENVIRONMENT_BYTES (256 << 10)

/* 1: somebody holds the lock; 0: nobody; -1: there is no such file. */
static int is_locked(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    int locked = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(file);
    return locked;
}

static void pause_once(void)
{
    nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
}

/* ---- processes of the session ---- */

/* A buffer's worth of /proc/PID/environ; what can't be read (another user's, a zombie's) is empty. */
static ssize_t read_environment(const char *pid, char *buffer)
{
    char path[64];
    ssize_t used = 0, got;
    snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    while (used < ENVIRONMENT_BYTES && (got = read(file, buffer + used, (size_t)(ENVIRONMENT_BYTES - used))) > 0)
        used += got;
    close(file);
    return used;
}

static int is_collector(const char *pid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? 0 : read(file, name, sizeof name - 1);
    if (file >= 0)
        close(file);
    return got > 0 && !strncmp(name, COLLECTOR_COMM, strlen(COLLECTOR_COMM));
}

/* How many processes are alive whose environment has this entry? The collector has it from the program, even before it is a program of
 * its own. */
static int count_processes(const char *entry, int only_collectors)
{
    DIR *processes = opendir("/proc");
    char *buffer = memory_new(ENVIRONMENT_BYTES, 1);
    struct dirent *process;
    int count = 0;
    while (processes && (process = readdir(processes))) {
        if (!isdigit((unsigned char)process->d_name[0]) || (only_collectors && !is_collector(process->d_name)))
            continue;
        ssize_t bytes = read_environment(process->d_name, buffer);
        count += bytes > 0 && memmem(buffer, (size_t)bytes, entry, strlen(entry) + 1) != NULL;
    }
    if (processes)
        closedir(processes);
    free(buffer);
    return count;
}

static void session_entry(const char *session, char *out, size_t size)
{
    snprintf(out, size, "HEAPLINE_SESSION=%s", session);
}

/* ---- the trace ---- */

/* Fills what the trace says of itself. Returns whether it is the program's last one: an image that was replaced by exec leaves a trace
 * that ends so, and its successor's takes the path in a moment. */
static int inspect(const char *path, struct run_trace *trace)
{
    struct trace_reader *reader;
    struct stat status;
    if (stat(path, &status) || status.st_size == 0 || trace_reader_open(path, &reader, NULL))
        return 0;
    const struct trace_overview *overview = trace_reader_overview(reader);
    int is_last = !overview->has_end || overview->end.reason != TRACE_END_EXEC;
    trace->is_whole = overview->has_end;
    trace->file_bytes = (int64_t)overview->file_bytes;
    trace_reader_close(reader);
    return is_last;
}

static off_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) ? -1 : status.st_size;
}

void run_wait(const char *path, const char *session, struct run_trace *ret_trace)
{
    struct run_trace trace = {.state = RUN_TRACE_DONE};
    char entry[64];
    off_t size = -1;
    int still_ms = 0, starting_ms = 0, absent_ms = 0, told = 0;
    session_entry(session, entry, sizeof entry);
    for (int waited_ms = 0;; waited_ms += POLL_MS) {
        int locked = is_locked(path);
        if (locked != 1 && inspect(path, &trace))
            break;
        /* Nothing there, or not the last image's: a collector that is alive may still write it. In the midst of an exec its environment
         * cannot be read: ask more than once. */
        absent_ms = locked == 1 || count_processes(entry, 0) ? 0 : absent_ms + POLL_MS;
        if (absent_ms >= ABSENT_FOR_MS || starting_ms >= STARTING_FOR_MS)
            break;
        starting_ms += locked == 1 ? 0 : POLL_MS;
        still_ms = size_of(path) == size ? still_ms + POLL_MS : 0;
        size = size_of(path);
        if (still_ms >= STILL_FOR_MS)
            break;
        if (waited_ms >= MESSAGE_AFTER_MS && !told++)
            warn("the program has ended; waiting for the rest of its events to be written to '%s'", path);
        pause_once();
    }
    if (size_of(path) < 0)
        trace.state = RUN_TRACE_MISSING;
    else if (is_locked(path) == 1)
        trace.state = RUN_TRACE_BUSY;
    else
        inspect(path, &trace);
    *ret_trace = trace;
}

/* ---- the run's other processes ---- */

struct siblings {
    size_t base_length;
    int of_living, of_dead; /* traces that are being written, of processes that are alive or not */
};

static int is_alive(long pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    const char *name_end = got > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] && name_end[2] != 'Z' && name_end[2] != 'X';
}

static void count_sibling(const char *path, void *context)
{
    struct siblings *siblings = context;
    if (run_output_is_report(path) || is_locked(path) != 1)
        return;
    /* PATH.PID or PATH.PID.N */
    if (is_alive(strtol(path + siblings->base_length + 1, NULL, 10)))
        siblings->of_living++;
    else
        siblings->of_dead++;
}

int run_wait_others(const char *path, const char *session)
{
    struct siblings siblings;
    char entry[64];
    session_entry(session, entry, sizeof entry);
    for (int waited_ms = 0;; waited_ms += POLL_MS) {
        siblings = (struct siblings){.base_length = strlen(path)};
        run_output_each_sibling(path, count_sibling, &siblings);
        /* A collector that writes none of these files yet is about to begin one. */
        int starting = count_processes(entry, 1) > siblings.of_living + siblings.of_dead;
        if ((!siblings.of_dead && !starting) || waited_ms >= (siblings.of_dead ? STILL_FOR_MS : STARTING_FOR_MS))
            return siblings.of_living + siblings.of_dead;
        pause_once();
    }
}
