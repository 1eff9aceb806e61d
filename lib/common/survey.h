/* What the collector and the target say to each other when the Python objects of a running process are surveyed (docs/objects.md): a part of
 * the session's memory behind the rings.
 *
 *   collector   IDLE -> WANTED                     with the request's fields filled in
 *   target      WANTED -> SCHEDULED                a thread noticed when it claimed an epoch: the interpreter has been asked for a safe point
 *               SCHEDULED -> WALKING -> WALKED     at the safe point: words go into the ring, then the results' fields are filled in
 *   collector   WALKED -> IDLE                     all words have been taken; the target, which has waited, goes on
 *   collector   WANTED -> IDLE, SCHEDULED -> WITHDRAWN    too late
 *   target      WITHDRAWN -> IDLE                  the safe point came after all: nothing is done there
 *
 * The state is session_header.survey_state, a futex. Fields are written by the side named in the comment. Nothing here allocates. */
#ifndef HEAPLINE_COMMON_SURVEY_H
#define HEAPLINE_COMMON_SURVEY_H

#include <stdatomic.h>
#include <stdint.h>

#include "compiler.h"

#define SURVEY_RING_WORDS (2u << 20)
#define SURVEY_MAX_TARGETS 1024
#define SURVEY_TYPE_NAME_BYTES 256
#define SURVEY_MAX_TYPES ((1u << 18) - 1)
#define SURVEY_MAX_TEXT_BYTES 16384

enum survey_state {
    SURVEY_IDLE = 0,
    SURVEY_WANTED,
    SURVEY_SCHEDULED,
    SURVEY_WITHDRAWN,
    SURVEY_WALKING,
    SURVEY_WALKED,
};

/* Why the target won't, or has not gone all the way. */
enum survey_outcome {
    SURVEY_WHOLE = 0,
    SURVEY_NO_PYTHON,         /* no interpreter was found in the process */
    SURVEY_UNKNOWN_PYTHON,    /* a version or build whose structures aren't known: 3.8 to 3.15 are */
    SURVEY_FREE_THREADED,
    SURVEY_SUBINTERPRETERS,
    SURVEY_NO_MEMORY,         /* what the walk needs was refused, or is more than it may take: the rest was left out */
    SURVEY_OUT_OF_TIME,       /* the pause had lasted as long as it may: the rest was left out */
    SURVEY_NOT_TAKEN,         /* the collector took nothing for a while: the rest was left out */
};

struct survey {
    /* written by the collector */
    uint64_t pause_limit_ns;
    uint32_t target_count;     /* blocks whose objects are to be found, and what keeps them alive */
    uint32_t paths_per_type;   /* of each stack's targets and type at most so many are followed */
    uint64_t targets[SURVEY_MAX_TARGETS];       /* addresses, ascending */
    uint32_t target_stacks[SURVEY_MAX_TARGETS];
    char type_name[SURVEY_TYPE_NAME_BYTES];     /* NUL-terminated: only objects of it are followed; empty: of any type */
    /* written by the target */
    _Atomic uint32_t refusal;  /* enum survey_outcome: why nothing has been scheduled */
    uint32_t outcome;          /* enum survey_outcome */
    uint64_t start_ns;         /* CLOCK_MONOTONIC at the safe point */
    uint64_t object_count;
    uint64_t unreached_count;  /* of them those to which nothing leads from a module or a frame */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t head; /* target: words ever written */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t tail; /* collector: words ever taken */
};

/* ---- words ----------------------------------------------------------------------------------------------------
 * kind in the low two bits. An object, and a block that belongs to one: type id above (18 bits), the block's address / 16 above (44 bits).
 * TEXT: what in 6 bits, its length in 16, an id in 32; the text's bytes follow in whole words. */
enum survey_word {
    SURVEY_OBJECT = 0,
    SURVEY_OWNED = 1,  /* an object's own: its table, its array */
    SURVEY_MAYBE = 2,  /* a word in an object of a C type that looks like an address: its own, unless it is an object */
    SURVEY_TEXT = 3,
};
enum survey_text {
    SURVEY_TYPE = 1, /* id: the type's; the text is its name */
    SURVEY_PATH = 2, /* id: the target's; a line a step: kind, name, type, with tabs between them */
};

#define SURVEY_WORD(kind, type, block) ((uint64_t)(block) >> 4 << 20 | (uint64_t)(type) << 2 | (kind))
#define SURVEY_KIND(word) ((unsigned)((word) & 3))
#define SURVEY_TYPE_ID(word) ((uint32_t)((word) >> 2 & SURVEY_MAX_TYPES))
#define SURVEY_BLOCK(word) ((word) >> 20 << 4)
#define SURVEY_TEXT_WORD(what, bytes, id) ((uint64_t)(id) << 24 | (uint64_t)(bytes) << 8 | (uint64_t)(what) << 2 | SURVEY_TEXT)
#define SURVEY_TEXT_WHAT(word) ((unsigned)((word) >> 2 & 63))
#define SURVEY_TEXT_BYTES(word) ((uint32_t)((word) >> 8 & 0xffff))
#define SURVEY_TEXT_ID(word) ((uint32_t)((word) >> 24))

#endif
