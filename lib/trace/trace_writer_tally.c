/* The writer once its trace has grown as large as it may: events are added up (tally.h), and tally blocks written now and then, so that
 * little is lost if the collector is killed, and at the end. Also what keeps the file within its bound.
 *
 * The bound is divided: the event stream may fill all but a reserve for what comes after it. That is definitions, without which stacks of
 * later tallies had no names, tallies on the way, which each may take a quarter of what is left, and the last tally, for which room is kept
 * until the end. Where definitions would take that room they are refused: their stacks then count as the unknown one.
 * One thread; allocates. */
#include <errno.h>
#include <stdlib.h>

#include "trace_writer_internal.h"

/* The last tally: moments, figures, the last properties, the end block; and so many bytes, once compressed, for each stack that has
 * changed since the stream's end (4 to 5 were measured for the 27,000 of a compiler, 20 with random sizes), and in case that they do, for
 * each that hasn't. */
#define LAST_TALLY_BYTES (20u << 10)
#define CHANGED_STACK_BYTES 24
#define OTHER_STACK_BYTES 3
/* The reserve at the stream's end: a share of the bound and a fixed part, or more where so many stacks are defined. Most of them won't
 * change again: those of the program's start, and callers of others. */
#define RESERVE_SHARE 8
#define RESERVE_BYTES (128u << 10)
#define RESERVE_STACK_BYTES 4
/* So little room is not worth a further block of events. */
#define ROOM_SHARE 64
#define MIN_ROOM_BYTES (16u << 10)
/* So many bytes of definitions are written without waiting for the next tally. */
#define MAX_PENDING_BYTES (64u << 10)
/* A tally on the way is due when its stretch is so large a share of the trace's time, and a larger one as the room for them shrinks. Unless
 * somebody asks for it, it also waits for so long. */
#define STRETCH_SHARE 16
#define MIN_STRETCH_NS 100000000
/* More stacks than fit into a block are written in several: that is beyond any bound. */
#define MAX_CHANGED_STACKS (TRACE_MAX_RAW_BYTES / TALLY_STACK_MAX_BYTES - 8192)

static void write_definitions(struct trace_writer *writer);

/* ---- room ---- */

static uint64_t less(uint64_t from, uint64_t bytes)
{
    return from > bytes ? from - bytes : 0;
}

/* What the last tally is expected to take. */
static uint64_t last_tally_bytes(const struct trace_writer *writer)
{
    return LAST_TALLY_BYTES + (uint64_t)OTHER_STACK_BYTES * writer->definitions.counts.stacks +
           (uint64_t)CHANGED_STACK_BYTES * writer->tally->use_count;
}

static uint64_t reserve_bytes(const struct trace_writer *writer)
{
    uint64_t share = RESERVE_BYTES + writer->max_bytes / RESERVE_SHARE;
    uint64_t last = LAST_TALLY_BYTES + (uint64_t)RESERVE_STACK_BYTES * writer->definitions.counts.stacks;
    return last > share ? last : share;
}

/* For events and definitions of the stream that are still to come; those that wait for their block count as if they didn't compress. */
static uint64_t stream_room(const struct trace_writer *writer)
{
    uint64_t used = writer->file_bytes + TRACE_BLOCK_HEADER_BYTES + trace_writer_pending_bytes(writer);
    return less(writer->max_bytes, reserve_bytes(writer) + used);
}

static uint64_t min_room(const struct trace_writer *writer)
{
    uint64_t share = writer->max_bytes / ROOM_SHARE;
    return share > MIN_ROOM_BYTES ? share : MIN_ROOM_BYTES;
}

int trace_writer_keep_bound(struct trace_writer *writer, uint64_t more_bytes)
{
    uint64_t needed = min_room(writer) + more_bytes;
    if (writer->failed)
        return writer->tally == NULL;
    if (stream_room(writer) < needed)
        trace_writer_flush(writer);
    if (!writer->tally && stream_room(writer) < needed)
        trace_writer_begin_tally(writer);
    if (writer->tally || writer->failed)
        return writer->tally == NULL;
    int64_t events = (int64_t)(less(stream_room(writer), more_bytes) / ENCODER_EVENT_BYTES);
    if (writer->budget > events)
        writer->budget = events;
    return 1;
}

