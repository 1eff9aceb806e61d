/* A trace of all until now, for whoever asks while the target runs: the part of collector.h that copies.
 *
 * The collector forks. Its copy holds, at no cost, exactly what a trace that ended now would be made from; it copies what the file has already,
 * writes what is still in memory and the end behind that, answers and is gone. The collector itself goes on at once. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "collector.h"
#include "trace_writer.h"

#define PIECE_BYTES (1u << 20)

/* Returns 0 or an errno. */
static int copy_by_hand(int from, int to, off_t offset, uint64_t bytes)
{
    static uint8_t piece[PIECE_BYTES];
    while (bytes) {
        ssize_t count = pread(from, piece, bytes < sizeof piece ? (size_t)bytes : sizeof piece, offset);
        if (count <= 0)
            return count ? errno : ESPIPE;
        ssize_t written = pwrite(to, piece, (size_t)count, offset);
        if (written <= 0)
            return written ? errno : ENOSPC;
        offset += written;
        bytes -= (uint64_t)written;
    }
    return 0;
}

/* The kernel may share the bytes instead, or refuse: between file systems, from a device. */
static int copy_trace(int from, int to, uint64_t bytes)
{
    off64_t in = 0, out = 0;
    while (bytes) {
        ssize_t count = copy_file_range(from, &in, to, &out, bytes, 0);
        if (count <= 0)
            return copy_by_hand(from, to, in, bytes);
        bytes -= (uint64_t)count;
    }
    return 0;
}

static int write_snapshot(struct collector *collector, int file, uint64_t time_ns)
{
    struct trace_end end = {.reason = TRACE_END_SNAPSHOT, .time_ns = time_ns};
    int error = copy_trace(collector->output.file, file, trace_writer_file_bytes(collector->writer));
    if (error)
        return error;
    trace_writer_redirect(collector->writer, file);
    return trace_writer_close(collector->writer, &end);
}

/* In the copy: nobody else may take it for the collector. */
static _Noreturn void run_copy(struct collector *collector, int file, struct control_answer *answer)
{
    struct stat about;
    uint64_t time_ns = collector->now_ns - collector->session->start_monotonic_ns;
    fork_server_done(&collector->forks);
    control_server_stop_listening(&collector->control);
    session_unmap(collector->session);
    collector->session = NULL;
    int error = write_snapshot(collector, file, time_ns);
    if (!error && fstat(file, &about) == 0)
        answer->trace_bytes = (uint64_t)about.st_size;
    answer->result = error ? CONTROL_REFUSED : CONTROL_DONE;
    if (error)
        snprintf(answer->text, sizeof answer->text, "cannot copy the trace: %s", strerror(error));
    control_server_answer(&collector->control, answer);
    _exit(0);
}

void collector_snapshot(struct collector *collector, struct control_answer *answer)
{
    int file = control_server_file(&collector->control);
    pid_t copy = -1;
    collector_write_out(collector);
    int error = file < 0 ? EBADF : trace_writer_failed(collector->writer);
    if (!error && (copy = fork()) == 0)
        run_copy(collector, file, answer);
    if (copy > 0) {
        control_server_hang_up(&collector->control);
        return;
    }
    answer->result = CONTROL_REFUSED;
    snprintf(answer->text, sizeof answer->text, "cannot copy the trace: %s", strerror(error ? error : errno));
    control_server_answer(&collector->control, answer);
}
