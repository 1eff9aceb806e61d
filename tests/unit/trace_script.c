/* See trace_script.h. */
#include "trace_script.h"

#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

const struct trace_identity script_identity = {
    .session_id = 0x1122334455667788,
    .start_monotonic_ns = 123456789012345,
    .start_realtime_ns = 1700000000000000000,
    .sampling_interval_bytes = 0,
    .copy_threshold_bytes = 512,
    .pid = 4242,
    .parent_pid = 4241,
    .flags = TRACE_NATIVE,
};

/* ---- building ---- */

static struct script_step *add_step(struct script *script, int what)
{
    if (script->count == script->capacity) {
        script->capacity = 2 * script->capacity + 64;
        script->steps = realloc(script->steps, script->capacity * sizeof(*script->steps));
        CHECK(script->steps);
    }
    struct script_step *step = &script->steps[script->count++];
    memset(step, 0, sizeof(*step));
    step->what = what;
    return step;
}

void script_define(struct script *script, const struct trace_definition *definition)
{
    add_step(script, STEP_DEFINE)->definition = *definition;
    script->codes += definition->kind == TRACE_DEFINE_CODE;
    script->stacks += definition->kind == TRACE_DEFINE_NODE;
    script->modules += definition->kind == TRACE_DEFINE_MODULE;
    if (definition->kind == TRACE_DEFINE_THREAD && definition->thread.thread_id > script->threads)
        script->threads = definition->thread.thread_id;
}

void script_node(struct script *script, uint32_t caller_id)
{
    script_define(script, &(struct trace_definition){
        .kind = TRACE_DEFINE_NODE,
        .node = {.stack_id = script->stacks + 1, .caller_id = caller_id, .frame_kind = TRACE_FRAME_NATIVE,
                 .address = 0x1000 + 16 * (uint64_t)script->stacks},
    });
}

void script_flush(struct script *script)
{
    add_step(script, STEP_FLUSH);
}

void script_tally(struct script *script)
{
    add_step(script, STEP_TALLY);
}

static uint64_t level_total(const struct trace_level *level)
{
    return level->outside_bytes + (level->arena_bytes > level->object_bytes ? level->arena_bytes : level->object_bytes);
}

static void count_event(struct script *script)
{
    size_t index = script->totals.event_count++;
    script->totals.live_bytes = level_total(&script->level);
    if (index == script->level_capacity) {
        script->level_capacity = 2 * index + 64;
        script->levels = realloc(script->levels, script->level_capacity * sizeof(*script->levels));
        CHECK(script->levels);
    }
    script->levels[index] = (struct script_level){script->level, script->time_ns};
}

void script_find_peak(struct script *script)
{
    uint64_t highest = 0, highest_objects = 0;
    struct trace_totals *totals = &script->totals;
    totals->peak_bytes = totals->peak_event = totals->peak_time_ns = 0;
    for (size_t i = 0; i < totals->event_count; i++)
        if (level_total(&script->levels[i].level) > highest)
            highest = level_total(&script->levels[i].level);
    for (size_t i = 0; i < totals->event_count; i++)
        if (level_total(&script->levels[i].level) == highest && script->levels[i].level.object_bytes > highest_objects)
            highest_objects = script->levels[i].level.object_bytes;
    if (highest == 0)
        return;
    size_t first = 0;
    while (level_total(&script->levels[first].level) != highest || script->levels[first].level.object_bytes != highest_objects)
        first++;
    totals->peak_bytes = highest;
    totals->peak_event = first + 1;
    totals->peak_time_ns = script->levels[first].time_ns;
}

static void change_level(struct script *script, unsigned flags, uint64_t bytes)
{
    if (flags & TRACE_ARENA)
        script->level.arena_bytes += bytes;
    else if (flags & TRACE_IN_ARENA)
        script->level.object_bytes += bytes;
    else
        script->level.outside_bytes += bytes;
    count_event(script);
}

static uint32_t take_slot(struct script *script, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    uint32_t slot;
    if (script->free_count) {
        slot = script->free_list[--script->free_count];
    } else {
        slot = script->slot_count++;
        if (slot == script->slot_capacity) {
            script->slot_capacity = 2 * slot + 64;
            script->slots = realloc(script->slots, script->slot_capacity * sizeof(*script->slots));
            script->free_list = realloc(script->free_list, script->slot_capacity * sizeof(*script->free_list));
            CHECK(script->slots && script->free_list);
        }
    }
    script->slots[slot] = (struct script_slot){1, size_bytes, stack_id, flags};
    script->live_count++;
    return slot;
}