static size_t pending_definitions(const struct trace_writer *writer)
{
    return writer->definitions.count - writer->definitions_written;
}

/* Beside those that wait, which count as if they didn't compress, and the last tally. */
static int definition_fits(const struct trace_writer *writer, size_t bytes)
{
    uint64_t used = writer->file_bytes + TRACE_BLOCK_HEADER_BYTES + pending_definitions(writer) + bytes;
    return used + CHANGED_STACK_BYTES + last_tally_bytes(writer) <= writer->max_bytes;
}

int trace_writer_has_room_for(struct trace_writer *writer, const struct trace_definition *definition)
{
    size_t bytes = definition_max_bytes(definition);
    if (writer->rotation) {
        if (!trace_writer_rotation_has_room(writer, bytes) && definition->kind != TRACE_DEFINE_PROPERTY)
            writer->definitions_closed = 1;
        return definition->kind == TRACE_DEFINE_PROPERTY || !writer->definitions_closed;
    }
    if (writer->max_bytes && !writer->tally)
        trace_writer_keep_bound(writer, bytes);
    if (!writer->tally)
        return 1;
    if (pending_definitions(writer) >= MAX_PENDING_BYTES ||
        (!definition_fits(writer, bytes) && pending_definitions(writer) >= MIN_ROOM_BYTES))
        write_definitions(writer);
    if (!writer->max_bytes || definition->kind == TRACE_DEFINE_PROPERTY)
        return 1;
    /* Once for all: a stack whose callers are unknown would be another one. */
    if (!definition_fits(writer, bytes))
        writer->definitions_closed = 1;
    return !writer->definitions_closed;
}

void trace_writer_bound(struct trace_writer *writer, uint64_t max_bytes)
{
    writer->max_bytes = max_bytes;
    if (max_bytes && !writer->tally)
        trace_writer_keep_bound(writer, 0);
}

/* ---- from the stream to the tally ---- */

static void begin_stretch(struct trace_writer *writer)
{
    const struct trace_account *account = &writer->account;
    account_begin_block(&writer->account);
    writer->block.first_event = account->totals.event_count;
    writer->block.start_time_ns = account->time_ns;
    writer->tally->start_level = account->level;
    tally_begin_stretch(writer->tally, account->time_ns, account->totals.live_bytes);
    writer->budget = 0;
}

static void set_last_allocations(struct trace_writer *writer)
{
    for (uint32_t thread = 0; thread < writer->last_capacity && thread <= writer->definitions.counts.threads; thread++) {
        uint32_t slot = writer->lasts[thread].slot_plus_1 - 1;
        if (slot < writer->slots.used_count && live_slot_is_live(&writer->slots.slots[slot]) &&
            writer->slots.slots[slot].sequence == writer->lasts[thread].sequence)
            tally_set_last(writer->tally, &writer->slots, thread, slot);
    }
    free(writer->lasts);
    writer->lasts = NULL;
    writer->last_capacity = 0;
}

void trace_writer_begin_tally(struct trace_writer *writer)
{
    if (writer->tally)
        return;
    trace_writer_flush(writer);
    trace_writer_note_last(writer);
    writer->tally = tally_new(writer->definitions.counts.stacks, writer->definitions.counts.threads);
    if (!writer->tally) {
        if (!writer->failed)
            writer->failed = ENOMEM;
        return;
    }
    writer->tally->thread_id = writer->thread_id;
    writer->tally->stream_sequence = (uint32_t)writer->encoder.model->next_sequence;
    writer->tally->stream_end_ns = writer->account.time_ns;
    writer->tally->rss_bytes = writer->rss_bytes;
    set_last_allocations(writer);
    event_encoder_done(&writer->encoder);
    writer->encoder = (struct event_encoder){.far_frees = writer->encoder.far_frees};
    begin_stretch(writer);
}

/* ---- events ---- */

/* Only what becomes live can raise the level. */
static void note_level(struct trace_writer *writer)
{
    const struct trace_totals *totals = &writer->account.totals;
    struct tally *tally = writer->tally;
    if (totals->live_bytes > tally->moment_peak_bytes)
        tally->moment_peak_bytes = totals->live_bytes;
    tally->mark += totals->peak_event == totals->event_count;
}

