/* Programs that the target or its children executed and that nobody records: each gets a trace that says so, and nothing else. So it is found
 * with the other processes of the run, by name and session, whichever process executed it. A part of collector.h. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "collector.h"
#include "process_properties.h"

static const char *const reasons[] = {
    [UNRECORDED_STATIC] = "statically linked",
    [UNRECORDED_PRIVILEGED] = "setuid, setgid or with capabilities",
    [UNRECORDED_32_BIT] = "a 32-bit program",
    [UNRECORDED_FOREIGN] = "built for another processor",
    [UNRECORDED_FOREIGN_LIBC] = "built for musl",
    [UNRECORDED_ENVIRONMENT] = "started without the recorder in its environment",
};

static void write_trace(const struct collector *collector, const struct session_unrecorded *note)
{
    const struct session_header *session = collector->session;
    int is_target = note->pid == session->pid;
    uint64_t since_start_ns = note->realtime_ns > session->start_realtime_ns ? note->realtime_ns - session->start_realtime_ns : 0;
    struct trace_identity identity = {
        .session_id = session->session_id,
        .start_monotonic_ns = session->start_monotonic_ns + since_start_ns,
        .start_realtime_ns = note->realtime_ns,
        .pid = note->pid,
        .parent_pid = is_target ? session->parent_pid : session->pid,
        .flags = is_target ? TRACE_EXECED : 0,
    };
    struct output_file output;
    struct trace_writer *writer;
    char path[SESSION_UNRECORDED_PATH_BYTES];
    if (output_file_create_aside(&output, collector->base_path, &identity) != 0)
        return;
    if (trace_writer_open(output.file, &identity, &writer) == 0) {
        memcpy(path, note->path, sizeof path);
        path[sizeof path - 1] = 0;
        process_property_put(writer, "command", path);
        process_property_put(writer, "executable", path);
        process_property_put(writer, "unrecorded", reasons[note->reason]);
        process_property_put(writer, "heapline", HEAPLINE_VERSION);
        trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_UNKNOWN});
    }
    output_file_close(&output);
}

/* Does a child that had the target's memory run a program of its own by now? */
static int has_execed(const struct collector *collector, uint32_t pid)
{
    struct target_process process;
    struct stat session;
    if (fstat(collector->session_file, &session) != 0)
        return 0;
    target_process_open(&process, (int)pid, -1, session.st_ino);
    int has = process.was_another || process.maps_file < 0 || target_process_wait(&process, 0);
    target_process_close(&process);
    return has;
}

void collector_name_unrecorded(struct collector *collector, int target_execed)
{
    struct session_header *session = collector->session;
    for (uint32_t i = 0; i < SESSION_UNRECORDED_NOTES; i++) {
        struct session_unrecorded *note = &session->unrecorded[i];
        uint32_t state = atomic_load(&note->state);
        if (state != NOTE_PENDING && state != NOTE_CERTAIN)
            continue;
        if (state == NOTE_PENDING && !(note->pid == session->pid ? target_execed : has_execed(collector, note->pid)))
            continue;
        /* Taken back in this instant, it is nobody's. */
        if (!atomic_compare_exchange_strong(&note->state, &state, NOTE_BEING_WRITTEN))
            continue;
        if (note->reason < ARRAY_LENGTH(reasons) && reasons[note->reason])
            write_trace(collector, note);
        atomic_store(&note->state, NOTE_FREE);
    }
}
