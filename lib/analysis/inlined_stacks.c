/* See inlined_stacks.h. */
#include "inlined_stacks.h"

#include "array.h"
#include "inline_sites.h"

/* Neighbours in the trace often have a caller by inlining in common: the latest ones are kept in a small table. */
#define RECENT_COUNT 4096u

struct recent_stack {
    uint32_t caller_id, frame_id, stack_id; /* 0: none */
};

static uint32_t add_stack(struct definition_table *definitions, uint32_t caller_id, uint32_t place_id)
{
    if (definitions->node_count == UINT32_MAX ||
        !ARRAY_EXTEND(definitions->nodes, definitions->node_capacity, definitions->node_count + (size_t)1))
        return 0;
    definitions->nodes[definitions->node_count] = (struct node_definition){caller_id, place_id};
    return definitions->node_count++;
}

static uint32_t find_or_add(struct definition_table *definitions, struct recent_stack *recent, uint32_t caller_id, uint32_t place_id,
                            uint32_t frame_id)
{
    struct recent_stack *entry = &recent[hash_number((uint64_t)caller_id << 32 | frame_id) % RECENT_COUNT];
    if (!entry->stack_id || entry->caller_id != caller_id || entry->frame_id != frame_id)
        *entry = (struct recent_stack){caller_id, frame_id, add_stack(definitions, caller_id, place_id)};
    return entry->stack_id;
}

/* Returns 0 without memory. */
static int split_stack(struct definition_table *definitions, const struct frame_table *frames, struct recent_stack *recent, uint32_t stack_id)
{
    uint32_t places[INLINE_SITES_MAX], caller_id = definitions->nodes[stack_id].caller_id;
    size_t count = 0;
    for (uint32_t place = frames->outer_places[definitions->nodes[stack_id].place_id]; place && count < INLINE_SITES_MAX;
         place = frames->outer_places[place])
        places[count++] = place;
    while (count--)
        if (!(caller_id = find_or_add(definitions, recent, caller_id, places[count], frames->place_frames[places[count]])))
            return 0;
    definitions->nodes[stack_id].caller_id = caller_id;
    return 1;
}

int inlined_stacks_add(struct replay *replay, const struct frame_table *frames)
{
    struct definition_table *definitions = &replay->definitions;
    uint32_t stack_count = definitions->node_count;
    if (frames->place_count == definitions->places.place_count)
        return STATUS_OK;
    struct recent_stack *recent = calloc(RECENT_COUNT, sizeof *recent);
    int enough = recent != NULL;
    for (uint32_t id = 1; id < stack_count && enough; id++)
        if (frames->outer_places[definitions->nodes[id].place_id])
            enough = split_stack(definitions, frames, recent, id);
    free(recent);
    return enough ? stack_uses_extend(&replay->uses, definitions->node_count) : STATUS_NO_MEMORY;
}
