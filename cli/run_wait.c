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

#include "message.h"
#include "trace_reader.h"

#define POLL_MS 5
#define MESSAGE_AFTER_MS 2000
#define STILL_FOR_MS 60000       /* without a byte written */
#define STARTING_FOR_MS 5000     /* a collector that has not begun its file */
#define ABSENT_FOR_MS 200        /* no collector seen */
#define ENVIRONMENT_BYTES (256 << 10)

int run_wait_is_locked(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    int locked = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(file);
    return locked;
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

/* Is a process alive whose environment has this entry? The collector has it from the program, even before it is a program of its own. */
static int session_is_alive(const char *entry)
{
    DIR *processes = opendir("/proc");
    char *buffer = malloc(ENVIRONMENT_BYTES);
    struct dirent *process;
    int found = 0;
    if (!buffer)
        abort();
    while (!found && processes && (process = readdir(processes))) {
        if (!isdigit((unsigned char)process->d_name[0]))
            continue;
        ssize_t bytes = read_environment(process->d_name, buffer);
        found = bytes > 0 && memmem(buffer, (size_t)bytes, entry, strlen(entry) + 1) != NULL;
    }
    if (processes)
        closedir(processes);
    free(buffer);
    return found;
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
    trace->event_count = (int64_t)overview->event_count;
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
    snprintf(entry, sizeof entry, "HEAPLINE_SESSION=%s", session);
    for (int waited_ms = 0;; waited_ms += POLL_MS) {
        int locked = run_wait_is_locked(path);
        if (locked != 1 && inspect(path, &trace))
            break;
        /* Nothing there, or not the last image's: a collector that is alive may still write it. In the midst of an exec its environment
         * cannot be read: ask more than once. */
        absent_ms = locked == 1 || session_is_alive(entry) ? 0 : absent_ms + POLL_MS;
        if (absent_ms >= ABSENT_FOR_MS || starting_ms >= STARTING_FOR_MS)
            break;
        starting_ms += locked == 1 ? 0 : POLL_MS;
        still_ms = size_of(path) == size ? still_ms + POLL_MS : 0;
        size = size_of(path);
        if (still_ms >= STILL_FOR_MS)
            break;
        if (waited_ms >= MESSAGE_AFTER_MS && !told++)
            warn("the program has ended; waiting for the rest of its events to be written to '%s'", path);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
    }
    if (size_of(path) < 0)
        trace.state = RUN_TRACE_MISSING;
    else if (run_wait_is_locked(path) == 1)
        trace.state = RUN_TRACE_BUSY;
    else
        inspect(path, &trace);
    *ret_trace = trace;
}
