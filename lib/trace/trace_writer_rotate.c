/* Rotation: segments begin and end, the oldest make room, and history grows coarser (trace_writer_rotation.h). None of it is done for an
 * event; the events themselves are in trace_writer_rotate_events.c, and what is kept of the oldest in trace_writer_rotate_history.c.
 *
 * The room is divided: a quarter for definitions, an eighth for history, which needs the same again while it is written anew; the rest is for
 * segments, of which the oldest goes when there is no more. One thread; allocates. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "trace_writer_rotation.h"

#define DEFINITIONS_SHARE 4
#define HISTORY_SHARE 8
#define MAX_HISTORY_BYTES (16u << 20) /* it is written anew at each rotation */
#define RESERVE_SHARE 4
#define SEGMENT_SHARE 16              /* so that several are there */
/* Definitions compress to less than half. */
#define DEFINITION_COMPRESSION 2
/* What is live must fit into this share of a segment's room, or none begins: measured are 4 to 8 bytes a block, compressed. */
#define LIVE_BLOCK_BYTES 8
#define LIVE_SHARE 4
/* Nothing listed: so long a stretch is not in the file at most, as a share of the trace's time and at all. */
#define SUM_SHARE 16
#define SUM_MAX_NS 60000000000ull
#define MAX_SEQUENCE (1u << 31)
#define COMPRESSION_LEVEL 3

/* ---- writing blocks ---- */

/* The last segment's block; the header stands in front of the payload in writer->stored. */
int trace_writer_rotation_write(struct trace_writer *writer, size_t bytes)
{
    struct trace_rotation *rotation = writer->rotation;
    struct rotation_segment *segment;
    int grown;
    while (rotation->segment_count > 1 && trace_space_free_bytes(&rotation->space) < rotation->reserve_bytes + bytes) {
        /* What is about to be written stands in the same buffer. */
        uint8_t *block = malloc(bytes);
        if (!block)
            return ENOMEM;
        memcpy(block, writer->stored, bytes);
        rotation_drop_oldest(writer);
        if (writer->stored_capacity >= bytes)
            memcpy(writer->stored, block, bytes);
        free(block);
        if (writer->failed)
            return writer->failed;
    }
    segment = &rotation->segments[rotation->segment_count - 1];
    int error = trace_space_append(&rotation->space, writer->file, &segment->part, writer->stored, bytes, &grown);
    if (!error && grown)
        rotation_commit(writer, 1);
    writer->file_bytes = rotation->space.end_bytes;
    return error ? error : writer->failed;
}

/* ---- when blocks were allocated ---- */

static uint32_t age_of_sequence(const struct trace_rotation *rotation, uint32_t sequence)
{
    uint32_t low = 0, high = rotation->mark_count;
    if (sequence < rotation->birth_count)
        return rotation->births[sequence];
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (rotation->marks[middle].sequence <= sequence)
            low = middle;
        else
            high = middle;
    }
    return rotation->marks[low].age;
}

static void mark_age(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    uint32_t age = writer->tally->age, sequence = (uint32_t)writer->encoder.model->next_sequence;
    struct age_mark *last = &rotation->marks[rotation->mark_count - 1];
    if (sequence == last->sequence)
        last->age = age; /* nothing was allocated since */
    if (age < last->age + rotation->mark_step)
        return;
    if (rotation->mark_count == ROTATION_AGE_MARKS) {
        for (uint32_t i = 1; i < ROTATION_AGE_MARKS / 2; i++)
            rotation->marks[i] = rotation->marks[2 * i];
        rotation->mark_count /= 2;
        rotation->mark_step *= 2;
    }
    rotation->marks[rotation->mark_count++] = (struct age_mark){sequence, age};
}

