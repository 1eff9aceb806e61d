/* The memory that a recorded process (the target) shares with its collector process.
 *
 * One memfd a process image. The target creates it, the collector maps it; both sides address it by offsets only.
 * It outlives a killed target, so no completed event is ever lost.
 *
 *   header | thread slots | definition ring | ring space | survey and its ring
 *
 * Vocabulary
 *   thread slot   what one recorded thread shares: its cursor into its ring, and how far the collector has drained it
 *   ring          a power of two of 64-bit words in the ring space; filled by one thread, drained by the collector
 *   definition    what events refer to by number: code objects, stack nodes, modules, thread names
 *   epoch         a number from one global order; all events of a RUN share it (docs/architecture.md, "Order")
 *
 * Nothing here allocates. Fields are written by the side named in the comment. */
#ifndef HEAPLINE_COMMON_SESSION_H
#define HEAPLINE_COMMON_SESSION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"
#include "survey.h"

#define SESSION_MAGIC 0x31534e4c50414548ull /* "HEAPLNS1" */
#define SESSION_VERSION 7

#define SESSION_MEMFD_NAME "heapline-session"
#define SESSION_MAX_THREADS 4096
#define SESSION_DEFINITION_BYTES (2u << 20)
#define SESSION_RING_SPACE_BYTES (48u << 20)
#define SESSION_FIRST_RING_BYTES (64u << 10)
#define SESSION_MAX_RING_BYTES (4u << 20)
/* Copies below it are only counted: an interpreter makes millions of copies of a few bytes. Of 16.8 million in a JSON run 11,069 are
 * of 32 bytes and more; in a TF-IDF batch 1.8 million, which hold 99 % of the bytes. */
#define SESSION_COPY_THRESHOLD_BYTES 32
#define SESSION_PATH_BYTES 4096
#define SESSION_OPTIONS_BYTES 1024
#define SESSION_UNRECORDED_NOTES 64
#define SESSION_UNRECORDED_PATH_BYTES 1000

/* ---- the order word ---------------------------------------------------------------------------------------------
 * owner in the low 16 bits, epoch above. Every change is a compare-and-swap that adds one to the epoch.
 *   owner = thread slot + 1   that thread alone has been recording in this epoch: it needs no stamps
 *   owner = 0                 nobody; the next event of any thread claims it
 *   owner = ORDER_PARALLEL    several threads record at once: each stamps its events with the clock
 *   owner = ORDER_PAUSED      nothing is to be recorded (paused, stopped, or the collector is gone)
 *   owner = ORDER_LOST        the collector was killed: what would have been recorded is only counted */
#define ORDER_PARALLEL 0xffffu
#define ORDER_PAUSED 0xfffeu
#define ORDER_LOST 0xfffdu
#define ORDER_WORD(epoch, owner) ((uint64_t)(epoch) << 16 | (owner))
#define ORDER_EPOCH(word) ((word) >> 16)
#define ORDER_OWNER(word) ((uint32_t)((word) & 0xffff))

enum session_collector_state {
    COLLECTOR_STARTING = 0,
    COLLECTOR_RUNNING = 1,
    COLLECTOR_GONE = 2, /* it will drain no more: the target stops recording and counts what it drops */
};

enum session_flag {
    SESSION_NATIVE = 1 << 0,
    SESSION_COPIES = 1 << 1,
    SESSION_FOLLOW = 1 << 2,
    SESSION_PAUSED = 1 << 3,     /* began paused */
    SESSION_FORCE = 1 << 4,      /* overwrite an existing output */
    SESSION_FORKED = 1 << 5,     /* begins with the parent's live set */
    SESSION_ATTACHED = 1 << 6,   /* the library came into a running process */
    SESSION_LATER = 1 << 7,      /* another process of the run has the trace at its path: nobody waits for this one's */
};

enum session_exit_kind {
    EXIT_NONE = 0,    /* no word from the target: still running, or killed */
    EXIT_CALLED = 1,  /* exit, return from main, _exit or quick_exit; exit_status is valid */
    EXIT_EXEC = 2,    /* an exec is under way; taken back when it fails */
};