uint32_t script_allocate(struct script *script, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    uint32_t slot = take_slot(script, size_bytes, stack_id, flags);
    add_step(script, STEP_EVENT)->event =
        (struct trace_event){.kind = TRACE_ALLOCATE, .flags = (uint8_t)flags, .slot = slot, .stack_id = stack_id, .size_bytes = size_bytes};
    if (!(flags & (TRACE_ARENA | TRACE_INHERITED))) {
        script->totals.allocations++;
        script->totals.allocated_bytes += size_bytes;
    }
    change_level(script, flags, size_bytes);
    return slot;
}

void script_free(struct script *script, uint32_t slot, unsigned flags)
{
    struct script_slot *freed = &script->slots[slot];
    CHECK(freed->live);
    add_step(script, STEP_EVENT)->event = (struct trace_event){
        .kind = TRACE_FREE, .flags = (uint8_t)flags, .slot = slot, .stack_id = freed->stack_id, .size_bytes = freed->size_bytes};
    freed->live = 0;
    script->free_list[script->free_count++] = slot;
    script->live_count--;
    change_level(script, freed->flags, (uint64_t)0 - freed->size_bytes);
}

void script_event(struct script *script, struct trace_event event)
{
    switch (event.kind) {
    case TRACE_SHRINK:
        script->slots[event.slot].size_bytes -= event.size_bytes;
        change_level(script, script->slots[event.slot].flags, (uint64_t)0 - event.size_bytes);
        break;
    case TRACE_COPY:
        count_event(script);
        script->totals.copies++;
        script->totals.copied_bytes += event.size_bytes;
        script->big_copies++;
        script->big_copied_bytes += event.size_bytes;
        break;
    case TRACE_UNDO_FREE:
        event.slot = take_slot(script, event.size_bytes, event.stack_id, event.flags);
        change_level(script, event.flags, event.size_bytes);
        break;
    case TRACE_TIME:
        script->time_ns = event.time_ns;
        break;
    case TRACE_THREAD:
        script->thread_id = event.thread_id;
        break;
    case TRACE_RSS:
        if (event.size_bytes > script->totals.peak_rss_bytes)
            script->totals.peak_rss_bytes = event.size_bytes;
        break;
    case TRACE_LOST:
        script->totals.lost_events = event.size_bytes;
        break;
    case TRACE_SMALL_COPIES:
        script->small_copies = event.count;
        script->totals.copies = script->big_copies + event.count;
        script->totals.copied_bytes = script->big_copied_bytes + event.size_bytes;
        break;
    case TRACE_UNKNOWN_FREES:
        script->totals.unknown_frees = event.count;
        break;
    case TRACE_SAMPLING:
        script->is_resampled = 1;
        break;
    }
    add_step(script, STEP_EVENT)->event = event;
}

void script_done(struct script *script)
{
    free(script->steps);
    free(script->slots);
    free(script->free_list);
    free(script->levels);
    *script = (struct script){0};
}