/* What is live gets the first sequences, in the order of its slots, and its birth is kept by them. Returns 0 or ENOMEM. */
static int number_live(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    struct live_slots *slots = &writer->slots;
    uint32_t *births = malloc(((size_t)slots->live_count + 1) * sizeof *births), count = 0;
    if (!births)
        return ENOMEM;
    live_slots_relink(slots);
    event_model_reset(writer->encoder.model);
    for (uint32_t thread = 0; thread < writer->tally->thread_capacity; thread++) {
        struct tally_thread *of = &writer->tally->threads[thread];
        int is_live = of->last_slot < slots->used_count && live_slot_is_live(&slots->slots[of->last_slot]) &&
                      slots->slots[of->last_slot].sequence == of->last_age;
        if (!is_live)
            of->last_slot = SLOT_NONE;
    }
    for (uint32_t i = 0; i < slots->used_count; i++) {
        struct live_slot *slot = &slots->slots[i];
        if (!live_slot_is_live(slot))
            continue;
        births[count] = age_of_sequence(rotation, slot->sequence);
        slot->sequence = count++;
        model_allocated_unread(writer->encoder.model, i);
    }
    for (uint32_t thread = 0; thread < writer->tally->thread_capacity; thread++) {
        struct tally_thread *of = &writer->tally->threads[thread];
        if (of->last_slot != SLOT_NONE)
            of->last_age = slots->slots[of->last_slot].sequence;
    }
    free(rotation->births);
    rotation->births = births;
    rotation->birth_count = count;
    rotation->marks[0] = (struct age_mark){count, writer->tally->age};
    rotation->mark_count = rotation->mark_step = 1;
    return 0;
}

/* ---- segments ---- */

static void begin_stretch(struct trace_writer *writer)
{
    const struct trace_account *account = &writer->account;
    account_begin_block(&writer->account);
    writer->tally->start_level = account->level;
    tally_begin_stretch(writer->tally, account->time_ns, account->totals.live_bytes);
    writer->rotation->stretch = (struct trace_block){.first_event = account->totals.event_count, .start_time_ns = account->time_ns};
    writer->rotation->stretch_peak = account->block_peak;
    writer->rotation->segment_start_ns = account->time_ns;
}

/* Blocks end with their own highest level, of which the stretch keeps the highest. */
static void note_block_peak(struct trace_writer *writer)
{
    const struct trace_account *account = &writer->account;
    struct trace_rotation *rotation = writer->rotation;
    struct trace_block *stretch = &rotation->stretch;
    if (!account->block_peak_event || (stretch->peak_event && !trace_level_higher(&account->block_peak, &rotation->stretch_peak)))
        return;
    rotation->stretch_peak = account->block_peak;
    stretch->peak_bytes = trace_level_total(&account->block_peak);
    stretch->peak_object_bytes = account->block_peak.object_bytes;
    stretch->peak_time_ns = account->block_peak_time_ns;
    stretch->peak_event = account->block_peak_event - stretch->first_event;
}

static void begin_block(struct trace_writer *writer)
{
    event_encoder_begin_block(&writer->encoder);
    account_begin_block(&writer->account);
    writer->block.first_event = writer->account.totals.event_count;
    writer->block.start_time_ns = writer->account.time_ns;
    writer->rotation->budget = 0;
}

static void close_block(struct trace_writer *writer)
{
    note_block_peak(writer);
    if (!writer->rotation->is_listing || !trace_writer_pending_bytes(writer)) {
        account_begin_block(&writer->account);
        return;
    }
    if (!writer->failed)
        trace_writer_close_block(writer);
    writer->definitions_written = writer->definitions.count;
    begin_block(writer);
}

/* What the segment adds up to. */
static void summarize(struct trace_writer *writer, struct stored_tally *ret_summary)
{
    struct trace_rotation *rotation = writer->rotation;
    size_t raw_bytes;
    *ret_summary = (struct stored_tally){.block = rotation->stretch};
    struct trace_block *block = &ret_summary->block;
    block->event_count = writer->account.totals.event_count - block->first_event;
    block->end_time_ns = writer->account.time_ns;
    block->end_level = writer->account.level;
    uint8_t *raw = trace_writer_tally_payload(writer, block->start_time_ns, &ret_summary->tally, &raw_bytes);
    rotation_fail(writer, raw && !stored_tally_pack(ret_summary, writer->zstd, raw, raw_bytes) ? 0 : ENOMEM);
    struct trace_tally *tally = &ret_summary->tally;
    tally->first_event = block->first_event;
    tally->event_count = block->event_count;
    tally->start_time_ns = block->start_time_ns;
    tally->end_time_ns = block->end_time_ns;
    tally->end_level = block->end_level;
    tally->peak_event = block->first_event + block->peak_event;
    tally->peak_time_ns = block->peak_time_ns;
    tally->peak_bytes = block->peak_bytes;
}

