/* Random traces against a model that does everything the slow way; and traces of pure noise, which must only not break anything. */
#include <unistd.h>

#include "check.h"
#include "report_check.h"

#define MAX_STACKS 64
#define MAX_THREADS 5
#define WINDOWS 32

/* ---- made-up programs ---- */

struct program {
    struct script script;
    uint64_t random;
    uint32_t pending_slot[MAX_THREADS + 1]; /* freed by a realloc that is still to fail; its contents below */
    struct script_slot pending[MAX_THREADS + 1];
};

static uint64_t below(struct program *program, uint64_t bound)
{
    return check_random(&program->random) % bound;
}

static uint32_t any_live_slot(struct program *program)
{
    uint32_t slot = (uint32_t)below(program, program->script.slot_count);
    while (!program->script.slots[slot].live)
        slot = (slot + 1) % program->script.slot_count;
    return slot;
}

static void allocate(struct program *program)
{
    const unsigned in_arena = TRACE_OBJECT | TRACE_IN_ARENA, flags[] = {0, 0, TRACE_OBJECT, in_arena, in_arena, TRACE_MAPPING, TRACE_REALLOC};
    struct script *script = &program->script;
    uint32_t stack_id = (uint32_t)below(program, script->stacks + 1);
    if (below(program, 20) == 0)
        script_allocate(script, 4096 * below(program, 4), stack_id, TRACE_ARENA | TRACE_MAPPING);
    else
        script_allocate(script, below(program, 500), stack_id, flags[below(program, 7)]);
}

static void free_or_fail(struct program *program)
{
    struct script *script = &program->script;
    uint32_t thread = script->thread_id, slot = any_live_slot(program);
    if (below(program, 10) || program->pending[thread].live) {
        script_free(script, slot, 0);
        return;
    }
    program->pending[thread] = script->slots[slot];
    script_free(script, slot, TRACE_REALLOC);
}

static void step(struct program *program)
{
    struct script *script = &program->script;
    uint32_t thread = script->thread_id;
    uint64_t choice = below(program, 100);
    if (program->pending[thread].live && choice < 60) {
        /* The thread itself does nothing between the deallocation and its undoing. */
        struct script_slot *block = &program->pending[thread];
        if (below(program, 2))
            script_undo_free(script, block->size_bytes, block->stack_id, block->flags);
        else
            script_allocate(script, block->size_bytes + 1, block->stack_id, TRACE_REALLOC);
        block->live = 0;
    } else if (program->pending[thread].live || choice < 10) {
        uint32_t next = (uint32_t)below(program, script->threads + 1);
        if (next != thread)
            script_switch(script, next);
    } else if (choice < 13) {
        script_time(script, script->time_ns + 1 + below(program, 100000));
    } else if (choice < 16) {
        script_copy(script, below(program, 10000), (uint32_t)below(program, script->stacks + 1));
    } else if (choice == 16 && script->stacks < MAX_STACKS - 1) {
        script_node(script, (uint32_t)below(program, script->stacks + 1));
    } else if (choice == 17 && script->live_count) {
        uint32_t slot = any_live_slot(program);
        uint64_t size_bytes = below(program, script->slots[slot].size_bytes + 1);
        script_event(script, (struct trace_event){.kind = TRACE_SHRINK, .slot = slot, .size_bytes = size_bytes});
    } else if (choice == 18) {
        script_flush(script);
    } else if (choice < 60 || !script->live_count) {
        allocate(program);
    } else {
        free_or_fail(program);
    }
}

/* From here on events are added up. Every thread has just allocated: of reallocations that fail across this instant a writer doesn't know
 * whether the block would have been temporary. */
static void begin_tally(struct program *program)
{
    struct script *script = &program->script;
    for (uint32_t thread = 0; thread <= script->threads; thread++) {
        program->pending[thread].live = 0;
        script_switch(script, thread);
        for (uint64_t i = below(program, 3) + 1; i > 0; i--)
            script_allocate(script, 16, (uint32_t)below(program, script->stacks + 1), 0);
        if (below(program, 2))
            script_allocate(script, 4096, 0, TRACE_ARENA);
    }
    script_tally(script);
}