/* Why a program that the target, or a child of it that has its memory, is about to execute will not be recorded. */
enum unrecorded_reason {
    UNRECORDED_NOT = 0,
    UNRECORDED_STATIC,       /* no dynamic loader */
    UNRECORDED_PRIVILEGED,   /* setuid, setgid or file capabilities: the loader ignores LD_PRELOAD */
    UNRECORDED_32_BIT,
    UNRECORDED_FOREIGN,      /* for another processor */
    UNRECORDED_FOREIGN_LIBC, /* its loader is not glibc's */
    UNRECORDED_ENVIRONMENT,  /* it gets an environment that doesn't name the recorder */
};

enum unrecorded_state {
    NOTE_FREE = 0,
    NOTE_BEING_WRITTEN,
    NOTE_PENDING, /* the exec is under way; taken back when it fails */
    NOTE_CERTAIN, /* the program runs, or ran */
};

struct session_unrecorded {
    _Atomic uint32_t state; /* enum unrecorded_state; the collector makes it free again */
    uint32_t pid;
    uint32_t reason;        /* enum unrecorded_reason */
    uint32_t reserved;
    uint64_t realtime_ns;
    char path[SESSION_UNRECORDED_PATH_BYTES]; /* NUL-terminated, cut */
};

struct session_thread {
    /* written by the thread */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t cursor; /* where it will write next: word offset from the session's start */
    _Atomic uint64_t lost_events;                      /* events of this slot that could not be recorded */
    _Atomic uint64_t small_copies;                     /* copies below the threshold: counted, not attributed */
    _Atomic uint64_t small_copied_bytes;
    _Atomic uint32_t generation;                       /* raised by one whenever a new thread takes the slot; 0: never used */
    _Atomic uint32_t thread_id;                        /* kernel's tid */
    uint64_t first_ring;                               /* word offset of the ring the first thread of the slot began with; its first
                                                          event is there. Later threads of the slot go on where the last one ended. */
    uint64_t first_ring_words;
    /* written by the collector */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t drained; /* word offset up to which the ring's words have been taken */
    _Atomic uint32_t space_futex;                       /* raised and woken whenever drained moved while waiting was set */
    _Atomic uint32_t waiting;                           /* written by the thread: it sleeps on space_futex */
};

struct session_header {
    uint64_t magic;
    uint32_t version;
    uint32_t flags;              /* enum session_flag */
    uint64_t total_bytes;
    uint64_t session_id;         /* random; the same for all processes of a `run` */
    uint32_t pid;
    uint32_t parent_pid;
    uint64_t start_ticks;        /* clock_ticks() and CLOCK_MONOTONIC, CLOCK_REALTIME read together, in ns */
    uint64_t start_monotonic_ns;
    uint64_t start_realtime_ns;
    uint64_t sampling_interval_bytes; /* what the session began with; 0: every event */
    uint64_t sampling_seed;
    uint64_t copy_threshold_bytes;
    uint64_t max_trace_bytes;         /* 0: no bound */
    uint64_t rotate_bytes, rotate_ns; /* length of a segment of a rotated trace; both 0: it isn't rotated */
    uint32_t native_check_interval;   /* compare one native stack in so many with libunwind's; 0: none */
    uint32_t python_version;     /* 0x030b for 3.11; 0: no Python found yet. Written by the target, whenever it finds one */
    uint32_t python_flags;       /* enum session_python_flag */
    uint32_t warnings;           /* enum session_warning; written by the target */
    uint32_t arena_object_bytes; /* target: objects of fewer bytes belong to pymalloc's arenas, wherever they lie; 0: those that lie there */
    char output_path[SESSION_PATH_BYTES];  /* as the user gave it; empty: PROGRAM.PID.heapline */
    char options[SESSION_OPTIONS_BYTES];
    char executable[SESSION_PATH_BYTES];   /* what /proc/PID/exe said at the start: a short-lived process is gone when the collector looks */
    char arguments[SESSION_PATH_BYTES];    /* the same of /proc/PID/cmdline: NUL-terminated strings, cut after arguments_bytes */
    uint32_t arguments_bytes;
    char fork_socket[108];       /* written by the collector before COLLECTOR_RUNNING: abstract address (without the leading NUL) */
    uint64_t fork_secret;        /* the same: who knows it has this memory, whatever user it has become */
    char control_socket[108];    /* the same (control.h) */
    char trace_path[SESSION_PATH_BYTES];   /* the same: absolute; empty: there is none yet, or nothing can be written behind it */
    uint64_t slots_address;      /* target: where its slot table is (slot_table.h), which its collector has been given a file to reach; 0: none */
    struct session_unrecorded unrecorded[SESSION_UNRECORDED_NOTES]; /* target */