/* ---- at random ---- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz.pyabcdefghijklmnopqrstuvwxyz";

static uint64_t below(uint64_t *random, uint64_t bound)
{
    return check_random(random) % bound;
}

static void define_at_random(struct script *script, uint64_t *random)
{
    struct trace_definition definition = {.kind = (uint8_t)below(random, 5)};
    const char *text = letters + below(random, 20);
    uint32_t bytes = (uint32_t)below(random, 40);
    switch (definition.kind) {
    case TRACE_DEFINE_CODE:
        definition.code.code_id = script->codes + 1;
        definition.code.first_line = (int32_t)below(random, 5000) - 10;
        definition.code.python_version = 0x0308 + (uint32_t)below(random, 7);
        definition.code.file = text;
        definition.code.file_bytes = bytes;
        definition.code.name = letters;
        definition.code.name_bytes = (uint32_t)below(random, 10);
        definition.code.line_table = (const uint8_t *)letters + 3;
        definition.code.line_table_bytes = (uint32_t)below(random, 60);
        break;
    case TRACE_DEFINE_NODE:
        definition.node.stack_id = script->stacks + 1;
        definition.node.caller_id = (uint32_t)below(random, script->stacks + 1);
        definition.node.frame_kind = (uint8_t)(script->codes ? below(random, 3) : TRACE_FRAME_NATIVE);
        if (definition.node.frame_kind == TRACE_FRAME_PYTHON) {
            definition.node.code_id = 1 + (uint32_t)below(random, script->codes);
            definition.node.instruction = (int32_t)below(random, 3000) - 2;
        } else if (definition.node.frame_kind == TRACE_FRAME_NATIVE) {
            definition.node.module_id = (uint32_t)below(random, script->modules + 1);
            definition.node.address = check_random(random) >> below(random, 64);
        }
        break;
    case TRACE_DEFINE_MODULE:
        definition.module.module_id = script->modules + 1;
        definition.module.load_bias = check_random(random);
        definition.module.start = check_random(random) >> 20;
        definition.module.end = definition.module.start + 4096;
        definition.module.path = text;
        definition.module.path_bytes = bytes;
        definition.module.build_id = (const uint8_t *)letters;
        definition.module.build_id_bytes = 20;
        break;
    case TRACE_DEFINE_THREAD:
        definition.thread.thread_id = 1 + (uint32_t)below(random, script->threads + 1);
        definition.thread.kernel_id = (uint32_t)below(random, 100000);
        definition.thread.name = text;
        definition.thread.name_bytes = (uint32_t)below(random, 16);
        break;
    case TRACE_DEFINE_PROPERTY:
        definition.property.key = letters;
        definition.property.key_bytes = 1 + (uint32_t)below(random, 8);
        definition.property.value = text;
        definition.property.value_bytes = bytes;
        break;
    }
    script_define(script, &definition);
}

static uint32_t live_slot_at_random(struct script *script, uint64_t *random)
{
    uint32_t slot = (uint32_t)below(random, script->slot_count);
    while (!script->slots[slot].live)
        slot = (slot + 1) % script->slot_count;
    return slot;
}

static unsigned flags_at_random(uint64_t *random)
{
    static const unsigned usual[] = {0, 0, 0, TRACE_OBJECT, TRACE_OBJECT | TRACE_IN_ARENA, TRACE_OBJECT | TRACE_IN_ARENA,
                                     TRACE_ARENA | TRACE_MAPPING, TRACE_MAPPING, TRACE_REALLOC, TRACE_INHERITED, 0x3f};
    return usual[below(random, sizeof(usual) / sizeof(usual[0]))];
}

static uint64_t size_at_random(uint64_t *random)
{
    switch (below(random, 8)) {
    case 0:
        return check_random(random) >> (8 + below(random, 50)); /* up to 2^56 - 1 */
    case 1:
        return 0;
    default:
        return 16 * below(random, 40);
    }
}

/* A loop as programs have them: the same few allocations over and over, freed last in first out or first in first out. */
static void loop_at_random(struct script *script, uint64_t *random)
{
    uint32_t slots[8], stacks[8];
    uint64_t sizes[8];
    unsigned count = 1 + (unsigned)below(random, 8), rounds = 1 + (unsigned)below(random, 300), fifo = (unsigned)below(random, 2);
    for (unsigned i = 0; i < count; i++) {
        stacks[i] = (uint32_t)below(random, script->stacks + 1);
        sizes[i] = 16 * below(random, 10);
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < count; i++)
            slots[i] = script_allocate(script, sizes[i], stacks[i], i & 1 ? TRACE_OBJECT : 0);
        for (unsigned i = 0; i < count; i++)
            if (i || round % 3)
                script_free(script, slots[fifo ? i : count - 1 - i], i == 2 ? TRACE_REALLOC : 0);
        if (fifo)
            script_event(script, (struct trace_event){.kind = TRACE_COPY, .size_bytes = sizes[0], .stack_id = stacks[0]});
    }
}