static void make_program(struct program *program, uint64_t seed, size_t steps, size_t listed)
{
    *program = (struct program){.random = seed * 0x9e3779b97f4a7c15ull + 1};
    struct script *script = &program->script;
    for (uint32_t i = 0; i < 1 + seed % 20; i++)
        script_node(script, (uint32_t)below(program, script->stacks + 1));
    for (uint32_t i = 1; i <= seed % MAX_THREADS; i++)
        script_thread(script, i, "thread");
    if (seed % 3 == 0)
        for (int i = 0; i < 30; i++)
            script_allocate(script, below(program, 3000), (uint32_t)below(program, script->stacks + 1),
                            TRACE_INHERITED | (unsigned)(below(program, 4) ? 0 : TRACE_ARENA));
    while (script->count < steps && script->count < listed)
        step(program);
    if (script->count < steps)
        begin_tally(program);
    while (script->count < steps)
        step(program);
    script_event(script, (struct trace_event){.kind = TRACE_SMALL_COPIES, .size_bytes = 640 * seed, .count = 10 * seed});
}

/* ---- the model ---- */

struct block {
    uint64_t size_bytes, birth_ns, number; /* number: among the allocations of its thread */
    uint32_t stack_id, thread_id, slot;
    unsigned flags;
    int counted_temporary, late, moved;
};

struct model_stack {
    uint64_t live_bytes, live_count, allocated_bytes, allocations, temporary, copied_bytes, copies;
};

struct model {
    struct block blocks[5000], freed[MAX_THREADS + 1]; /* by slot; the last deallocation of each thread */
    int live[5000];
    struct model_stack stacks[MAX_STACKS], peak[MAX_STACKS], windows[WINDOWS][MAX_STACKS];
    uint64_t allocations[MAX_THREADS + 1];
    uint64_t arena_bytes, object_bytes, outside_bytes, peak_bytes, peak_objects, peak_slack, events, peak_event;
    uint64_t time_ns, duration_ns;
    uint32_t thread_id, window_count;
    uint64_t late_ns; /* when the event stream ended */
    int late;         /* it has */
};

static uint64_t heap_bytes(const struct model *model)
{
    return model->outside_bytes + (model->arena_bytes > model->object_bytes ? model->arena_bytes : model->object_bytes);
}

static uint64_t slack_bytes(const struct model *model)
{
    return model->arena_bytes > model->object_bytes ? model->arena_bytes - model->object_bytes : 0;
}

/* Everything that is live, added up anew. */
static void add_up(struct model *model)
{
    model->arena_bytes = model->object_bytes = model->outside_bytes = 0;
    for (int i = 0; i < MAX_STACKS; i++)
        model->stacks[i].live_bytes = model->stacks[i].live_count = 0;
    for (int slot = 0; slot < 5000; slot++) {
        const struct block *block = &model->blocks[slot];
        if (!model->live[slot])
            continue;
        if (block->flags & TRACE_ARENA) {
            model->arena_bytes += block->size_bytes;
            continue;
        }
        *(block->flags & TRACE_IN_ARENA ? &model->object_bytes : &model->outside_bytes) += block->size_bytes;
        model->stacks[block->stack_id].live_bytes += block->size_bytes;
        model->stacks[block->stack_id].live_count++;
    }
    uint64_t bytes = heap_bytes(model);
    if (bytes > model->peak_bytes || (bytes == model->peak_bytes && model->object_bytes > model->peak_objects)) {
        model->peak_bytes = bytes;
        model->peak_objects = model->object_bytes;
        model->peak_slack = slack_bytes(model);
        model->peak_event = model->events;
        memcpy(model->peak, model->stacks, sizeof model->peak);
    }
}

static void model_allocate(struct model *model, const struct trace_event *event)
{
    struct block block = {.size_bytes = event->size_bytes, .birth_ns = model->time_ns, .stack_id = event->stack_id, .slot = event->slot,
                          .thread_id = model->thread_id, .flags = event->flags, .late = model->late};
    if (!(event->flags & (TRACE_ARENA | TRACE_INHERITED))) {
        block.number = ++model->allocations[model->thread_id];
        model->stacks[event->stack_id].allocated_bytes += event->size_bytes;
        model->stacks[event->stack_id].allocations++;
    }
    model->blocks[event->slot] = block;
    model->live[event->slot] = 1;
}