static void set_slot(struct live_slot *slot, unsigned flags, uint32_t age)
{
    live_slot_set_flags(slot, flags);
    slot->sequence = age;
}

/* The thread's latest allocation isn't that any more. */
static void retire_last(struct trace_writer *writer, const struct tally_thread *thread)
{
    struct live_slot *slot = thread->last_slot != SLOT_NONE ? &writer->slots.slots[thread->last_slot] : NULL;
    if (slot)
        set_slot(slot, live_slot_flags(slot) & ~SLOT_LAST, thread->last_age);
}

uint32_t trace_writer_tally_allocate(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    if (writer->rotation)
        return trace_writer_rotation_allocate(writer, size_bytes, stack_id, flags);
    struct tally *tally = writer->tally;
    int is_counted = !(flags & (TRACE_ARENA | TRACE_INHERITED));
    uint32_t slot = live_slots_take(&writer->slots, size_bytes, flags | SLOT_LATE | (is_counted ? SLOT_LAST : 0), stack_id,
                                    is_counted ? tally->thread_id : tally->age);
    if (unlikely(slot == SLOT_NONE))
        return SLOT_NONE;
    account_allocate(&writer->account, size_bytes, flags);
    if (!(flags & TRACE_ARENA)) {
        struct tally_use *use = tally_touch(tally, tally_place(tally, stack_id));
        use->live_bytes += size_bytes;
        use->live_allocations++;
        if (is_counted) {
            struct tally_thread *thread = &tally->threads[tally->thread_id];
            use->allocated_bytes += size_bytes;
            use->allocations++;
            retire_last(writer, thread);
            thread->last_slot = slot;
            thread->last_age = tally->age;
            thread->allocations++;
        }
    }
    note_level(writer);
    return slot;
}

void trace_writer_tally_free(struct trace_writer *writer, uint32_t slot, unsigned free_flags)
{
    if (writer->rotation) {
        trace_writer_rotation_free(writer, slot, free_flags);
        return;
    }
    struct tally *tally = writer->tally;
    const struct live_slot *freed = &writer->slots.slots[slot];
    uint64_t size_bytes = live_slots_size(&writer->slots, slot);
    unsigned flags = live_slot_flags(freed);
    uint32_t age = freed->sequence, owner = 0;
    int is_last = (flags & SLOT_LAST) != 0;
    account_free(&writer->account, size_bytes, flags);
    if (is_last) {
        owner = freed->sequence;
        age = tally->threads[owner].last_age;
        tally->threads[owner].last_slot = SLOT_NONE;
    }
    writer->encoder.far_frees += age != tally->age;
    if (!(flags & TRACE_ARENA)) {
        struct tally_use *use = tally_touch(tally, tally_place(tally, freed->stack_id));
        use->live_bytes -= size_bytes;
        use->live_allocations--;
        use->temporary_allocations += (unsigned)is_last;
    }
    if (free_flags & TRACE_REALLOC) {
        struct tally_thread *thread = &tally->threads[tally->thread_id];
        thread->freed_valid = 1;
        thread->freed_bytes = size_bytes;
        thread->freed_slot = slot;
        thread->freed_stack = freed->stack_id;
        thread->freed_age = age;
        thread->freed_late = (flags & SLOT_LATE) != 0;
        thread->freed_temporary = (uint8_t)is_last;
        thread->freed_owner = owner;
        thread->freed_owner_allocations = tally->threads[owner].allocations;
    }
    live_slots_release(&writer->slots, slot);
}