static void other_at_random(struct script *script, uint64_t *random)
{
    struct trace_totals *totals = &script->totals;
    switch (below(random, 8)) {
    case 0:
        script_event(script, (struct trace_event){
                                 .kind = TRACE_TIME, .time_ns = script->time_ns + 1 + (check_random(random) >> (24 + below(random, 40)))});
        break;
    case 1: {
        uint32_t thread_id = (uint32_t)below(random, script->threads + 1);
        if (thread_id != script->thread_id)
            script_event(script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = thread_id});
        break;
    }
    case 2:
        script_event(script, (struct trace_event){.kind = TRACE_RSS, .size_bytes = check_random(random) >> 30});
        break;
    case 3:
        script_event(script, (struct trace_event){.kind = TRACE_LOST, .size_bytes = totals->lost_events + 1 + below(random, 100)});
        break;
    case 4: {
        uint64_t small = script->small_copies + 1 + below(random, 1000);
        script_event(script, (struct trace_event){.kind = TRACE_SMALL_COPIES, .count = small, .size_bytes = 100 * small});
        break;
    }
    case 5:
        script_event(script, (struct trace_event){.kind = TRACE_UNKNOWN_FREES, .count = totals->unknown_frees + 1});
        break;
    case 6:
        if (script->live_count) {
            uint32_t slot = live_slot_at_random(script, random);
            uint64_t size_bytes = script->slots[slot].size_bytes;
            script_event(script, (struct trace_event){.kind = TRACE_SHRINK, .slot = slot, .size_bytes = below(random, size_bytes + 1)});
        }
        break;
    case 7:
        script_event(script, (struct trace_event){.kind = TRACE_UNDO_FREE, .size_bytes = size_at_random(random),
                                                  .stack_id = (uint32_t)below(random, script->stacks + 1),
                                                  .flags = (uint8_t)flags_at_random(random)});
        break;
    }
}

static void step_at_random(struct script *script, uint64_t *random, size_t steps)
{
    uint64_t choice = below(random, 1000);
    uint32_t stack_id = (uint32_t)below(random, script->stacks + 1);
    if (choice < 80)
        define_at_random(script, random);
    else if (choice < 85)
        script_flush(script);
    else if (choice < 88 && steps - script->count > 5000)
        loop_at_random(script, random);
    else if (choice < 150)
        other_at_random(script, random);
    else if (choice < 200)
        script_event(script, (struct trace_event){.kind = TRACE_COPY, .size_bytes = size_at_random(random), .stack_id = stack_id});
    else if (choice < 640 || !script->live_count)
        script_allocate(script, size_at_random(random), stack_id, flags_at_random(random));
    else
        script_free(script, live_slot_at_random(script, random), choice & 1 ? TRACE_REALLOC : 0);
}

void script_random(struct script *script, uint64_t seed, size_t steps)
{
    *script = (struct script){0};
    script_random_more(script, seed, steps);
}

void script_random_more(struct script *script, uint64_t seed, size_t steps)
{
    uint64_t random = seed * 0x9e3779b97f4a7c15ull + 1;
    while (script->count < steps)
        step_at_random(script, &random, steps);
}

/* ---- writing ---- */

/* The slot that an allocation got: the script's own, or another to remember. */
static void note_slot(const struct trace_event *event, uint32_t *slots, uint32_t slot)
{
    if (slots)
        slots[event->slot] = slot;
    else
        CHECK_EQUAL(slot, event->slot);
}

void script_write_event(const struct trace_event *event, struct trace_writer *writer, uint32_t *slots)
{
    switch (event->kind) {
    case TRACE_ALLOCATE:
        note_slot(event, slots, trace_writer_allocate(writer, event->size_bytes, event->stack_id, event->flags));
        break;
    case TRACE_FREE:
        trace_writer_free(writer, slots ? slots[event->slot] : event->slot, event->flags);
        break;
    case TRACE_SHRINK:
        trace_writer_shrink(writer, slots ? slots[event->slot] : event->slot, event->size_bytes);
        break;
    case TRACE_COPY:
        trace_writer_copy(writer, event->size_bytes, event->stack_id);
        break;
    case TRACE_UNDO_FREE:
        note_slot(event, slots, trace_writer_undo_free(writer, event->size_bytes, event->stack_id, event->flags));
        break;
    case TRACE_TIME:
        trace_writer_time(writer, event->time_ns);
        break;
    case TRACE_THREAD:
        trace_writer_thread(writer, event->thread_id);
        break;
    case TRACE_RSS:
        trace_writer_rss(writer, event->size_bytes);
        break;
    case TRACE_LOST:
        trace_writer_lost(writer, event->size_bytes);
        break;
    case TRACE_SMALL_COPIES:
        trace_writer_small_copies(writer, event->count, event->size_bytes);
        break;
    case TRACE_UNKNOWN_FREES:
        trace_writer_unknown_frees(writer, event->count);
        break;
    case TRACE_SAMPLING:
        trace_writer_sampling(writer, event->size_bytes);
        break;
    }
}