    alignas(CACHE_LINE_BYTES) _Atomic uint64_t order; /* both: read on every event, written when the recording thread changes */
    alignas(CACHE_LINE_BYTES) _Atomic uint32_t collector_wake; /* futex: the collector sleeps on it, the target raises and wakes it */
    _Atomic uint32_t collector_state;
    _Atomic uint32_t collector_pid;       /* collector: lets the target find out that it was killed */
    _Atomic uint32_t thread_slots_used;   /* target: slots below this index have been used */
    _Atomic uint32_t recording;           /* 1: events are wanted; 0: paused */
    _Atomic uint32_t survey_state;        /* enum survey_state (survey.h) */
    _Atomic uint32_t detached;            /* collector: 1: paused, and there is no trace; forks are not followed */
    _Atomic uint32_t definitions_closed;  /* collector: the trace has no room for more of them; the target makes none */
    _Atomic uint32_t slots_lead;          /* collector: enum slots_lead, where there is a slot table */
    _Atomic uint64_t sampling_wanted_bytes; /* collector: the interval that is wanted now; each thread says in its ring from where on it follows */
    alignas(CACHE_LINE_BYTES) _Atomic uint32_t fork_freeze; /* target: forks begun and not yet cloned; while non-zero the collector takes no new events */
    _Atomic uint32_t fork_sequence;
    _Atomic uint32_t exit_kind;  /* enum session_exit_kind */
    _Atomic int32_t exit_status;
    _Atomic uint64_t peak_rss_bytes;      /* target: its largest resident set, the session's memory included, when it said goodbye; 0: it didn't */
    _Atomic uint64_t lost_events;         /* by threads that have no slot, and by all once the collector was killed */
    _Atomic uint64_t handed_events;       /* collector: taken from the rings and given to the trace writer */
    _Atomic uint32_t unrecorded_dropped;  /* target: notes for which there was no room */
    _Atomic uint64_t lost_definitions;
    _Atomic uint64_t unsafe_stacks;       /* stacks that could not be read and were recorded as cut or empty */
    _Atomic uint64_t native_checks;       /* native stacks that were compared with libunwind's … */
    _Atomic uint64_t native_differences;  /* … and were others */

    alignas(CACHE_LINE_BYTES) _Atomic uint64_t definition_head; /* target: bytes ever written */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t definition_tail; /* collector: bytes ever taken */
    _Atomic uint32_t definition_futex;
};

enum session_warning {
    WARNING_MALLOC_NOT_OURS = 1, /* malloc resolves to another library's: an allocator is preloaded before us or linked statically */
};

enum session_python_flag {
    PYTHON_STACKS_OFF = 1,      /* layout not recognised: Python lines can't be given */
    PYTHON_FREE_THREADED = 2,
};

