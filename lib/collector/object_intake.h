/* A survey of the target's Python objects (docs/objects.md): the collector's part.
 *
 * Asks for one, takes what the target's walk finds (survey.h) while the target stands still, finds the slot of each object's block, and so the
 * stack that allocated it; adds up by stack and type; and writes the sums, and what keeps the chosen objects alive, into the trace as properties
 * objects.0, objects.1, … (docs/trace_format.md). One thread; allocates. Without memory the survey fails, nothing else does. */
#ifndef HEAPLINE_COLLECTOR_OBJECT_INTAKE_H
#define HEAPLINE_COLLECTOR_OBJECT_INTAKE_H

#include <stddef.h>
#include <stdint.h>

#include "live_blocks.h"
#include "object_sums.h"
#include "session.h"

enum object_intake_state {
    INTAKE_NONE = 0,
    INTAKE_WAITING, /* for the safe point */
    INTAKE_TAKING,
    INTAKE_DONE,    /* the trace has it */
    INTAKE_FAILED,  /* `reason` says why */
};

struct intake_target {
    uint64_t address;
    uint32_t slot, sequence, stack_id;
};

struct object_intake {
    enum object_intake_state state;
    uint64_t deadline_ns;       /* the safe point must have come by then */
    uint64_t walking_since_ns;
    uint32_t survey_count;      /* that the trace holds */
    uint32_t piece_count;       /* properties written */
    struct object_sums sums;
    struct intake_target *targets;
    uint32_t target_count;
    /* what is told of the latest one */
    uint64_t pause_ns, object_count, unreached_count, known_count, known_bytes;
    uint32_t outcome;           /* enum survey_outcome */
    char reason[200];
};

/* What is wanted: text as in docs/objects.md ("How it works"). Returns 1, or 0: refused, `reason` says why. */
int object_intake_begin(struct object_intake *intake, struct session_header *session, struct live_blocks *blocks, const char *wishes,
                        uint64_t now_ns);
/* After a drain that has taken all events up to `now_ns`. Returns 1: the trace has got a survey just now. */
int object_intake_step(struct object_intake *intake, struct session_header *session, struct live_blocks *blocks, uint64_t now_ns);
/* Never mind. */
void object_intake_withdraw(struct object_intake *intake, struct session_header *session, const char *reason);
/* How it is, as "key=value" lines. */
void object_intake_tell(const struct object_intake *intake, char *text, size_t capacity);
void object_intake_done(struct object_intake *intake);

HOT_INLINE int object_intake_is_at_work(const struct object_intake *intake)
{
    return intake->state == INTAKE_WAITING || intake->state == INTAKE_TAKING;
}

#endif
