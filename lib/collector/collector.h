/* The collector: drains the shared memory of one recorded process (the target) into a trace until the target is gone.
 *
 * Consumes a session (session.h), produces a trace file; starts a clone of itself for every forked child. Runs in a process of its own,
 * one thread. Allocates; without memory it gives up and tells the target so. */
#ifndef HEAPLINE_COLLECTOR_COLLECTOR_H
#define HEAPLINE_COLLECTOR_COLLECTOR_H

#include "control_server.h"
#include "definition_intake.h"
#include "event_stream.h"
#include "fork_server.h"
#include "live_blocks.h"
#include "object_intake.h"
#include "output_file.h"
#include "session.h"
#include "target_process.h"
#include "trace_writer.h"

/* From a start to the stop after it, in ns since the trace's start; end_ns 0: it goes on. */
struct recorded_span {
    uint64_t start_ns, end_ns;
};
#define COLLECTOR_MAX_SPANS 32

/* From when on which sampling interval was asked for. */
struct sampling_change {
    uint64_t time_ns, interval_bytes;
};

struct collector {
    struct session_header *session;
    int session_file;         /* its memfd: tells how much of the target's resident set is ours */
    int memory_file;          /* the target's memory (slot_table.h); -1: none */
    struct target_process target;
    struct output_file output;
    struct trace_identity identity;
    char base_path[OUTPUT_PATH_BYTES]; /* the run's PATH */
    struct trace_writer *writer;
    struct live_blocks blocks;
    struct definition_intake definitions;
    struct event_stream stream;
    struct fork_server forks;
    struct control_server control;
    struct object_intake objects;
    uint32_t span_count;
    struct recorded_span spans[COLLECTOR_MAX_SPANS];
    uint32_t change_count;
    struct sampling_change changes[COLLECTOR_MAX_SPANS];

    uint32_t quiet_parallel_drains; /* in a row, with at most one thread recording in a parallel epoch */
    uint64_t pause_ns;              /* how long to sleep before the next drain */
    uint64_t now_ns;                /* CLOCK_MONOTONIC at the current drain */
    uint64_t next_rss_ns, rss_written_ns, rss_bytes;
    uint64_t highest_rss_bytes, shared_at_highest_bytes; /* of all samples, the session's memory included; its share then */
    uint64_t next_housekeeping_ns, next_exec_check_ns, next_flush_ns;
    uint64_t flushed_events;        /* in the trace when it was last flushed here */
    uint32_t python_written, warnings_written, unrecorded_written; /* what the trace says already */
};

/* Take over a session, whose memfd has this inode number: open the target, create the trace, say that the collector runs. memory_file: the
 * target's memory, where it has a slot table; else -1. Returns 0 or an error of status.h. */
int collector_start(struct collector *collector, struct session_header *session, int session_file, uint64_t session_inode, int memory_file);

/* Until the target is gone or runs another program; writes the end. */
void collector_run(struct collector *collector);

/* Tell the target that nobody drains its rings any more, and wake all its threads that wait. */
void collector_give_up(struct session_header *session);

/* Serve an epilogue (epilogue.h) instead of a session. Returns 0 or an error of status.h. */
int collector_write_epilogue(int memfd);

/* ---- between collector.c and collector_*.c ---- */

/* Drain what is left, and write the end. */
void collector_finish(struct collector *collector, enum trace_end_reason reason);
/* Nothing is to be recorded from now on. */
void collector_pause(struct session_header *session);
/* From now on it is. */
void collector_resume(struct session_header *session);
/* Lead the calls of a target that has a slot table (slot_table.h) to the hooks before it is recorded, past them when it no longer is. 0: they
 * can't be led. (collector_slots.c) */
int collector_lead_slots(struct collector *collector, uint32_t lead);
int collector_is_detached(const struct collector *collector);
/* Serve CONTROL_DETACH; answers when the trace is whole. */
void collector_detach(struct collector *collector, struct control_answer *answer);
/* Serve CONTROL_ATTACH. */
enum control_result collector_attach(struct collector *collector, const char *argument, struct control_answer *answer);

/* Is the target recorded from the start of its trace? Says so in the trace where it isn't. */
void collector_begin_spans(struct collector *collector);
/* Which sampling interval is asked for where a trace begins, if another one than its header says. */
void collector_begin_changes(struct collector *collector);
/* Has the trace of a sample, or of what was one for a while, grown as large as it may? */
int collector_is_full(const struct collector *collector);
/* Record no more; the trace says why. */
void collector_stop(struct collector *collector, const char *reason);
/* Write all that was taken so far, and what a reader of it should know. */
void collector_write_out(struct collector *collector);
/* Events that could not be recorded, so far. */
uint64_t collector_lost_events(const struct collector *collector);
/* Serve CONTROL_SNAPSHOT; answers when it is done. */
void collector_snapshot(struct collector *collector, struct control_answer *answer);
/* Do what a command asks for, if one does. */
void collector_serve_control(struct collector *collector);
/* Take what has been recorded until now. (collector.c) */
void collector_catch_up(struct collector *collector);

/* Go on with the survey of the target's objects that is under way. */
void collector_serve_objects(struct collector *collector);

/* Write the traces of programs that were executed and aren't recorded; `target_execed`: the target itself runs another program. */
void collector_name_unrecorded(struct collector *collector, int target_execed);

/* How the session wants the trace in this file bounded: as trace_writer_rotate takes it, or without segments as trace_writer_bound. */
struct trace_rotate collector_bound(const struct session_header *session, const struct output_file *output);
/* Say in `identity` who is recorded in this session. */
void collector_identify(struct collector *collector);
/* What has been taken from the rings is the writer's now, and the rings have room for more. */
void collector_hand_over(struct collector *collector);
/* Tell the session where the trace is, for whoever must complete it when the collector was killed. */
void collector_tell_path(const struct collector *collector);
/* Let the target go on. */
void collector_announce(struct collector *collector);
/* Serve forks that are under way. Returns 1: none is any more; 0: call again. */
int collector_serve_forks(struct collector *collector);
/* Letters that come when nobody waits for them any more: their children go unrecorded. */
void collector_refuse_late_letters(struct collector *collector);

#endif
