/* One walk over the Python objects of this process, at a safe point of its interpreter (object_survey.h).
 *
 * Consumes the interpreter's modules, frames and lists of objects; produces words in the session's survey ring (survey.h): every object once,
 * with its type and the blocks that are its own; and for the targets what keeps them alive. Breadth first from the modules and the frames, so
 * that the first way to an object is a shortest one; whatever the interpreter lists that wasn't reached follows.
 * With the GIL held, by one thread. Keeps no reference, calls nothing of the program's (only tp_traverse and tp_is_gc of types, which the collector
 * of cycles calls just so), takes nothing from the target's heap.
 *
 * Vocabulary
 *   node     an object that was reached, and the node that led there
 *   root     a node that nothing led to: a module, a frame, or what no way was found to
 *   leaf     an object that refers to nothing: not a node */
#ifndef HEAPLINE_CAPTURE_OBJECT_WALK_H
#define HEAPLINE_CAPTURE_OBJECT_WALK_H

#include <stdint.h>

#include "object_layout.h"
#include "object_memory.h"
#include "session.h"

typedef int (*object_visit)(void *object, void *context);

/* The interpreter's functions and types that a survey needs: found once. */
struct object_api {
    int (*add_pending_call)(int (*call)(void *), void *argument);
    int (*add_call_anywhere)(void *interpreter, int (*call)(void *), void *argument, int flags); /* 3.12: any thread may run it; NULL: not exported */
    void (*visit_objects)(object_visit callback, void *context);     /* 3.13; NULL: read the lists */
    void *(*modules)(void);                                          /* PyImport_GetModuleDict: borrowed */
    int (*next_item)(void *dictionary, int64_t *position, void **key, void **value);
    void *(*first_thread)(void *interpreter);
    void *(*next_thread)(void *state);
    uint64_t type_type, module_type, function_type, cell_type, frame_type, generator_type, coroutine_type, async_generator_type;
    uint64_t set_type, frozenset_type, bytearray_type, float_type, text_type, bytes_type, long_type, bool_type, member_type;
};

enum object_kind {
    KIND_OTHER, /* of a C type that isn't among these */
    KIND_INSTANCE, /* of a class of the program's */
    KIND_LEAF,
    KIND_LIST, KIND_TUPLE, KIND_DICT, KIND_SET, KIND_BYTEARRAY,
    KIND_TYPE, KIND_MODULE, KIND_FUNCTION, KIND_CELL, KIND_FRAME, KIND_GENERATOR,
};

struct object_type_entry {
    uint64_t type;  /* 0: nobody's place */
    int (*traverse)(void *object, object_visit visit, void *context);
    int (*is_gc)(void *object);
    uint32_t id;    /* from 1; 0: there were too many */
    uint32_t head_bytes;
    uint8_t kind;   /* enum object_kind */
    uint8_t has_gc, has_values, is_wanted;
    uint32_t body_words; /* KIND_OTHER: of the object, to be looked at for its own blocks */
};

/* A root's parent. */
enum object_root {
    ROOT_UNREACHED = 0xffffffffu,
    ROOT_FRAME = 0xfffffffeu,
    ROOT_MODULE = 0xfffffffdu,
    ROOT_INTERPRETER = 0xfffffffcu,
    ROOT_FIRST = ROOT_INTERPRETER,
};

struct found_target {
    uint64_t object; /* 0: not met */
    uint32_t parent; /* node or enum object_root */
    uint32_t type_id;
    int is_told;     /* a path of it has been put */
};

#define TYPE_TABLE_CAPACITY (1u << 17)
#define TARGET_FILTER_BITS (1u << 16)
#define WALK_MAX_DEPTH 64

struct object_walk {
    const struct object_api *api;
    const struct object_layout *layout;
    struct survey *survey;
    uint64_t *ring;
    uint64_t head;
    uint64_t deadline_ns;
    uint32_t outcome;        /* enum survey_outcome */
    uint32_t node;           /* that is being looked into */
    uint64_t object_count, unreached_count;
    struct object_type_entry *types;
    struct object_type_entry *last_type;
    uint32_t type_count;
    char text[SURVEY_MAX_TEXT_BYTES];
    uint64_t filter[TARGET_FILTER_BITS / 64];
    struct found_target found[SURVEY_MAX_TARGETS];
    struct object_memory memory;
};

/* What is found at this safe point goes into `survey` and its ring; state and reference counts stay. */
void object_walk_run(const struct object_api *api, const struct object_layout *layout, struct session_header *session);

/* ---- between object_walk.c, object_types.c and object_paths.c ---- */

/* 0: the walk has to end (the outcome is set). */
int object_walk_put(struct object_walk *walk, const uint64_t *words, uint32_t count);
int object_walk_put_text(struct object_walk *walk, unsigned what, uint32_t id, const char *text, uint32_t bytes);

struct object_type_entry *object_type_find(struct object_walk *walk, uint64_t type);
/* MODULE.QUALNAME of a class, as the type itself says of others; at most SURVEY_TYPE_NAME_BYTES - 1, NUL-terminated. Returns its length. */
uint32_t object_type_name(const struct object_walk *walk, uint64_t type, char *to);

/* A line a step, from the root to the target. */
void object_paths_put(struct object_walk *walk);

/* Calls visit for what a frame of the interpreter's own (3.11) holds. */
void object_walk_frame(const struct object_walk *walk, uint64_t frame, object_visit visit, void *context);
/* How many slots the frame of this code has, its variables', cells' and free ones', without its stack. */
uint32_t object_frame_slots(const struct object_layout *layout, uint64_t code);

#endif
