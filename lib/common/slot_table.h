/* Where a paused program's calls lead, and how its collector leads them back: what the recorder in the target lays down and the collector,
 * which can read and write the target's memory through a file that the target has given it, reads there (docs/architecture.md, "Dormant").
 *
 * Vocabulary
 *   slot       a word of a module that a call to another module's function goes through; the loader has filled it in
 *   function   one of those that the recorder stands in front of: `past` is the program's own (libc's malloc), `hook` a jump to ours
 *
 * `past` and `hook` of a function differ in one byte, which is therefore all that is written while other threads call through the slot:
 * they meet one address or the other. A slot that holds neither is left alone.
 * Written by one thread of the target before main; not changed afterwards. A forked child inherits it. Nothing here allocates. */
#ifndef HEAPLINE_COMMON_SLOT_TABLE_H
#define HEAPLINE_COMMON_SLOT_TABLE_H

#include <stdatomic.h>
#include <stdint.h>

#define SLOT_TABLE_MAGIC 0x31544f4c53504148ull /* "HAPSLOT1" */
#define SLOT_TABLE_MAX_FUNCTIONS 128
#define SLOT_TABLE_MAX_SLOTS 8192

struct slot_function {
    uint64_t past, hook;
};

struct slot_entry {
    uint64_t address;
    uint32_t function;  /* index in functions */
    uint32_t is_sealed; /* in pages that the loader has made read-only */
};

struct slot_table {
    uint64_t magic;          /* last: what follows is complete */
    uint32_t function_count;
    uint32_t slot_count;
    struct slot_function functions[SLOT_TABLE_MAX_FUNCTIONS];
    struct slot_entry slots[SLOT_TABLE_MAX_SLOTS];
};

/* session_header.slots_lead: where calls are to lead now. */
enum slots_lead {
    SLOTS_LEAD_PAST = 0,
    SLOTS_LEAD_TO_HOOKS = 1,
};

/* The byte of a word in which two addresses differ; -1: not in exactly one. */
static inline int slot_table_byte(uint64_t a, uint64_t b)
{
    for (int byte = 0; byte < 8; byte++)
        if ((a ^ b) && !((a ^ b) & ~(0xffull << 8 * byte)))
            return byte;
    return -1;
}

#endif
