/* See object_walk.h. */
#include "object_walk.h"

#include "clock.h"
#include "futex.h"
#include "pages.h"
#include "python_api.h"
#include "python_stack.h"
#include "recorder.h"

#define PUBLISH_WORDS 4096
#define CLOCK_NODES 1024
#define RING_STEP_NS 1000000ull
#define RING_PATIENCE_STEPS 1000
#define LARGEST_FRAME 65536u
#define GENERATIONS 3
#define GENERATION_WORDS 3 /* two of the list's head, threshold and count */
#define SEARCHED_WORDS 256

/* ---- the ring ---- */

static void publish(struct object_walk *walk)
{
    atomic_store_explicit(&walk->survey->head, walk->head, memory_order_release);
}

/* The collector takes as fast as the walk goes, or nearly. 0: it has taken nothing for a second. */
static int wait_for_room(struct object_walk *walk, uint32_t words)
{
    publish(walk);
    uint64_t seen = atomic_load_explicit(&walk->survey->tail, memory_order_acquire);
    for (int patience = RING_PATIENCE_STEPS; patience > 0; patience--) {
        uint64_t tail = atomic_load_explicit(&walk->survey->tail, memory_order_acquire);
        if (walk->head + words - tail <= SURVEY_RING_WORDS)
            return 1;
        if (tail != seen)
            patience = RING_PATIENCE_STEPS;
        seen = tail;
        if (atomic_load(&recorder_session->collector_state) == COLLECTOR_GONE)
            break;
        _Atomic uint32_t nobody = 0;
        futex_wait(&nobody, 0, RING_STEP_NS);
    }
    walk->outcome = SURVEY_NOT_TAKEN;
    return 0;
}

int object_walk_put(struct object_walk *walk, const uint64_t *words, uint32_t count)
{
    if (unlikely(walk->head + count - atomic_load_explicit(&walk->survey->tail, memory_order_relaxed) > SURVEY_RING_WORDS) &&
        (walk->outcome == SURVEY_NOT_TAKEN || !wait_for_room(walk, count)))
        return 0;
    for (uint32_t i = 0; i < count; i++)
        walk->ring[walk->head++ % SURVEY_RING_WORDS] = words[i];
    if (walk->head % PUBLISH_WORDS < count)
        publish(walk);
    return 1;
}

int object_walk_put_text(struct object_walk *walk, unsigned what, uint32_t id, const char *text, uint32_t bytes)
{
    uint64_t words[1 + SURVEY_MAX_TEXT_BYTES / 8] = {SURVEY_TEXT_WORD(what, bytes, id)};
    char *to = (char *)(words + 1);
    for (uint32_t i = 0; i < bytes; i++)
        to[i] = text[i];
    return object_walk_put(walk, words, 1 + (bytes + 7) / 8);
}

/* ---- objects ---- */

HOT_INLINE uint64_t filter_index(uint64_t block)
{
    return (block >> 4) % TARGET_FILTER_BITS;
}

COLD static void meet(struct object_walk *walk, uint64_t block, uint64_t object, const struct object_type_entry *type)
{
    uint32_t low = 0, high = walk->survey->target_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (walk->survey->targets[middle] < block)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < walk->survey->target_count && walk->survey->targets[low] == block && type->is_wanted && !walk->found[low].object)
        walk->found[low] = (struct found_target){object, walk->node, type->id};
}

static void put_block(struct object_walk *walk, enum survey_word kind, uint64_t block, uint64_t object, const struct object_type_entry *type)
{
    if (block & 15 || !block || block >> 48)
        return;
    uint64_t word = SURVEY_WORD(kind, type->id, block), index = filter_index(block);
    object_walk_put(walk, &word, 1);
    if (unlikely(walk->filter[index / 64] >> index % 64 & 1) && kind != SURVEY_MAYBE)
        meet(walk, block, object, type);
}

