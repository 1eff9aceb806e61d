/* What a trace says, once decoded: the vocabulary between the collector (which encodes it) and the replay.
 *
 * Addresses are gone: a live block is a *slot*, a small number that encoder and decoder assign by the same rule, so
 * that the live set is an array on both sides. All events of a process are in one total order. */
#ifndef HEAPLINE_TRACE_TRACE_EVENT_H
#define HEAPLINE_TRACE_TRACE_EVENT_H

#include <stddef.h>
#include <stdint.h>

enum trace_event_kind {
    TRACE_ALLOCATE,   /* slot (just assigned), size_bytes, stack_id, flags */
    TRACE_FREE,       /* slot: its contents may still be read from the slot table until the next decode call; flags;
                         stack_id and size_bytes are the block's */
    TRACE_SHRINK,     /* slot, size_bytes, stack_id: a partial munmap took so many bytes of a mapping that stays live */
    TRACE_COPY,       /* size_bytes, stack_id: bytes copied by memcpy and its kin */
    TRACE_UNDO_FREE,  /* slot (just assigned again), size_bytes, stack_id, flags: a realloc failed, the block freed before it is
                         live again; its deallocation is to be taken back */
    TRACE_TIME,       /* time_ns: what follows happened at or after it (CLOCK_MONOTONIC since the trace's start);
                         never runs backwards */
    TRACE_THREAD,     /* thread_id (index into the thread definitions): what follows was done by it */
    TRACE_RSS,        /* size_bytes: resident set of the process at the current time */
    TRACE_LOST,       /* size_bytes: events lost so far, in total */
    TRACE_SMALL_COPIES, /* size_bytes and count: copies below the threshold so far, in total */
    TRACE_UNKNOWN_FREES, /* count: frees so far of addresses that were not live (allocated before recording began) */
    TRACE_SAMPLING,   /* size_bytes: the interval by which the current thread samples from here on; 0: all of it is there. Before the first
                         one of a thread it is the trace's */
    TRACE_EVENT_KIND_COUNT
};

/* Flags of an allocation, kept in its slot as long as it lives. */
enum trace_allocation_flag {
    TRACE_OBJECT = 1 << 0,     /* CPython's MEM or OBJ domain */
    TRACE_IN_ARENA = 1 << 1,   /* lies within a pymalloc arena that is recorded itself */
    TRACE_ARENA = 1 << 2,      /* is a pymalloc arena: never counted as an allocation, only as arena bytes */
    TRACE_MAPPING = 1 << 3,    /* mmap, mremap or brk */
    TRACE_INHERITED = 1 << 4,  /* was live in the parent when this process was forked: live, but not allocated here */
    TRACE_REALLOC = 1 << 5,    /* the allocation, or the deallocation, that a realloc consists of */
};

struct trace_event {
    uint8_t kind;        /* enum trace_event_kind */
    uint8_t flags;       /* enum trace_allocation_flag */
    uint8_t block_flags; /* TRACE_FREE, TRACE_SHRINK: those of the block */
    uint32_t slot;
    uint32_t stack_id;
    uint32_t thread_id;
    uint64_t size_bytes;
    uint64_t count;      /* also, of blocks and copies of a weighted trace: how many it counts as … */
    union {
        uint64_t time_ns;
        uint64_t weight_bytes; /* … and how many bytes */
    };
};

/* ---- definitions: what the numbers in events mean. Each is defined once, before its first use. ---- */

enum trace_definition_kind {
    TRACE_DEFINE_CODE,   /* a Python code object */
    TRACE_DEFINE_NODE,   /* a stack: innermost frame plus the stack of its caller */
    TRACE_DEFINE_MODULE, /* an executable or shared library */
    TRACE_DEFINE_THREAD,
    TRACE_DEFINE_PROPERTY, /* key and value about the process: command, executable, directory, python, options, exit … */
};

enum trace_frame_kind { TRACE_FRAME_PYTHON, TRACE_FRAME_NATIVE, TRACE_FRAME_CUT };

/* Strings and tables point into the decoder's buffer: valid until the next block is decoded. Not NUL-terminated. */
struct trace_definition {
    uint8_t kind;  /* enum trace_definition_kind */
    union {
        struct {
            uint32_t code_id;        /* 1, 2, 3 … in order */
            int32_t first_line;
            uint32_t python_version; /* 0x030b: 3.11 */
            const char *file, *name; /* name is the qualified name from 3.11 on */
            uint32_t file_bytes, name_bytes;
            const uint8_t *line_table;
            uint32_t line_table_bytes;
        } code;
        struct {
            uint32_t stack_id;       /* 1, 2, 3 … in order; 0 is the empty stack */
            uint32_t caller_id;      /* always less than stack_id */
            uint8_t frame_kind;      /* enum trace_frame_kind */
            uint32_t code_id;        /* Python */
            int32_t instruction;     /* Python: bytes into the code up to 3.9, else code units */
            uint32_t module_id;      /* native; 0: unknown */
            uint64_t address;        /* native: return address, as an address of the module's file (run-time minus load bias);
                                        subtract 1 before looking up its line */
        } node;
        struct {
            uint32_t module_id;      /* 1, 2, 3 … in order */
            uint64_t load_bias, start, end;
            const char *path;
            uint32_t path_bytes;
            const uint8_t *build_id;
            uint32_t build_id_bytes;
        } module;
        struct {
            uint32_t thread_id;      /* 1, 2, 3 … in order; a later definition of the same id renames it */
            uint32_t kernel_id;
            const char *name;
            uint32_t name_bytes;
        } thread;
        struct {
            const char *key, *value;
            uint32_t key_bytes, value_bytes;
        } property;
    };
};

