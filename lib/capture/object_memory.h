/* What a survey of the Python objects remembers while it lasts, in pages of its own: which addresses it has seen, and the objects that it has
 * yet to look into, each with the one that led there.
 *
 * Bounded: past OBJECT_MEMORY_BYTES the answers are "no room", and the survey says that it is not whole. One thread, the one that walks. */
#ifndef HEAPLINE_CAPTURE_OBJECT_MEMORY_H
#define HEAPLINE_CAPTURE_OBJECT_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#define OBJECT_MEMORY_BYTES (512ul << 20)
#define OBJECT_SLAB_BYTES (1ul << 20)
#define OBJECT_MAX_SLABS (OBJECT_MEMORY_BYTES / OBJECT_SLAB_BYTES)

#define SEEN_REGION_SHIFT 20 /* of addresses: a bit for each 16 bytes of a region that has been met */
#define SEEN_REGION_BYTES (1u << (SEEN_REGION_SHIFT - 4 - 3))
#define SEEN_MAX_REGIONS (1u << 16)

struct object_node {
    uint64_t object;  /* or a frame's address + NODE_IS_FRAME, or 0 where a root's own word says all */
    uint32_t parent;  /* the node that led here, or enum object_root */
    uint32_t reserved;
};
#define NODE_IS_FRAME 1ull
#define NODES_A_SLAB (OBJECT_SLAB_BYTES / sizeof(struct object_node))

struct seen_region {
    uint64_t key;    /* address >> SEEN_REGION_SHIFT, plus 1; 0: none */
    uint64_t *bits;
};

struct object_memory {
    void *slabs[OBJECT_MAX_SLABS];
    uint32_t slab_count;
    uint32_t is_full;
    struct seen_region *regions;
    uint32_t region_count;
    struct seen_region *last_region;
    char *free_bits, *end_bits;      /* of the slab that regions are cut from */
    struct object_node *nodes[OBJECT_MAX_SLABS];
    uint32_t node_count;
};

/* `memory` zeroed, in pages of its own as it is large. 0: the system refuses. */
int object_memory_init(struct object_memory *memory);
void object_memory_done(struct object_memory *memory);

/* Where this region's bits are. NULL: no room. */
COLD uint64_t *object_memory_region(struct object_memory *memory, uint64_t key);

/* Returns 1: this address has not been seen before, and has now. 0: it has, or there is no room to know it. */
HOT_INLINE int object_memory_see(struct object_memory *memory, uint64_t address)
{
    uint64_t key = (address >> SEEN_REGION_SHIFT) + 1;
    uint64_t *bits = likely(memory->last_region->key == key) ? memory->last_region->bits : object_memory_region(memory, key);
    if (unlikely(!bits))
        return 0;
    uint64_t index = address >> 4 & ((1u << (SEEN_REGION_SHIFT - 4)) - 1), bit = 1ull << index % 64;
    if (bits[index / 64] & bit)
        return 0;
    bits[index / 64] |= bit;
    return 1;
}

/* 0: no room. */
COLD int object_memory_grow_nodes(struct object_memory *memory);

HOT_INLINE int object_memory_push(struct object_memory *memory, uint64_t object, uint32_t parent)
{
    uint32_t index = memory->node_count;
    if (unlikely(index % NODES_A_SLAB == 0) && !object_memory_grow_nodes(memory))
        return 0;
    memory->nodes[index / NODES_A_SLAB][index % NODES_A_SLAB] = (struct object_node){object, parent, 0};
    memory->node_count++;
    return 1;
}

HOT_INLINE struct object_node object_memory_node(const struct object_memory *memory, uint32_t index)
{
    return memory->nodes[index / NODES_A_SLAB][index % NODES_A_SLAB];
}

#endif