/* A word in a C type's object that may be the address of a block. */
static void put_body(struct object_walk *walk, uint64_t object, const struct object_type_entry *type)
{
    for (uint32_t i = 0; i < type->body_words; i++) {
        uint64_t word = python_read_word(object, (int)(16 + 8 * i));
        if (word >= 65536 && !(word & 15) && word >> 47 == 0)
            put_block(walk, SURVEY_MAYBE, word, object, type);
    }
}

static void put_dictionary(struct object_walk *walk, uint64_t object, const struct object_type_entry *type)
{
    uint64_t values = python_read_word(object, DICT_VALUES);
    put_block(walk, SURVEY_OWNED, python_read_word(object, DICT_KEYS), object, type);
    if (values && (walk->layout->version < 0x030d || !python_read_byte(values, 2)))
        put_block(walk, SURVEY_OWNED, values_block(walk->layout, values), object, type);
}

static void put_own_blocks(struct object_walk *walk, uint64_t object, const struct object_type_entry *type)
{
    switch (type->kind) {
    case KIND_LIST:
        put_block(walk, SURVEY_OWNED, python_read_word(object, LIST_ITEMS), object, type);
        break;
    case KIND_DICT:
        put_dictionary(walk, object, type);
        break;
    case KIND_SET:
        if (python_read_word(object, SET_TABLE) != object + SET_SMALL_TABLE)
            put_block(walk, SURVEY_OWNED, python_read_word(object, SET_TABLE), object, type);
        break;
    case KIND_BYTEARRAY:
        put_block(walk, SURVEY_OWNED, python_read_word(object, walk->layout->bytearray_block), object, type);
        break;
    case KIND_TYPE:
        if (walk->layout->type_shared_keys != PYTHON_NONE && type_flags(object) & TYPE_IS_HEAP)
            put_block(walk, SURVEY_OWNED, python_read_word(object, walk->layout->type_shared_keys), object, type);
        break;
    case KIND_OTHER:
        put_body(walk, object, type);
        break;
    default:
        break;
    }
    if (type->has_values) {
        const uint64_t *values = object_values(walk->layout, object, TYPE_HAS_MANAGED_DICT);
        if (values)
            put_block(walk, SURVEY_OWNED, values_block(walk->layout, (uint64_t)values), object, type);
    }
}

HOT_INLINE int is_node(const struct object_type_entry *type, uint64_t object)
{
    return type->kind == KIND_TYPE || (type->has_gc && (!type->is_gc || type->is_gc((void *)object)));
}

/* Met for the first time: it goes into the ring, and is to be looked into. */
HOT_INLINE void note(struct object_walk *walk, uint64_t object)
{
    if (!object || !object_memory_see(&walk->memory, object))
        return;
    const struct object_type_entry *type = object_type_find(walk, object_type(object));
    if (unlikely(!type))
        return;
    walk->object_count++;
    put_block(walk, SURVEY_OBJECT, object - type->head_bytes, object, type);
    if (type->kind == KIND_LEAF)
        return;
    put_own_blocks(walk, object, type);
    if (is_node(type, object))
        object_memory_push(&walk->memory, object, walk->node);
}

static int visit(void *object, void *context)
{
    note(context, (uint64_t)object);
    return 0;
}

/* ---- frames ---- */

/* Cells' names come on top of variables' before 3.11. */
uint32_t object_frame_slots(const struct object_layout *layout, uint64_t code)
{
    uint32_t count = (uint32_t)python_read_int(code, layout->code_slot_count);
    if (layout->code_free_names != PYTHON_NONE)
        count += (uint32_t)python_read_word(python_read_word(code, layout->code_cell_names), OBJECT_SIZE) +
                 (uint32_t)python_read_word(python_read_word(code, layout->code_free_names), OBJECT_SIZE);
    return count <= LARGEST_FRAME ? count : 0;
}

/* Values of its stack are there while the frame isn't being run: it has called another one of Python, or is suspended. */
static uint32_t frame_values(const struct object_layout *layout, uint64_t frame, uint32_t slots)
{
    uint64_t first = frame + (uint64_t)layout->frame_slots;
    if (layout->version >= 0x030e) {
        uint64_t top = python_read_word(frame, 64);
        return top >= first && top - first <= LARGEST_FRAME * 8ul && (top - first) / 8 > slots ? (uint32_t)((top - first) / 8) : slots;
    }
    int32_t top = python_read_int(frame, 64);
    return top > (int32_t)slots && top <= (int32_t)LARGEST_FRAME ? (uint32_t)top : slots;
}