static void end_segment(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    struct stored_tally summary;
    close_block(writer);
    summarize(writer, &summary);
    if (rotation->is_listing) {
        struct rotation_segment *segment = &rotation->segments[rotation->segment_count - 1];
        segment->summary = summary;
        segment->definitions_end = writer->definitions_written;
        return;
    }
    /* Nothing was listed, so nothing waits to make room either. */
    struct space_part old_history;
    rotation_store_definitions(writer, writer->definitions.count);
    writer->definitions_written = writer->definitions.count;
    rotation_add_history(writer, &summary);
    rotation_write_history(writer, &old_history);
    rotation_commit(writer, 0);
    trace_space_release(&rotation->space, &old_history);
}

static uint32_t list_latest(const struct trace_writer *writer, struct segment_latest *latest)
{
    uint32_t count = 0;
    for (uint32_t thread = 0; thread <= writer->definitions.counts.threads; thread++)
        if (writer->tally->threads[thread].last_slot != SLOT_NONE)
            latest[count++] = (struct segment_latest){thread, writer->tally->threads[thread].last_slot};
    return count;
}

/* The block that a segment begins with. */
static void put_live(struct trace_writer *writer)
{
    const struct trace_account *account = &writer->account;
    struct segment_latest *latest = calloc(writer->definitions.counts.threads + (size_t)1, sizeof *latest);
    struct segment_state state = {&writer->slots, &writer->weights, writer->rotation->births, NULL, 0, latest, 0};
    if (!latest) {
        rotation_fail(writer, ENOMEM);
        return;
    }
    state.latest_count = list_latest(writer, latest);
    state.definitions = writer->definitions.bytes ? writer->definitions.bytes + writer->definitions_written : NULL;
    state.definition_bytes = writer->definitions.count - writer->definitions_written;
    size_t raw_bytes = segment_put(&state, NULL);
    if (raw_bytes <= TRACE_MAX_RAW_BYTES && trace_writer_reserve(writer, raw_bytes) == 0)
        segment_put(&state, writer->raw);
    else
        raw_bytes = 0;
    free(latest);
    writer->block = (struct trace_block){.first_event = account->totals.event_count, .start_time_ns = account->time_ns,
                                         .end_time_ns = account->time_ns, .end_level = account->level};
    trace_writer_put_block(writer, TRACE_BLOCK_SEGMENT, raw_bytes);
    writer->definitions_written = writer->definitions.count;
}

/* Is the live set small enough to be listed at the beginning of each segment? */
static int can_list(const struct trace_writer *writer)
{
    const struct trace_rotation *rotation = writer->rotation;
    uint64_t room = (uint64_t)rotation->space.extent_count * rotation->space.extent_bytes / LIVE_SHARE, live = writer->slots.live_count;
    uint64_t latest_max = live * 40 + (writer->definitions.counts.threads + 1ull) * 2 * VARINT_MAX_BYTES + writer->definitions.count -
                          writer->definitions_written;
    return live * LIVE_BLOCK_BYTES < room && latest_max < TRACE_MAX_RAW_BYTES / 2 &&
           writer->slots.used_count < SEGMENT_MAX_GAPS + SEGMENT_MAX_GAP_SHARE * live;
}

static void put_thread(struct trace_writer *writer, uint32_t thread_id)
{
    model_switch_thread(writer->encoder.model, thread_id);
    event_encoder_other(&writer->encoder, OP_THREAD);
    event_encoder_put(&writer->encoder, SECTION_MISC, thread_id);
}

