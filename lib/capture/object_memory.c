/* See object_memory.h. */
#include "object_memory.h"

#include "pages.h"

static void *take_slab(struct object_memory *memory)
{
    void *slab = memory->slab_count < OBJECT_MAX_SLABS ? pages_map(OBJECT_SLAB_BYTES) : NULL;
    if (!slab) {
        memory->is_full = 1;
        return NULL;
    }
    return memory->slabs[memory->slab_count++] = slab;
}

int object_memory_init(struct object_memory *memory)
{
    memory->regions = pages_map(SEEN_MAX_REGIONS * sizeof *memory->regions);
    memory->last_region = memory->regions;
    return memory->regions != NULL;
}

void object_memory_done(struct object_memory *memory)
{
    for (uint32_t i = 0; i < memory->slab_count; i++)
        pages_unmap(memory->slabs[i], OBJECT_SLAB_BYTES);
    if (memory->regions)
        pages_unmap(memory->regions, SEEN_MAX_REGIONS * sizeof *memory->regions);
}

static int make_region(struct object_memory *memory, struct seen_region *region, uint64_t key)
{
    if (memory->region_count >= SEEN_MAX_REGIONS / 4 * 3) {
        memory->is_full = 1;
        return 0;
    }
    if (memory->free_bits == memory->end_bits) {
        memory->free_bits = take_slab(memory);
        memory->end_bits = memory->free_bits ? memory->free_bits + OBJECT_SLAB_BYTES : NULL;
        if (!memory->free_bits)
            return 0;
    }
    *region = (struct seen_region){key, (uint64_t *)(void *)memory->free_bits};
    memory->free_bits += SEEN_REGION_BYTES;
    memory->region_count++;
    return 1;
}

uint64_t *object_memory_region(struct object_memory *memory, uint64_t key)
{
    uint64_t at = key * 0x9e3779b97f4a7c15ull >> 48;
    struct seen_region *region = &memory->regions[at % SEEN_MAX_REGIONS];
    while (region->key && region->key != key)
        region = &memory->regions[++at % SEEN_MAX_REGIONS];
    if (!region->key && !make_region(memory, region, key))
        return NULL;
    memory->last_region = region;
    return region->bits;
}

int object_memory_grow_nodes(struct object_memory *memory)
{
    uint32_t slab = memory->node_count / NODES_A_SLAB;
    if (!memory->nodes[slab])
        memory->nodes[slab] = take_slab(memory);
    return memory->nodes[slab] != NULL;
}