/* From 3.14 on a slot's low bits are a tag, and may say that it is a number, or (3.15) no reference. */
static uint64_t untagged(const struct object_layout *layout, uint64_t word)
{
    if (layout->version < 0x030e)
        return word;
    return word & 2 ? 0 : word & ~3ull;
}

void object_walk_frame(const struct object_walk *walk, uint64_t frame, object_visit visit_one, void *context)
{
    const struct object_layout *layout = walk->layout;
    uint64_t code = python_frame_code(&python_stack_layout, frame);
    uint32_t count = frame_values(layout, frame, object_frame_slots(layout, code));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t object = untagged(layout, python_read_word(frame, layout->frame_slots + 8 * (int)i));
        if (object)
            visit_one((void *)object, context);
    }
    const uint64_t others[] = {python_read_word(frame, layout->frame_locals), python_read_word(frame, layout->frame_globals),
                               untagged(layout, python_read_word(frame, layout->frame_function)), code};
    for (unsigned i = 0; i < ARRAY_LENGTH(others); i++)
        if (others[i])
            visit_one((void *)others[i], context);
}

/* ---- the order of things ---- */

static int has_to_stop(struct object_walk *walk)
{
    if (walk->outcome == SURVEY_WHOLE && walk->memory.is_full)
        walk->outcome = SURVEY_NO_MEMORY;
    if (walk->outcome == SURVEY_WHOLE && clock_ns(CLOCK_MONOTONIC) > walk->deadline_ns)
        walk->outcome = SURVEY_OUT_OF_TIME;
    return walk->outcome != SURVEY_WHOLE;
}

/* A type that isn't the collector's of cycles: nobody traverses it. */
static void expand_static_type(struct object_walk *walk, uint64_t type)
{
    note(walk, python_read_word(type, TYPE_DICT));
    note(walk, python_read_word(type, TYPE_MRO));
    note(walk, python_read_word(type, TYPE_BASE));
}

static void expand(struct object_walk *walk, uint64_t object)
{
    if (object & NODE_IS_FRAME) {
        object_walk_frame(walk, object - NODE_IS_FRAME, visit, walk);
        return;
    }
    const struct object_type_entry *type = object_type_find(walk, object_type(object));
    if (type->kind == KIND_TYPE && !(type_flags(object) & TYPE_IS_HEAP))
        expand_static_type(walk, object);
    else if (type->traverse)
        type->traverse((void *)object, visit, walk);
}

/* Looks into all nodes from this one on, in the order in which they were met. */
static uint32_t expand_from(struct object_walk *walk, uint32_t node)
{
    while (node < walk->memory.node_count && !(node % CLOCK_NODES == 0 && has_to_stop(walk))) {
        walk->node = node;
        expand(walk, object_memory_node(&walk->memory, node++).object);
    }
    return node;
}

static void add_modules(struct object_walk *walk)
{
    int64_t position = 0;
    void *key, *value, *modules = walk->api->modules();
    walk->node = ROOT_MODULE;
    while (modules && walk->api->next_item(modules, &position, &key, &value))
        note(walk, (uint64_t)value);
    walk->node = ROOT_INTERPRETER;
    note(walk, (uint64_t)modules);
}

static void add_frames(struct object_walk *walk, void *interpreter)
{
    const struct python_layout *layout = &python_stack_layout;
    walk->node = ROOT_FRAME;
    for (void *state = walk->api->first_thread(interpreter); state; state = walk->api->next_thread(state))
        for (uint64_t frame = python_frame_top(layout, state); frame; frame = python_frame_caller(layout, frame)) {
            if (walk->layout->frame_function == PYTHON_NONE)
                note(walk, frame); /* an object itself */
            else if (!python_frame_is_shim(layout, frame))
                object_memory_push(&walk->memory, frame + NODE_IS_FRAME, ROOT_FRAME);
        }
}