/* What threads sample by that don't as the header says. */
static void put_intervals(struct trace_writer *writer)
{
    const struct weight_table *weights = &writer->weights;
    for (uint32_t thread = 0; thread < weights->interval_count && thread <= writer->definitions.counts.threads; thread++)
        if (weights->intervals[thread] != weights->base_bytes) {
            rotation_begin_event(writer);
            put_thread(writer, thread);
            event_encoder_other(&writer->encoder, OP_SAMPLING);
            event_encoder_put(&writer->encoder, SECTION_MISC, weights->intervals[thread]);
        }
}

static void begin_segment(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    rotation_fail(writer, number_live(writer));
    rotation->is_listing = can_list(writer);
    /* In order: history is what lies before all segments. */
    while (rotation->segment_count && (rotation->segment_count == ROTATION_MAX_SEGMENTS || !rotation->is_listing))
        rotation_drop_oldest(writer);
    if (rotation->is_listing) {
        rotation->segments[rotation->segment_count++] = (struct rotation_segment){0};
        put_live(writer);
    }
    begin_stretch(writer);
    begin_block(writer);
    weight_table_forget_freed(&writer->weights);
    if (rotation->is_listing) {
        rotation->is_beginning = 1;
        put_intervals(writer);
        put_thread(writer, writer->thread_id); /* the model began with thread 0 */
        rotation->is_beginning = 0;
    }
}

/* What is only added up grows by no bytes, and is in the file when its stretch has ended. */
static uint64_t longest_stretch_ns(const struct trace_writer *writer)
{
    const struct trace_rotation *rotation = writer->rotation;
    uint64_t share_ns = writer->account.time_ns / SUM_SHARE, most_ns = share_ns < SUM_MAX_NS ? share_ns : SUM_MAX_NS;
    return rotation->is_listing || rotation->segment_ns < most_ns ? rotation->segment_ns : most_ns;
}

static int is_due(const struct trace_writer *writer)
{
    const struct trace_rotation *rotation = writer->rotation;
    uint64_t bytes = rotation->is_listing ? rotation->segments[rotation->segment_count - 1].part.bytes : 0;
    return bytes >= rotation->segment_bytes || writer->account.time_ns - rotation->segment_start_ns >= longest_stretch_ns(writer) ||
           writer->encoder.model->next_sequence >= MAX_SEQUENCE ||
           writer->account.totals.event_count - rotation->stretch.first_event >= TRACE_MAX_TALLY_EVENTS / 2;
}

static void rotate(struct trace_writer *writer)
{
    end_segment(writer);
    begin_segment(writer);
}

/* ---- what the rest of the writer calls ---- */

void rotation_renew(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    size_t bytes = event_encoder_bytes(&writer->encoder);
    uint64_t events = writer->account.totals.event_count - writer->block.first_event;
    if (rotation->is_listing && (bytes >= rotation->block_bytes || events >= TRACE_BLOCK_EVENTS))
        trace_writer_rotation_flush(writer);
    bytes = event_encoder_bytes(&writer->encoder);
    int64_t room = bytes < rotation->block_bytes ? (int64_t)((rotation->block_bytes - bytes) / ENCODER_EVENT_BYTES) : 0;
    rotation->budget = room > 1 ? room : 1;
}

void rotation_time(struct trace_writer *writer)
{
    mark_age(writer);
    if (writer->account.time_ns - writer->rotation->segment_start_ns >= writer->rotation->segment_ns)
        rotate(writer);
}

void trace_writer_rotation_flush_lost(struct trace_writer *writer)
{
    uint64_t lost = writer->lost_by_caller + writer->lost_here;
    if (lost == writer->lost_written)
        return;
    writer->lost_written = writer->account.totals.lost_events = lost;
    trace_writer_rotation_figures(writer, OP_LOST, lost, 0);
}