void script_write(const struct script *script, struct trace_writer *writer)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct script_step *step = &script->steps[i];
        if (step->what == STEP_EVENT)
            script_write_event(&step->event, writer, NULL);
        else if (step->what == STEP_DEFINE)
            CHECK_EQUAL(trace_writer_define(writer, &step->definition), 0);
        else if (step->what == STEP_FLUSH)
            trace_writer_flush(writer);
        else
            trace_writer_begin_tally(writer);
    }
}

int script_open_file(void)
{
    int file = memfd_create("trace", MFD_CLOEXEC);
    CHECK(file >= 0);
    return file;
}

int script_record(struct script *script, int end_reason)
{
    struct trace_writer *writer;
    int file = script_open_file();
    struct trace_identity identity = script_identity;
    identity.sampling_interval_bytes = script->sampling_interval_bytes;
    CHECK_EQUAL(trace_writer_open(file, &identity, &writer), 0);
    script_write(script, writer);
    script_find_peak(script);
    CHECK_EQUAL(trace_writer_failed(writer), 0);
    check_totals(trace_writer_totals(writer), &script->totals);
    struct trace_end end = {.reason = (uint32_t)end_reason, .status = 3, .time_ns = script->time_ns + 17};
    trace_writer_close(writer, end_reason < 0 ? NULL : &end);
    return file;
}

/* ---- reading ---- */

int script_reader(int file, struct trace_reader **ret_reader, struct status_detail *detail)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    return trace_reader_open(path, ret_reader, detail);
}

static size_t next_step(const struct script *script, size_t from, int what)
{
    while (from < script->count && (int)script->steps[from].what != what)
        from++;
    return from;
}

static void check_text(const void *actual, uint32_t actual_bytes, const void *expected, uint32_t expected_bytes)
{
    CHECK_EQUAL(actual_bytes, expected_bytes);
    if (expected_bytes)
        CHECK_BYTES(actual, expected, expected_bytes);
}

static void check_definition(const struct trace_definition *actual, const struct trace_definition *expected)
{
    CHECK_EQUAL(actual->kind, expected->kind);
    switch (actual->kind) {
    case TRACE_DEFINE_CODE:
        CHECK_EQUAL(actual->code.code_id, expected->code.code_id);
        CHECK_EQUAL(actual->code.first_line, expected->code.first_line);
        CHECK_EQUAL(actual->code.python_version, expected->code.python_version);
        check_text(actual->code.file, actual->code.file_bytes, expected->code.file, expected->code.file_bytes);
        check_text(actual->code.name, actual->code.name_bytes, expected->code.name, expected->code.name_bytes);
        check_text(actual->code.line_table, actual->code.line_table_bytes, expected->code.line_table, expected->code.line_table_bytes);
        break;
    case TRACE_DEFINE_NODE:
        CHECK_EQUAL(actual->node.stack_id, expected->node.stack_id);
        CHECK_EQUAL(actual->node.caller_id, expected->node.caller_id);
        CHECK_EQUAL(actual->node.frame_kind, expected->node.frame_kind);
        CHECK_EQUAL(actual->node.code_id, expected->node.code_id);
        CHECK_EQUAL(actual->node.instruction, expected->node.instruction);
        CHECK_EQUAL(actual->node.module_id, expected->node.module_id);
        CHECK_EQUAL(actual->node.address, expected->node.address);
        break;
    case TRACE_DEFINE_MODULE:
        CHECK_EQUAL(actual->module.module_id, expected->module.module_id);
        CHECK_EQUAL(actual->module.load_bias, expected->module.load_bias);
        CHECK_EQUAL(actual->module.start, expected->module.start);
        CHECK_EQUAL(actual->module.end, expected->module.end);
        check_text(actual->module.path, actual->module.path_bytes, expected->module.path, expected->module.path_bytes);
        check_text(actual->module.build_id, actual->module.build_id_bytes, expected->module.build_id, expected->module.build_id_bytes);
        break;
    case TRACE_DEFINE_THREAD:
        CHECK_EQUAL(actual->thread.thread_id, expected->thread.thread_id);
        CHECK_EQUAL(actual->thread.kernel_id, expected->thread.kernel_id);
        check_text(actual->thread.name, actual->thread.name_bytes, expected->thread.name, expected->thread.name_bytes);
        break;
    default:
        check_text(actual->property.key, actual->property.key_bytes, expected->property.key, expected->property.key_bytes);
        check_text(actual->property.value, actual->property.value_bytes, expected->property.value, expected->property.value_bytes);
    }
}