#define SESSION_ALIGN(n) (((n) + 4095ul) & ~4095ul)
#define SESSION_THREADS_PLACE 0x340ul /* in its page: not its start (lib/capture/pages.h, enum page_place) */
#define SESSION_THREADS_OFFSET (SESSION_ALIGN(sizeof(struct session_header)) + SESSION_THREADS_PLACE)
#define SESSION_DEFINITIONS_OFFSET SESSION_ALIGN(SESSION_THREADS_OFFSET + SESSION_MAX_THREADS * sizeof(struct session_thread))
#define SESSION_RINGS_OFFSET (SESSION_DEFINITIONS_OFFSET + SESSION_DEFINITION_BYTES)
#define SESSION_SURVEY_OFFSET (SESSION_RINGS_OFFSET + SESSION_RING_SPACE_BYTES)
#define SESSION_SURVEY_RING_OFFSET (SESSION_SURVEY_OFFSET + SESSION_ALIGN(sizeof(struct survey)))
#define SESSION_TOTAL_BYTES (SESSION_SURVEY_RING_OFFSET + SURVEY_RING_WORDS * 8ul)

/* ---- definitions ------------------------------------------------------------------------------------------------
 * Records in the definition ring: 8-byte aligned, never straddling its end (DEFINE_PAD fills what is left over).
 * A definition is complete before any event that refers to it is visible. Strings are not NUL-terminated. */
enum definition_type {
    DEFINE_PAD = 1,
    DEFINE_CODE,       /* struct define_code, file name bytes, qualified name bytes */
    DEFINE_CODE_TABLE, /* struct define_code_table, a piece of the line table */
    DEFINE_NODE,       /* struct define_node */
    DEFINE_MODULE,     /* struct define_module, build id bytes, path bytes */
    DEFINE_THREAD,     /* struct define_thread, name bytes */
};

struct definition {
    uint32_t bytes; /* of the whole record, this header included, before rounding up to 8 */
    uint32_t type;  /* enum definition_type */
};

struct define_code {
    uint32_t code_id;        /* from 1 */
    int32_t first_line;
    uint32_t file_bytes;
    uint32_t name_bytes;
    uint32_t table_bytes;    /* of the whole line table; its pieces follow */
    uint32_t python_version; /* tells the table's format */
};

struct define_code_table {
    uint32_t code_id;
    uint32_t offset; /* of this piece in the table */
};

/* A stack is a node: the innermost frame, and the node of its caller. Node 0 is the empty stack. Ids count up from 1. */
struct define_node {
    uint32_t node_id;
    uint32_t parent_id;
    uint32_t code_id;      /* 0: a native frame. DEFINE_NODE_CUT: the frames above (outward of) this one are unknown */
    int32_t instruction;   /* Python: the offset in code that the line table of that version wants */
    uint64_t address;      /* native: a return address in the target */
    uint32_t module_id;    /* native: the module that holds it, 0: none */
    uint32_t reserved;
};
#define DEFINE_NODE_CUT 0xffffffffu

struct define_module {
    uint32_t module_id; /* from 1 */
    uint32_t build_id_bytes;
    uint32_t path_bytes;
    uint32_t reserved;
    uint64_t load_bias; /* run-time address minus the address in the file */
    uint64_t start, end;
};

struct define_thread {
    uint32_t slot;
    uint32_t generation;
    uint32_t thread_id;
    uint32_t name_bytes;
};

/* ---- fork ------------------------------------------------------------------------------------------------------
 * The forked child sends this to fork_socket, with its own session's memfd as ancillary data, and a file of its memory where that has a
 * slot table, followed by
 * thread_count cursors (the value of each slot's cursor at the instant of the fork). */
struct session_fork_message {
    uint32_t sequence; /* the parent's fork_sequence after it was raised for this fork */
    uint32_t child_pid;
    uint32_t thread_count;
    uint32_t node_count; /* definitions up to here were complete at the fork */
    uint64_t definition_head;
    uint64_t secret; /* the parent's fork_secret */
};

HOT_INLINE struct session_thread *session_threads(struct session_header *session)
{
    return (struct session_thread *)((char *)session + SESSION_THREADS_OFFSET);
}

static inline struct survey *session_survey(struct session_header *session)
{
    return (struct survey *)((char *)session + SESSION_SURVEY_OFFSET);
}

static inline uint64_t *session_survey_ring(struct session_header *session)
{
    return (uint64_t *)((char *)session + SESSION_SURVEY_RING_OFFSET);
}

HOT_INLINE uint64_t *session_words(struct session_header *session)
{
    return (uint64_t *)session;
}

#endif