void trace_writer_rotation_flush(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    close_block(writer);
    if (!rotation->is_listing && writer->definitions.count - rotation->definitions_stored >= rotation->block_bytes) {
        rotation_store_definitions(writer, writer->definitions.count);
        writer->definitions_written = writer->definitions.count;
        rotation_commit(writer, 0);
    }
    if (!rotation->is_beginning && is_due(writer))
        rotate(writer);
}

int trace_writer_rotation_has_room(struct trace_writer *writer, size_t bytes)
{
    struct trace_rotation *rotation = writer->rotation;
    if (writer->definitions.count - writer->definitions_written + bytes >= rotation->block_bytes)
        trace_writer_rotation_flush(writer);
    uint64_t pending = writer->definitions.count - rotation->definitions_stored + bytes;
    return rotation->definitions.bytes + pending / DEFINITION_COMPRESSION <= rotation->definitions_bytes;
}

void trace_writer_rotation_end(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    trace_writer_rotation_flush(writer);
    if (rotation->is_listing)
        return;
    end_segment(writer);
    /* For the end block. */
    rotation->segments[rotation->segment_count++] = (struct rotation_segment){0};
    writer->block.sequence = 0;
}

void trace_writer_rotation_close(struct trace_writer *writer)
{
    rotation_commit(writer, 0);
}

void trace_writer_rotation_done(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    if (!rotation)
        return;
    for (uint32_t i = 0; i < rotation->history_count; i++)
        stored_tally_done(&rotation->history[i]);
    for (uint32_t i = 0; i < rotation->segment_count; i++) {
        stored_tally_done(&rotation->segments[i].summary);
        trace_space_release(&rotation->space, &rotation->segments[i].part);
    }
    trace_space_release(&rotation->space, &rotation->definitions);
    trace_space_release(&rotation->space, &rotation->history_part);
    free(rotation->births);
    free(rotation);
}

static void divide(struct trace_rotation *rotation, const struct trace_rotate *settings)
{
    uint64_t bytes = settings->max_bytes;
    trace_space_init(&rotation->space, bytes);
    rotation->definitions_bytes = bytes / DEFINITIONS_SHARE;
    rotation->history_bytes = bytes / HISTORY_SHARE < MAX_HISTORY_BYTES ? bytes / HISTORY_SHARE : MAX_HISTORY_BYTES;
    rotation->reserve_bytes = rotation->history_bytes + bytes / HISTORY_SHARE;
    rotation->segment_bytes = bytes / SEGMENT_SHARE;
    if (settings->segment_bytes && settings->segment_bytes < rotation->segment_bytes)
        rotation->segment_bytes = settings->segment_bytes;
    rotation->segment_ns = settings->segment_ns ? settings->segment_ns : UINT64_MAX;
    rotation->block_bytes = rotation->segment_bytes < TRACE_BLOCK_RAW_BYTES ? rotation->segment_bytes : TRACE_BLOCK_RAW_BYTES;
}

int trace_writer_rotate(struct trace_writer *writer, const struct trace_identity *identity, const struct trace_rotate *settings)
{
    struct trace_rotation *rotation = calloc(1, sizeof *rotation);
    writer->identity = *identity;
    writer->identity.flags |= TRACE_ROTATED | (identity->sampling_interval_bytes ? TRACE_WEIGHTED : 0);
    if (rotation)
        writer->tally = tally_new(writer->definitions.counts.stacks, writer->definitions.counts.threads);
    if (!rotation || !writer->tally) {
        free(rotation);
        return STATUS_NO_MEMORY;
    }
    divide(rotation, settings);
    writer->rotation = rotation;
    writer->rotate = *settings;
    writer->max_bytes = settings->max_bytes;
    writer->budget = 0;
    /* The header first: behind one that says so, no index is an empty trace; without that, an index is damage. */
    trace_file_header_pack(&writer->identity, writer->stored);
    if (pwrite(writer->file, writer->stored, TRACE_FILE_HEADER_BYTES, 0) != TRACE_FILE_HEADER_BYTES)
        rotation_fail(writer, errno);
    rotation_commit(writer, 0);
    begin_segment(writer);
    return 0;
}