/* A trace cannot be bounded to less: the names of a program's code and stacks alone take some 100 KB, and sums by stack as much. */
#define TRACE_MIN_BOUND_BYTES (1u << 20)
/* The bound of a rotated trace for which none is given. */
#define TRACE_ROTATED_BYTES (1u << 30)

/* What the first bytes of a trace say. */
struct trace_identity {
    uint64_t session_id;         /* the same in all traces of one `run` */
    uint64_t start_monotonic_ns;
    uint64_t start_realtime_ns;  /* since 1970 */
    uint64_t sampling_interval_bytes; /* 0: exact */
    uint64_t copy_threshold_bytes;    /* smaller copies are only counted */
    uint32_t pid, parent_pid;
    uint32_t flags;              /* enum trace_identity_flag */
};

enum trace_identity_flag {
    TRACE_FORKED = 1,  /* begins with TRACE_INHERITED allocations */
    TRACE_NATIVE = 2,  /* stacks hold native frames */
    TRACE_EXECED = 4,  /* the same process ran another image before */
    TRACE_ROTATED = 8, /* old parts of the file make room for new ones (trace_space.h) */
    TRACE_RESAMPLED = 16, /* the sampling interval has changed: TRACE_SAMPLING occurs */
    TRACE_WEIGHTED = 32,  /* levels, totals and sums count samples by what they stand for (trace_weight.h); so they do in rotated traces */
};

/* ---- accounting: the same rules for the collector's running figures and for the replay ----
 * heap bytes = live allocations and mappings outside arenas + max(arena bytes, bytes of live objects in arenas)
 * The high-water mark is the first event after which (heap bytes, bytes of objects in arenas) is lexicographically largest: among
 * instants of equal heap bytes the one that most of the memory was in use at. */
struct trace_level {
    uint64_t outside_bytes;  /* live, neither an arena nor within one */
    uint64_t arena_bytes;
    uint64_t object_bytes;   /* live, within arenas */
};

static inline uint64_t trace_level_total(const struct trace_level *level)
{
    return level->outside_bytes + (level->arena_bytes > level->object_bytes ? level->arena_bytes : level->object_bytes);
}

static inline int trace_level_higher(const struct trace_level *a, const struct trace_level *b)
{
    uint64_t total_a = trace_level_total(a), total_b = trace_level_total(b);
    return total_a > total_b || (total_a == total_b && a->object_bytes > b->object_bytes);
}

/* Add (sign 1) or take away (sign -1) a block of these flags. */
static inline void trace_level_change(struct trace_level *level, unsigned flags, uint64_t size_bytes, int sign)
{
    uint64_t *part = flags & TRACE_ARENA      ? &level->arena_bytes
                     : flags & TRACE_IN_ARENA ? &level->object_bytes
                                              : &level->outside_bytes;
    *part += sign > 0 ? size_bytes : (uint64_t)0 - size_bytes;
}

/* Totals of a process, as the collector counts them and the replay must find them again. */
struct trace_totals {
    uint64_t event_count;            /* TRACE_ALLOCATE + TRACE_FREE + TRACE_SHRINK + TRACE_COPY + TRACE_UNDO_FREE */
    uint64_t allocated_bytes, allocations;  /* neither arenas nor inherited */
    uint64_t copied_bytes, copies;          /* attributed ones and small ones */
    uint64_t lost_events;
    uint64_t unknown_frees;
    uint64_t peak_bytes;             /* heap bytes at the high-water mark */
    uint64_t peak_event;             /* so many events had happened when it was reached */
    uint64_t peak_time_ns;
    uint64_t peak_rss_bytes;
    uint64_t live_bytes;             /* heap bytes at the end */
};

enum trace_end_reason {
    TRACE_END_UNKNOWN, /* the collector saw the process gone, without a word from it: killed */
    TRACE_END_EXIT,    /* exited; status is its exit status */
    TRACE_END_SIGNAL,  /* killed by the signal in status */
    TRACE_END_EXEC,    /* goes on as another program, in a trace of its own */
    TRACE_END_STOPPED, /* recording was stopped, the process went on */
    TRACE_END_SNAPSHOT, /* a copy made while recording went on */
};

struct trace_end {
    uint32_t reason;  /* enum trace_end_reason */
    int32_t status;
    uint64_t time_ns;
    struct trace_totals totals;
};

#endif
