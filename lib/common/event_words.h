/* The words that a target's thread writes into its ring, and that the collector reads.
 *
 * A ring holds 64-bit words. An event is one to four words. The first one carries the opcode in its
 * top byte and 56 bits of payload (an address, a size, a clock reading) below it.
 * An event never straddles the end of a ring: a PAD word sends the reader back to the ring's start.
 *
 *   ALLOCATE        [op|address] [size:32 | stack:32]
 *   ALLOCATE_BIG    [op|address] [0:32 | stack:32] [size]             sizes of 4 GiB and more
 *   FREE            [op|address]
 *   REALLOC_BEGIN   [op|old address]                                  acts as FREE; then, from the same thread, either
 *   REALLOC_END     [op|new address] [size:32 | stack:32]             (REALLOC_END_BIG has a third word)
 *   REALLOC_FAILED  [op|old address]                                  the old block is live again, as it was
 *   REALLOC_PASSED  [op|new address] [stack] [size]                   instead of REALLOC_END: the old block was sampled, the new one isn't
 *   COPY            [op|size] [stack]
 *   MAP             [op|address] [flags:32 | stack:32] [length]       anonymous mappings and brk growth
 *   UNMAP           [op|address] [length]                             any range; what we don't know in it is skipped
 *   REMAP           [op|old address] [old length] [new address] [flags:32 | stack:32] [new length]
 *   RUN             [op|epoch] [clock ticks]                          all that follows in this ring belongs to this epoch
 *   STAMP           [op|clock ticks]                                  the next event's time, in parallel epochs
 *   JUMP            [op|new ring's word offset] [new ring's words]    the thread goes on in another ring
 *   THREAD          [op|generation]                                   a new thread has taken over this slot
 *   SAMPLING        [op|bytes]                                        the mean by which all that follows in this ring was sampled; 0: all is there.
 *                                                                     Until the first one of a generation it is the session's
 *   PAD             [op]                                              go on at the ring's first word
 *
 * Order across threads: see docs/architecture.md, "Order". */
#ifndef HEAPLINE_COMMON_EVENT_WORDS_H
#define HEAPLINE_COMMON_EVENT_WORDS_H

#include <stdint.h>

enum event_opcode {
    EVENT_PAD = 1,
    EVENT_RUN,
    EVENT_STAMP,
    EVENT_JUMP,
    EVENT_THREAD,
    EVENT_ALLOCATE,         /* malloc family */
    EVENT_ALLOCATE_BIG,
    EVENT_ALLOCATE_OBJECT,  /* CPython's MEM and OBJ domains; same words as ALLOCATE */
    EVENT_ALLOCATE_OBJECT_BIG,
    EVENT_FREE,             /* either family: one address space, one live table */
    EVENT_REALLOC_BEGIN,
    EVENT_REALLOC_END,
    EVENT_REALLOC_END_BIG,
    EVENT_REALLOC_END_OBJECT,
    EVENT_REALLOC_END_OBJECT_BIG,
    EVENT_REALLOC_FAILED,
    EVENT_REALLOC_PASSED,
    EVENT_COPY,
    EVENT_MAP,
    EVENT_UNMAP,
    EVENT_REMAP,
    EVENT_SAMPLING,
    EVENT_OPCODE_COUNT
};

/* No event is longer than this; a writer that has so many words left may write any event, its STAMP included. */
#define EVENT_MAX_WORDS 8

#define EVENT_PAYLOAD_BITS 56
#define EVENT_PAYLOAD_MASK ((1ull << EVENT_PAYLOAD_BITS) - 1)
#define EVENT_WORD(opcode, payload) ((uint64_t)(opcode) << EVENT_PAYLOAD_BITS | ((uint64_t)(payload) & EVENT_PAYLOAD_MASK))
#define EVENT_OPCODE(word) ((enum event_opcode)((word) >> EVENT_PAYLOAD_BITS))
#define EVENT_PAYLOAD(word) ((word) & EVENT_PAYLOAD_MASK)

/* The second word of an allocation. */
#define EVENT_SIZE_STACK(size, stack) ((uint64_t)(size) << 32 | (uint32_t)(stack))

/* The words of an event, or of what stands between events; 0: no opcode. */
static inline unsigned event_word_count(enum event_opcode opcode)
{
    static const uint8_t counts[EVENT_OPCODE_COUNT] = {
        [EVENT_PAD] = 1, [EVENT_RUN] = 2, [EVENT_STAMP] = 1, [EVENT_JUMP] = 2, [EVENT_THREAD] = 1,
        [EVENT_ALLOCATE] = 2, [EVENT_ALLOCATE_BIG] = 3, [EVENT_ALLOCATE_OBJECT] = 2, [EVENT_ALLOCATE_OBJECT_BIG] = 3, [EVENT_FREE] = 1,
        [EVENT_REALLOC_BEGIN] = 1, [EVENT_REALLOC_END] = 2, [EVENT_REALLOC_END_BIG] = 3, [EVENT_REALLOC_END_OBJECT] = 2,
        [EVENT_REALLOC_END_OBJECT_BIG] = 3, [EVENT_REALLOC_FAILED] = 1, [EVENT_REALLOC_PASSED] = 3, [EVENT_COPY] = 2, [EVENT_MAP] = 3,
        [EVENT_UNMAP] = 2, [EVENT_REMAP] = 5, [EVENT_SAMPLING] = 1,
    };
    return opcode < EVENT_OPCODE_COUNT ? counts[opcode] : 0;
}

enum event_map_flag {
    EVENT_MAP_ARENA = 1,  /* pymalloc asked for it: counts as arena, not as an allocation */
    EVENT_MAP_BRK = 2,
};

#endif