static void check_event(const struct trace_reader *reader, const struct trace_event *actual, const struct trace_event *expected)
{
    CHECK_EQUAL(actual->kind, expected->kind);
    if (actual->kind <= TRACE_UNDO_FREE) {
        CHECK_EQUAL(actual->size_bytes, expected->size_bytes);
        if (actual->kind != TRACE_COPY)
            CHECK_EQUAL(actual->slot, expected->slot);
        if (actual->kind != TRACE_SHRINK) {
            CHECK_EQUAL(actual->stack_id, expected->stack_id);
            CHECK_EQUAL(actual->flags, expected->flags);
        }
        if (actual->kind == TRACE_FREE) {
            const struct live_slot *slot = &trace_reader_slots(reader)->slots[actual->slot];
            CHECK(live_slot_is_live(slot));
            CHECK_EQUAL(live_slots_size(trace_reader_slots(reader), actual->slot), expected->size_bytes);
            CHECK_EQUAL(slot->stack_id, expected->stack_id);
        }
    }
    if (actual->kind == TRACE_TIME)
        CHECK_EQUAL(actual->time_ns, expected->time_ns);
    if (actual->kind == TRACE_THREAD)
        CHECK_EQUAL(actual->thread_id, expected->thread_id);
    if (actual->kind == TRACE_RSS || actual->kind == TRACE_SAMPLING || actual->kind == TRACE_LOST || actual->kind == TRACE_SMALL_COPIES)
        CHECK_EQUAL(actual->size_bytes, expected->size_bytes);
    if (actual->kind == TRACE_SMALL_COPIES || actual->kind == TRACE_UNKNOWN_FREES)
        CHECK_EQUAL(actual->count, expected->count);
}

struct script_progress script_check(const struct script *script, struct trace_reader *reader, struct status_detail *detail)
{
    struct script_progress progress = {0};
    size_t event_step = next_step(script, 0, STEP_EVENT), definition_step = next_step(script, 0, STEP_DEFINE);
    struct trace_definition definition;
    struct trace_event event;
    while ((progress.status = trace_reader_next_block(reader, detail)) == 0) {
        while ((progress.status = trace_reader_next_definition(reader, &definition, detail)) == 0) {
            CHECK(definition_step < script->count);
            check_definition(&definition, &script->steps[definition_step].definition);
            definition_step = next_step(script, definition_step + 1, STEP_DEFINE);
            progress.definitions++;
        }
        if (progress.status != STATUS_END)
            break;
        while ((progress.status = trace_reader_next_event(reader, &event, detail)) == 0) {
            CHECK(event_step < script->count);
            check_event(reader, &event, &script->steps[event_step].event);
            event_step = next_step(script, event_step + 1, STEP_EVENT);
            progress.events++;
        }
        if (progress.status != STATUS_END)
            break;
    }
    return progress;
}

static size_t count_steps(const struct script *script, int what)
{
    size_t count = 0;
    for (size_t i = 0; i < script->count; i++)
        count += (int)script->steps[i].what == what;
    return count;
}

size_t script_event_steps(const struct script *script)
{
    return count_steps(script, STEP_EVENT);
}

size_t script_definition_steps(const struct script *script)
{
    return count_steps(script, STEP_DEFINE);
}

void check_totals(const struct trace_totals *actual, const struct trace_totals *expected)
{
    CHECK_EQUAL(actual->event_count, expected->event_count);
    CHECK_EQUAL(actual->allocated_bytes, expected->allocated_bytes);
    CHECK_EQUAL(actual->allocations, expected->allocations);
    CHECK_EQUAL(actual->copied_bytes, expected->copied_bytes);
    CHECK_EQUAL(actual->copies, expected->copies);
    CHECK_EQUAL(actual->lost_events, expected->lost_events);
    CHECK_EQUAL(actual->unknown_frees, expected->unknown_frees);
    CHECK_EQUAL(actual->peak_bytes, expected->peak_bytes);
    CHECK_EQUAL(actual->peak_event, expected->peak_event);
    CHECK_EQUAL(actual->peak_time_ns, expected->peak_time_ns);
    CHECK_EQUAL(actual->peak_rss_bytes, expected->peak_rss_bytes);
    CHECK_EQUAL(actual->live_bytes, expected->live_bytes);
}