/* ---- what the interpreter lists ---- */

struct listing {
    struct object_walk *walk;
    uint32_t node;
};

/* Returns 1: go on. */
static int take_listed(void *object, void *context)
{
    struct listing *listing = context;
    struct object_walk *walk = listing->walk;
    uint64_t before = walk->object_count;
    walk->node = ROOT_UNREACHED;
    note(walk, (uint64_t)object);
    if (walk->object_count != before)
        listing->node = expand_from(walk, listing->node);
    walk->unreached_count += walk->object_count - before;
    return walk->outcome == SURVEY_WHOLE;
}

/* The heads of the generations' lists: three of them, and then a pointer to the first. NULL: not there. */
static const uint64_t *find_generations(const uint64_t *words)
{
    for (const uint64_t *at = words; at < words + SEARCHED_WORDS; at++)
        if (at[GENERATIONS * GENERATION_WORDS] == (uint64_t)at)
            return at;
    return NULL;
}

static int take_list(const uint64_t *head, struct listing *listing)
{
    for (uint64_t at = *head & ~3ull; at && at != (uint64_t)head; at = python_read_word(at, 0) & ~3ull)
        if (!take_listed((void *)(at + GC_HEAD_BYTES), listing))
            return 0;
    return 1;
}

static void take_lists(struct object_walk *walk, const void *interpreter, struct listing *listing)
{
    const uint64_t *heads = find_generations(walk->layout->version == 0x0308 ? python_api.runtime : interpreter);
    if (!heads) {
        walk->outcome = SURVEY_UNKNOWN_PYTHON;
        return;
    }
    /* Behind them and the pointer, what gc.freeze has put away. */
    static const int places[] = {0, GENERATION_WORDS, 2 * GENERATION_WORDS, GENERATIONS * GENERATION_WORDS + 1};
    for (unsigned i = 0; i < ARRAY_LENGTH(places); i++)
        if (!take_list(heads + places[i], listing))
            return;
}

static void walk_all(struct object_walk *walk)
{
    void *interpreter = python_api.first_interpreter();
    add_modules(walk);
    add_frames(walk, interpreter);
    struct listing listing = {walk, expand_from(walk, 0)};
    if (has_to_stop(walk))
        return;
    if (walk->api->visit_objects)
        walk->api->visit_objects(take_listed, &listing);
    else
        take_lists(walk, interpreter, &listing);
}

static void prepare_targets(struct object_walk *walk)
{
    for (uint32_t i = 0; i < walk->survey->target_count; i++) {
        uint64_t index = filter_index(walk->survey->targets[i]);
        walk->filter[index / 64] |= 1ull << index % 64;
    }
}

void object_walk_run(const struct object_api *api, const struct object_layout *layout, struct session_header *session)
{
    static struct object_type_entry nobody;
    struct survey *survey = session_survey(session);
    uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    size_t type_bytes = TYPE_TABLE_CAPACITY * sizeof(struct object_type_entry);
    survey->start_ns = start_ns;
    struct object_walk *walk = pages_map(sizeof *walk);
    struct object_type_entry *types = walk ? pages_map(type_bytes) : NULL;
    uint32_t outcome = SURVEY_NO_MEMORY;
    if (types && object_memory_init(&walk->memory)) {
        walk->api = api;
        walk->layout = layout;
        walk->survey = survey;
        walk->ring = session_survey_ring(session);
        walk->head = atomic_load(&survey->head);
        walk->deadline_ns = start_ns + survey->pause_limit_ns;
        walk->types = types;
        walk->last_type = &nobody;
        prepare_targets(walk);
        walk_all(walk);
        object_paths_put(walk);
        publish(walk);
        survey->object_count = walk->object_count;
        survey->unreached_count = walk->unreached_count;
        outcome = walk->outcome;
    }
    survey->outcome = outcome;
    if (walk)
        object_memory_done(&walk->memory);
    if (types)
        pages_unmap(types, type_bytes);
    if (walk)
        pages_unmap(walk, sizeof *walk);
}