/* As if the deallocation had not been. */
uint32_t trace_writer_tally_undo_free(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    if (writer->rotation)
        return trace_writer_rotation_undo_free(writer, size_bytes, stack_id, flags);
    struct tally *tally = writer->tally;
    struct tally_thread *thread = &tally->threads[tally->thread_id];
    int known = thread->freed_valid && thread->freed_bytes == size_bytes && thread->freed_stack == stack_id;
    int was_temporary = known && thread->freed_temporary;
    /* The reader knows a block of the stream by its slot, which another one may have taken meanwhile. */
    int is_of_stream = known && !thread->freed_late && writer->slots.first_free == thread->freed_slot;
    unsigned late = is_of_stream ? 0 : SLOT_LATE;
    uint32_t age = is_of_stream || (known && thread->freed_late) ? thread->freed_age : tally->age;
    uint32_t slot = live_slots_take(&writer->slots, size_bytes, flags | late, stack_id, age);
    if (slot == SLOT_NONE)
        return SLOT_NONE;
    thread->freed_valid = 0;
    account_live(&writer->account, size_bytes, flags);
    if (!(flags & TRACE_ARENA)) {
        struct tally_use *use = tally_touch(tally, tally_place(tally, stack_id));
        use->live_bytes += size_bytes;
        use->live_allocations++;
        use->temporary_allocations -= (unsigned)was_temporary;
    }
    if (was_temporary && tally->threads[thread->freed_owner].allocations == thread->freed_owner_allocations) {
        tally->threads[thread->freed_owner].last_slot = slot;
        tally->threads[thread->freed_owner].last_age = age;
        set_slot(&writer->slots.slots[slot], flags | late | SLOT_LAST, thread->freed_owner);
    }
    note_level(writer);
    return slot;
}

void trace_writer_tally_shrink(struct trace_writer *writer, uint32_t slot, uint64_t size_bytes)
{
    if (writer->rotation) {
        trace_writer_rotation_shrink(writer, slot, size_bytes);
        return;
    }
    const struct live_slot *shrunk = &writer->slots.slots[slot];
    account_free(&writer->account, size_bytes, live_slot_flags(shrunk));
    live_slots_shrink(&writer->slots, slot, size_bytes);
    if (!(live_slot_flags(shrunk) & TRACE_ARENA))
        tally_touch(writer->tally, tally_place(writer->tally, shrunk->stack_id))->live_bytes -= size_bytes;
}

void trace_writer_tally_copy(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id)
{
    if (writer->rotation) {
        trace_writer_rotation_copy(writer, size_bytes, stack_id);
        return;
    }
    uint32_t place = tally_place(writer->tally, stack_id);
    tally_touch(writer->tally, place);
    writer->tally->copies[place].copied_bytes += size_bytes;
    writer->tally->copies[place].copies++;
    account_copy(&writer->account, size_bytes);
}

/* ---- blocks ---- */

struct births {
    uint64_t oldest, newest; /* slot + 1; 0: none */
};

/* By stack. NULL without memory: then the blocks' ages stay unknown. */
static struct births *find_births(const struct trace_writer *writer)
{
    const struct tally *tally = writer->tally;
    struct births *births = calloc(writer->definitions.counts.stacks + (size_t)1, sizeof *births);
    for (uint32_t i = 0; births && i < writer->slots.used_count; i++) {
        const struct live_slot *slots = writer->slots.slots, *slot = &slots[i];
        if (!live_slot_is_live(slot) || live_slot_flags(slot) & TRACE_ARENA)
            continue;
        struct births *of = &births[slot->stack_id];
        uint64_t age = tally_age(tally, slot);
        if (!of->oldest || age < tally_age(tally, &slots[of->oldest - 1]))
            of->oldest = i + 1ull;
        if (!of->newest || age > tally_age(tally, &slots[of->newest - 1]))
            of->newest = i + 1ull;
    }
    return births;
}

static uint64_t birth_of(const struct trace_writer *writer, uint64_t slot_plus_1)
{
    uint32_t slot = (uint32_t)(slot_plus_1 - 1);
    uint64_t age = tally_age(writer->tally, &writer->slots.slots[slot]);
    uint64_t time_ns = (age & UINT32_MAX) << TALLY_AGE_SHIFT, stream_end_ns = writer->tally->stream_end_ns;
    return age >> 32 ? tally_birth_at(time_ns > stream_end_ns ? time_ns : stream_end_ns) : tally_birth_of_slot(slot);
}