static void model_free(struct model *model, uint32_t slot)
{
    struct block *block = &model->blocks[slot];
    block->counted_temporary = block->number && block->number == model->allocations[block->thread_id];
    model->stacks[block->stack_id].temporary += block->counted_temporary;
    model->freed[model->thread_id] = *block;
    model->live[slot] = 0;
}

static void model_undo(struct model *model, const struct trace_event *event)
{
    struct block *block = &model->freed[model->thread_id];
    CHECK(block->size_bytes == event->size_bytes && block->stack_id == event->stack_id);
    model->stacks[block->stack_id].temporary -= block->counted_temporary;
    /* A tally names a block of the events by its slot; one that has moved counts as new. */
    if (model->late && !block->late && block->slot != event->slot) {
        block->birth_ns = model->time_ns;
        block->late = 1;
    }
    block->slot = event->slot;
    block->moved = !block->late;
    model->blocks[event->slot] = *block;
    model->live[event->slot] = 1;
}

static void model_time(struct model *model, uint64_t time_ns)
{
    for (; model->window_count < WINDOWS - 1 && time_ns >= model->duration_ns * (model->window_count + 1) / WINDOWS; model->window_count++)
        memcpy(model->windows[model->window_count], model->stacks, sizeof model->stacks);
    model->time_ns = time_ns;
}

static void model_event(struct model *model, const struct trace_event *event)
{
    model->events += event->kind <= TRACE_UNDO_FREE;
    if (event->kind == TRACE_ALLOCATE)
        model_allocate(model, event);
    else if (event->kind == TRACE_FREE)
        model_free(model, event->slot);
    else if (event->kind == TRACE_SHRINK)
        model->blocks[event->slot].size_bytes -= event->size_bytes;
    else if (event->kind == TRACE_UNDO_FREE)
        model_undo(model, event);
    else if (event->kind == TRACE_THREAD)
        model->thread_id = event->thread_id;
    else if (event->kind == TRACE_TIME)
        model_time(model, event->time_ns);
    else if (event->kind == TRACE_COPY) {
        model->stacks[event->stack_id].copied_bytes += event->size_bytes;
        model->stacks[event->stack_id].copies++;
    }
    add_up(model);
}

/* ---- comparison ---- */

static int64_t stack_column(sqlite3 *database, uint32_t stack_id, const char *column)
{
    return report_number(database, "SELECT coalesce((SELECT %s FROM stack_use WHERE stack_id = %u), 0)", column, stack_id);
}

static void compare_births(sqlite3 *database, const struct model *model, uint32_t stack_id)
{
    uint64_t oldest = UINT64_MAX, newest = 0;
    for (int slot = 0; slot < 5000; slot++) {
        const struct block *block = &model->blocks[slot];
        if (!model->live[slot] || block->flags & TRACE_ARENA || block->stack_id != stack_id)
            continue;
        /* Among blocks of the events a tally looks for the order of allocations, which forgets what a failed reallocation has moved. */
        if (block->moved && model->late)
            return;
        /* Blocks of a tally are known to the millisecond. */
        uint64_t birth_ns = block->birth_ns;
        if (block->late)
            birth_ns = birth_ns >> 20 << 20 > model->late_ns ? birth_ns >> 20 << 20 : model->late_ns;
        oldest = birth_ns < oldest ? birth_ns : oldest;
        newest = birth_ns > newest ? birth_ns : newest;
    }
    if (oldest == UINT64_MAX)
        return;
    CHECK_EQUAL(stack_column(database, stack_id, "oldest_live_ns"), oldest);
    CHECK_EQUAL(stack_column(database, stack_id, "newest_live_ns"), newest);
}

