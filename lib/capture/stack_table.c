/* Consumes frames, produces node ids and DEFINE_NODE records.
 *
 * An open-addressing table of 24-byte entries. An entry is empty while its node is 0; its other fields are written before the node id is
 * (release), so that a reader which sees an id (acquire) sees the whole entry. Entries are never changed or removed. */
#include "stack_table.h"

#include <stdatomic.h>
#include <stddef.h>

#include "compiler.h"
#include "definitions.h"
#include "pages.h"
#include "recorder.h"

#define FIRST_CAPACITY 4096u
/* Marks the frame word of native nodes, whose other bits are the module id; a code id never has it. */
#define NATIVE_FRAME 0x80000000u

struct stack_entry {
    uint64_t location; /* instruction, or native address */
    uint32_t frame;    /* code id, DEFINE_NODE_CUT, or NATIVE_FRAME | module id */
    uint32_t parent;
    _Atomic uint32_t node;
};

struct stack_slots {
    uint32_t mask;
    struct stack_entry entries[];
};

static struct stack_slots *_Atomic current_slots;
static uint32_t node_count; /* under the definition lock */

static uint64_t hash_of(uint32_t parent, uint32_t frame, uint64_t location)
{
    /* Multipliers of Fibonacci hashing and of splitmix64 (Steele, Lea, Flood 2014). */
    uint64_t x = ((uint64_t)parent << 32 | frame) * 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 29) ^ location) * 0xBF58476D1CE4E5B9ull;
    return x ^ (x >> 32);
}

/* The entry of this key, or the empty one where it belongs. */
HOT_INLINE struct stack_entry *find(struct stack_slots *slots, uint32_t parent, uint32_t frame, uint64_t location, uint32_t *ret_node)
{
    for (uint64_t at = hash_of(parent, frame, location);; at++) {
        struct stack_entry *entry = &slots->entries[at & slots->mask];
        *ret_node = atomic_load_explicit(&entry->node, memory_order_acquire);
        if (!*ret_node || (entry->location == location && entry->parent == parent && entry->frame == frame))
            return entry;
    }
}

static size_t slots_bytes(uint32_t capacity)
{
    return sizeof(struct stack_slots) + capacity * sizeof(struct stack_entry);
}

static void copy_slots(struct stack_slots *to, const struct stack_slots *from)
{
    for (uint32_t i = 0; i <= from->mask; i++) {
        const struct stack_entry *entry = &from->entries[i];
        uint32_t node = atomic_load_explicit(&entry->node, memory_order_relaxed), none;
        if (!node)
            continue;
        struct stack_entry *place = find(to, entry->parent, entry->frame, entry->location, &none);
        place->location = entry->location;
        place->frame = entry->frame;
        place->parent = entry->parent;
        atomic_store_explicit(&place->node, node, memory_order_relaxed);
    }
}

/* A table with room for one more node, grown to keep it at most two thirds full, or NULL. Under the lock. */
static struct stack_slots *slots_with_room(void)
{
    struct stack_slots *slots = atomic_load_explicit(&current_slots, memory_order_relaxed);
    uint32_t capacity = slots ? slots->mask + 1 : 0;
    if (slots && node_count < capacity / 3 * 2)
        return slots;
    uint32_t larger = slots ? capacity * 2 : FIRST_CAPACITY;
    struct stack_slots *grown = larger ? pages_map(slots_bytes(larger)) : NULL;
    if (!grown) /* go on in the full one while lookups still end at an empty entry */
        return slots && node_count < capacity / 16 * 15 ? slots : NULL;
    grown->mask = larger - 1;
    if (slots)
        copy_slots(grown, slots);
    atomic_store_explicit(&current_slots, grown, memory_order_release);
    return grown;
}

static int define(uint32_t node_id, uint32_t parent, uint32_t frame, uint64_t location)
{
    struct define_node node = {.node_id = node_id, .parent_id = parent};
    if (frame == DEFINE_NODE_CUT) {
        node.code_id = DEFINE_NODE_CUT;
    } else if (frame & NATIVE_FRAME) {
        node.address = location;
        node.module_id = frame & ~NATIVE_FRAME;
    } else {
        node.code_id = frame;
        node.instruction = (int32_t)location;
    }
    return definitions_append(DEFINE_NODE, &node, sizeof node, NULL, 0, NULL, 0);
}

COLD static uint32_t insert(uint32_t parent, uint32_t frame, uint64_t location)
{
    uint32_t node = 0;
    definitions_lock();
    struct stack_slots *slots = slots_with_room();
    struct stack_entry *entry = slots ? find(slots, parent, frame, location, &node) : NULL;
    if (entry && !node && define(node_count + 1, parent, frame, location)) {
        node = ++node_count;
        entry->location = location;
        entry->frame = frame;
        entry->parent = parent;
        atomic_store_explicit(&entry->node, node, memory_order_release);
    }
    definitions_unlock();
    if (!node)
        atomic_fetch_add_explicit(&recorder_session->unsafe_stacks, 1, memory_order_relaxed);
    return node;
}

HOT_INLINE uint32_t intern(uint32_t parent, uint32_t frame, uint64_t location)
{
    struct stack_slots *slots = atomic_load_explicit(&current_slots, memory_order_acquire);
    uint32_t node = 0;
    if (likely(slots != NULL))
        find(slots, parent, frame, location, &node);
    return likely(node) ? node : insert(parent, frame, location);
}

uint32_t stack_table_python(uint32_t parent_id, uint32_t code_id, int32_t instruction)
{
    return intern(parent_id, code_id, (uint32_t)instruction);
}

uint32_t stack_table_native(uint32_t parent_id, uint32_t module_id, uint64_t address)
{
    return intern(parent_id, NATIVE_FRAME | module_id, address);
}

uint32_t stack_table_cut(void)
{
    return intern(0, DEFINE_NODE_CUT, 0);
}

uint32_t stack_table_count(void)
{
    return __atomic_load_n(&node_count, __ATOMIC_RELAXED);
}