static void describe_tally(const struct trace_writer *writer, struct trace_tally *ret_tally)
{
    const struct trace_account *account = &writer->account;
    *ret_tally = (struct trace_tally){
        .has_peak = writer->tally->mark > TALLY_FIRST_MARK,
        .peak_level = account->peak,
        .lost_events = account->totals.lost_events,
        .unknown_frees = account->totals.unknown_frees,
        .small_copies = account->totals.copies - account->attributed_copies,
        .small_copied_bytes = account->totals.copied_bytes - account->attributed_copied_bytes,
        .peak_rss_bytes = account->totals.peak_rss_bytes,
        .longest_interval_bytes = writer->rotation ? writer->weights.longest_bytes : 0,
        .has_errors = writer->rotation && writer->weights.longest_bytes,
        .allocated_variance = writer->allocated_variance,
        .live_variance = writer->live_variance,
        .peak_variance = writer->peak_variance,
    };
}

/* All stacks of which there is something to say. With `to` NULL they are only measured. Returns the bytes. */
static size_t put_stacks(const struct trace_writer *writer, const struct births *births, int has_peak, uint8_t *to)
{
    uint8_t scratch[TALLY_STACK_MAX_BYTES];
    uint32_t next_id = 0;
    size_t bytes = 0;
    for (uint32_t id = 0; id <= writer->definitions.counts.stacks; id++) {
        struct tally_stack stack = {.stack_id = id};
        int is_changed = tally_stack(writer->tally, id, has_peak, &stack);
        /* Of a stack that never changed since the stream's end, the reader knows the blocks. */
        if (births && births[id].oldest && writer->tally->places[id] && bytes < TRACE_MAX_RAW_BYTES / 2) {
            stack.has_births = 1;
            stack.oldest = birth_of(writer, births[id].oldest);
            stack.newest = birth_of(writer, births[id].newest);
        }
        if (is_changed || stack.has_births)
            bytes += (size_t)(tally_put_stack(to ? to + bytes : scratch, &stack, &next_id) - (to ? to + bytes : scratch));
    }
    return bytes;
}

/* Everything up to the stacks; `stack_bytes` are to follow. Returns where, NULL without memory. */
static uint8_t *begin_payload(struct trace_writer *writer, uint64_t start_ns, size_t definition_bytes, const struct trace_tally *figures,
                              const struct tally_moment *moments, uint32_t moment_count, size_t stack_bytes)
{
    if (trace_writer_reserve(writer, TALLY_SECTION_TABLE_BYTES + definition_bytes + TALLY_FIGURES_MAX_BYTES +
                                         moment_count * TALLY_MOMENT_MAX_BYTES + stack_bytes))
        return NULL;
    uint8_t *start[TALLY_SECTION_COUNT + 1], *to = writer->raw + TALLY_SECTION_TABLE_BYTES;
    start[TALLY_SECTION_DEFINITIONS] = to;
    if (definition_bytes)
        memcpy(to, writer->definitions.bytes + writer->definitions_written, definition_bytes);
    start[TALLY_SECTION_FIGURES] = to += definition_bytes;
    start[TALLY_SECTION_MOMENTS] = to = tally_put_figures(to, figures);
    uint64_t previous_ns = start_ns;
    for (uint32_t i = 0; i < moment_count; i++)
        to = tally_put_moment(to, &moments[i], &previous_ns);
    start[TALLY_SECTION_STACKS] = to;
    start[TALLY_SECTION_COUNT] = to + stack_bytes;
    for (int i = 0; i < TALLY_SECTION_COUNT; i++)
        put_u32(writer->raw + 4 * i, (uint32_t)(start[i + 1] - start[i]));
    return to;
}

static void put_payload(struct trace_writer *writer, const uint8_t *end)
{
    trace_writer_put_block(writer, TRACE_BLOCK_TALLY, end ? (size_t)(end - writer->raw) : 0);
    writer->definitions_written = writer->definitions.count;
}