static void compare_stack(sqlite3 *database, const struct model *model, uint32_t stack_id)
{
    const struct model_stack *stack = &model->stacks[stack_id];
    CHECK_EQUAL(stack_column(database, stack_id, "live_bytes"), stack->live_bytes);
    CHECK_EQUAL(stack_column(database, stack_id, "live_allocations"), stack->live_count);
    CHECK_EQUAL(stack_column(database, stack_id, "allocated_bytes"), stack->allocated_bytes);
    CHECK_EQUAL(stack_column(database, stack_id, "allocations"), stack->allocations);
    CHECK_EQUAL(stack_column(database, stack_id, "temporary_allocations"), stack->temporary);
    CHECK_EQUAL(stack_column(database, stack_id, "copied_bytes"), stack->copied_bytes);
    CHECK_EQUAL(stack_column(database, stack_id, "copies"), stack->copies);
    CHECK_EQUAL(stack_column(database, stack_id, "peak_bytes"), model->peak[stack_id].live_bytes);
    CHECK_EQUAL(stack_column(database, stack_id, "peak_allocations"), model->peak[stack_id].live_count);
    compare_births(database, model, stack_id);
    for (uint32_t window = 0; window < WINDOWS && stack->live_count && !model->late; window++)
        CHECK_EQUAL(report_number(database, "SELECT coalesce((SELECT live_bytes FROM window_use WHERE stack_id = %u AND window_id = %u), 0)",
                                  stack_id, window), model->windows[window][stack_id].live_bytes);
}

static void compare(sqlite3 *database, const struct model *model, uint32_t stacks)
{
    check_report_rules(database);
    CHECK_EQUAL(report_number(database, "SELECT peak_bytes FROM summary"), model->peak_bytes);
    CHECK_EQUAL(report_number(database, "SELECT peak_event FROM summary"), model->peak_event);
    CHECK_EQUAL(report_number(database, "SELECT event_count FROM summary"), model->events);
    CHECK_EQUAL(report_number(database, "SELECT live_bytes_at_end FROM summary"), heap_bytes(model));
    CHECK_EQUAL(report_number(database, "SELECT coalesce((SELECT peak_bytes FROM stack_use WHERE stack_id = -1), 0)"), model->peak_slack);
    CHECK_EQUAL(report_number(database, "SELECT coalesce((SELECT live_bytes FROM stack_use WHERE stack_id = -1), 0)"), slack_bytes(model));
    for (uint32_t stack_id = 0; stack_id <= stacks; stack_id++)
        compare_stack(database, model, stack_id);
}

/* With `listed` below the number of steps, the rest is in tallies. */
static void random_programs(uint64_t first_seed, uint64_t last_seed, size_t listed)
{
    static struct model model;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
        struct program program;
        make_program(&program, seed, seed % 4 ? 1500 : 30, listed);
        CHECK(program.script.slot_count < 5000);
        model = (struct model){.duration_ns = program.script.time_ns + 17};
        for (size_t i = 0; i < program.script.count; i++) {
            if (program.script.steps[i].what == STEP_EVENT)
                model_event(&model, &program.script.steps[i].event);
            else if (program.script.steps[i].what == STEP_TALLY)
                model.late = 1, model.late_ns = model.time_ns;
        }
        model_time(&model, model.duration_ns);
        memcpy(model.windows[WINDOWS - 1], model.stacks, sizeof model.stacks);
        sqlite3 *database = report_open(script_save(&program.script, "program", TRACE_END_EXIT));
        CHECK_STRING(report_text(database, "SELECT damage FROM summary"), "NULL");
        compare(database, &model, program.script.stacks);
        sqlite3_close(database);
        script_done(&program.script);
    }
}

/* Sizes near the format's limit, times that overflow an hour or a century, tables of letters for lines, modules that don't exist. */
static void noise(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct script script;
        script_random(&script, seed, 20000);
        sqlite3 *database = report_open(script_save(&script, "noise", seed % 2 ? TRACE_END_EXIT : -1));
        CHECK_EQUAL(report_number(database, "SELECT event_count FROM summary"), script.totals.event_count);
        CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack"), script.stacks + 3);
        CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack_text"), script.stacks + 3);
        sqlite3_close(database);
        script_done(&script);
    }
}

int main(void)
{
    test_folder();
    random_programs(1, 24, SIZE_MAX);
    random_programs(101, 112, 0);
    random_programs(113, 124, 20);
    random_programs(125, 136, 700);
    random_programs(137, 142, 1400);
    noise();
    test_folder_remove();
    return 0;
}