static void write_tally(struct trace_writer *writer, int is_last)
{
    struct tally *tally = writer->tally;
    struct trace_tally figures;
    struct births *births = is_last ? find_births(writer) : NULL;
    writer->account.totals.lost_events = writer->lost_written = writer->lost_by_caller + writer->lost_here;
    if (tally->out_of_memory && !writer->failed)
        writer->failed = ENOMEM;
    tally_close_moment(tally, writer->account.time_ns, writer->account.totals.live_bytes);
    describe_tally(writer, &figures);
    trace_writer_end_block(writer);
    size_t stack_bytes = put_stacks(writer, births, figures.has_peak, NULL);
    uint8_t *stacks = begin_payload(writer, writer->block.start_time_ns, pending_definitions(writer), &figures, tally->moments,
                                    tally->moment_count, stack_bytes);
    put_payload(writer, stacks ? stacks + put_stacks(writer, births, figures.has_peak, stacks) : NULL);
    free(births);
    begin_stretch(writer);
}

uint8_t *trace_writer_tally_payload(struct trace_writer *writer, uint64_t start_ns, struct trace_tally *ret_figures, size_t *ret_bytes)
{
    struct tally *tally = writer->tally;
    if (tally->out_of_memory)
        return NULL;
    tally_close_moment(tally, writer->account.time_ns, writer->account.totals.live_bytes);
    describe_tally(writer, ret_figures);
    size_t stack_bytes = put_stacks(writer, NULL, ret_figures->has_peak, NULL);
    uint8_t *stacks = begin_payload(writer, start_ns, 0, ret_figures, tally->moments, tally->moment_count, stack_bytes);
    if (!stacks)
        return NULL;
    put_stacks(writer, NULL, ret_figures->has_peak, stacks);
    *ret_bytes = (size_t)(stacks + stack_bytes - writer->raw);
    return writer->raw;
}

/* A tally of no time, in which nothing happens: the stretch goes on. */
static void write_definitions(struct trace_writer *writer)
{
    const struct trace_level *level = &writer->tally->start_level;
    struct tally_moment moment = {writer->block.start_time_ns, trace_level_total(level), trace_level_total(level), writer->tally->rss_bytes};
    struct trace_tally figures;
    describe_tally(writer, &figures);
    figures.has_peak = 0;
    writer->block = (struct trace_block){.sequence = writer->block.sequence, .first_event = writer->block.first_event,
                                         .start_time_ns = moment.time_ns, .end_time_ns = moment.time_ns, .end_level = *level};
    put_payload(writer, begin_payload(writer, moment.time_ns, pending_definitions(writer), &figures, &moment, 1, 0));
}

/* So many bytes at most, going by what rows of stacks compress to. */
static uint64_t tally_bytes_now(const struct trace_writer *writer)
{
    return LAST_TALLY_BYTES + (uint64_t)CHANGED_STACK_BYTES * writer->tally->changed_stacks + pending_definitions(writer);
}

/* For tallies on the way. */
static uint64_t tally_room(const struct trace_writer *writer)
{
    return less(writer->max_bytes, writer->file_bytes + last_tally_bytes(writer));
}

static uint64_t stretch_ns(const struct trace_writer *writer)
{
    return writer->account.time_ns - writer->block.start_time_ns;
}

/* Half of the reserve is for stretches of a sixteenth, half of the rest for those of an eighth, and so on: so it lasts. */
static int is_due(const struct trace_writer *writer)
{
    uint64_t share = STRETCH_SHARE, room = tally_room(writer);
    for (uint64_t half = reserve_bytes(writer) / 2; writer->max_bytes && room < half && share > 1; half /= 2)
        share /= 2;
    return stretch_ns(writer) && stretch_ns(writer) >= writer->account.time_ns / share;
}

static int has_room_now(const struct trace_writer *writer)
{
    return !writer->max_bytes || tally_bytes_now(writer) <= tally_room(writer) / 4;
}

void trace_writer_flush_tally(struct trace_writer *writer)
{
    if ((is_due(writer) && has_room_now(writer)) || writer->tally->changed_stacks > MAX_CHANGED_STACKS)
        write_tally(writer, 0);
}

void trace_writer_tally_time(struct trace_writer *writer, uint64_t time_ns)
{
    tally_time(writer->tally, time_ns, writer->account.totals.live_bytes);
    writer->account.time_ns = time_ns;
    if (stretch_ns(writer) >= MIN_STRETCH_NS)
        trace_writer_flush_tally(writer);
}

void trace_writer_end_tally(struct trace_writer *writer)
{
    write_tally(writer, 1);
}
