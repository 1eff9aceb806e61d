/* Events and definitions -> blocks in a file (trace_writer.h). One thread. Allocates when it is opened, when definitions or the
 * live set grow, and for an uncommonly large block. */
#include "trace_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checksum.h"
#include "file_write.h"
#include "trace_epilogue.h"
#include "trace_writer_internal.h"

#define COMPRESSION_LEVEL 3

/* ---- opening and closing ---- */

int trace_writer_reserve(struct trace_writer *writer, size_t raw_bytes)
{
    if (raw_bytes <= writer->raw_capacity)
        return 0;
    size_t stored_capacity = TRACE_BLOCK_HEADER_BYTES + ZSTD_compressBound(raw_bytes);
    uint8_t *raw = malloc(raw_bytes), *stored = malloc(stored_capacity);
    if (!raw || !stored) {
        free(raw);
        free(stored);
        return -1;
    }
    free(writer->raw);
    free(writer->stored);
    writer->raw = raw;
    writer->stored = stored;
    writer->raw_capacity = raw_bytes;
    writer->stored_capacity = stored_capacity;
    return 0;
}

static void release(struct trace_writer *writer)
{
    event_encoder_done(&writer->encoder);
    tally_free(writer->tally);
    trace_writer_rotation_done(writer);
    free(writer->lasts);
    live_slots_done(&writer->slots);
    weight_table_done(&writer->weights);
    definition_log_done(&writer->definitions);
    ZSTD_freeCCtx(writer->zstd);
    free(writer->raw);
    free(writer->stored);
    free(writer);
}

/* Beside so many bytes of columns. Room for one more is kept: put_lost, when the block is closed. */
static int64_t events_that_fit(size_t bytes)
{
    return (int64_t)((ENCODER_COLUMN_BYTES - bytes) / ENCODER_EVENT_BYTES) - 1;
}

static void begin_block(struct trace_writer *writer)
{
    event_encoder_begin_block(&writer->encoder);
    account_begin_block(&writer->account);
    writer->block.first_event = writer->account.totals.event_count;
    writer->block.start_time_ns = writer->account.time_ns;
    writer->budget = events_that_fit(0);
}

int trace_writer_open(int file, const struct trace_identity *identity, struct trace_writer **ret_writer)
{
    struct trace_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return STATUS_NO_MEMORY;
    if (event_encoder_init(&writer->encoder)) {
        free(writer);
        return STATUS_NO_MEMORY;
    }
    live_slots_init(&writer->slots);
    writer->file = file;
    writer->identity = *identity;
    weight_table_init(&writer->weights, identity->sampling_interval_bytes);
    writer->zstd = ZSTD_createCCtx();
    if (!writer->zstd || trace_writer_reserve(writer, TRACE_SECTION_TABLE_BYTES + 2 * ENCODER_COLUMN_BYTES)) {
        release(writer);
        return STATUS_NO_MEMORY;
    }
    ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, COMPRESSION_LEVEL);
    trace_file_header_pack(identity, writer->stored);
    errno = file_write_at(file, writer->stored, TRACE_FILE_HEADER_BYTES, 0);
    if (errno) {
        int error = errno;
        release(writer);
        errno = error;
        return STATUS_SYSTEM;
    }
    writer->file_bytes = TRACE_FILE_HEADER_BYTES;
    begin_block(writer);
    *ret_writer = writer;
    return 0;
}

/* ---- blocks ---- */

/* Header and payload (which stands behind the header's place in `stored`) go to the file in one piece. A block that fits only in
 * part is cut off again: the file ends with its last whole block. */
static void write_block(struct trace_writer *writer, struct trace_block *block)
{
    if (writer->failed)
        return;
    size_t bytes = TRACE_BLOCK_HEADER_BYTES + (size_t)block->stored_bytes;
    block->payload_checksum = checksum_crc32c(writer->stored + TRACE_BLOCK_HEADER_BYTES, block->stored_bytes);
    trace_block_pack(block, writer->stored);
    int error = writer->rotation ? trace_writer_rotation_write(writer, bytes)
                                 : file_write_at(writer->file, writer->stored, bytes, writer->file_bytes);
    if (error) {
        writer->failed = error;
        if (!writer->rotation && ftruncate(writer->file, (off_t)writer->file_bytes)) {
            /* Then the reader finds a cut block, and leaves it out. */
        }
        return;
    }
    if (!writer->rotation)
        writer->file_bytes += bytes;
    block->sequence++;
}

/* The columns and the new definitions, one behind the other after the table of their lengths. Returns the raw length, 0 without
 * memory. */
static size_t gather_sections(struct trace_writer *writer)
{
    struct event_encoder *encoder = &writer->encoder;
    size_t definition_bytes = writer->definitions.count - writer->definitions_written;
    size_t raw_bytes = TRACE_SECTION_TABLE_BYTES + definition_bytes + event_encoder_bytes(encoder);
    if (trace_writer_reserve(writer, raw_bytes))
        return 0;
    uint8_t *to = writer->raw + TRACE_SECTION_TABLE_BYTES;
    for (int section = 0; section < SECTION_COUNT; section++) {
        const uint8_t *from = encoder->start[section];
        size_t bytes = (size_t)(encoder->next[section] - from);
        if (section == SECTION_DEFINITIONS) {
            from = definition_bytes ? writer->definitions.bytes + writer->definitions_written : NULL;
            bytes = definition_bytes;
        }
        put_u32(writer->raw + 4 * section, (uint32_t)bytes);
        if (bytes)
            memcpy(to, from, bytes);
        to += bytes;
    }
    return raw_bytes;
}

void trace_writer_put_block(struct trace_writer *writer, uint32_t type, size_t raw_bytes)
{
    struct trace_block *block = &writer->block;
    size_t stored_bytes = raw_bytes ? ZSTD_compress2(writer->zstd, writer->stored + TRACE_BLOCK_HEADER_BYTES,
                                                     writer->stored_capacity - TRACE_BLOCK_HEADER_BYTES, writer->raw, raw_bytes)
                                    : 0;
    if (!raw_bytes || ZSTD_isError(stored_bytes)) {
        if (!writer->failed)
            writer->failed = ENOMEM;
        return;
    }
    block->type = type;
    block->raw_bytes = (uint32_t)raw_bytes;
    block->stored_bytes = (uint32_t)stored_bytes;
    write_block(writer, block);
}

void trace_writer_end_block(struct trace_writer *writer)
{
    const struct trace_account *account = &writer->account;
    struct trace_block *block = &writer->block;
    block->event_count = account->totals.event_count - block->first_event;
    block->end_time_ns = account->time_ns;
    block->end_level = account->level;
    block->peak_bytes = trace_level_total(&account->block_peak);
    block->peak_object_bytes = account->block_peak.object_bytes;
    block->peak_time_ns = account->block_peak_time_ns;
    block->peak_event = account->block_peak_event ? account->block_peak_event - block->first_event : 0;
}

void trace_writer_close_block(struct trace_writer *writer)
{
    event_encoder_end_block(&writer->encoder);
    trace_writer_end_block(writer);
    trace_writer_put_block(writer, TRACE_BLOCK_DATA, gather_sections(writer));
}

static int is_empty(const struct trace_writer *writer)
{
    return trace_writer_pending_bytes(writer) == 0 && writer->encoder.run == 0;
}

static void put_lost(struct trace_writer *writer)
{
    writer->lost_written = writer->lost_by_caller + writer->lost_here;
    writer->account.totals.lost_events = writer->lost_written;
    event_encoder_other(&writer->encoder, OP_LOST);
    event_encoder_put(&writer->encoder, SECTION_MISC, writer->lost_written);
}

void trace_writer_flush(struct trace_writer *writer)
{
    if (writer->rotation) {
        trace_writer_rotation_flush(writer);
        return;
    }
    if (writer->tally) {
        trace_writer_flush_tally(writer);
        return;
    }
    if (writer->lost_by_caller + writer->lost_here != writer->lost_written)
        put_lost(writer);
    if (is_empty(writer))
        return;
    if (!writer->failed)
        trace_writer_close_block(writer);
    writer->definitions_written = writer->definitions.count;
    begin_block(writer);
}

/* The budget is used up: either there is room for more events, or the block is full, or the trace. Returns 0: events are added up. */
static COLD int renew_budget(struct trace_writer *writer)
{
    if (writer->tally) {
        writer->budget = 0;
        return 0;
    }
    size_t bytes = event_encoder_bytes(&writer->encoder);
    uint64_t events = writer->account.totals.event_count - writer->block.first_event;
    if (bytes >= TRACE_BLOCK_RAW_BYTES || events >= TRACE_BLOCK_EVENTS)
        trace_writer_flush(writer);
    else
        writer->budget = events_that_fit(bytes);
    return writer->max_bytes ? trace_writer_keep_bound(writer, 0) : 1;
}

/* Returns 0: the event is to be added up, not encoded. */
HOT_INLINE int begin_event(struct trace_writer *writer)
{
    return likely(--writer->budget > 0) || renew_budget(writer);
}

void trace_writer_redirect(struct trace_writer *writer, int file)
{
    writer->file = file;
}

static void write_epilogue(const struct trace_writer *writer)
{
    const struct trace_epilogue epilogue = {strerror(writer->failed), writer->account.totals.event_count,
                                            writer->lost_by_caller + writer->lost_here};
    if (writer->rotation)
        trace_epilogue_write_of(writer->file, writer->identity.session_id, writer->identity.pid, &epilogue);
    else
        trace_epilogue_write(writer->file, &epilogue);
}

int trace_writer_close(struct trace_writer *writer, const struct trace_end *end)
{
    if (!writer)
        return 0;
    if (writer->rotation)
        trace_writer_rotation_end(writer);
    else if (writer->tally)
        trace_writer_end_tally(writer);
    else
        trace_writer_flush(writer);
    if (end) {
        struct trace_end filled = *end;
        filled.totals = writer->account.totals;
        trace_end_pack(&filled, writer->stored + TRACE_BLOCK_HEADER_BYTES);
        writer->block = (struct trace_block){
            .type = TRACE_BLOCK_END,
            .sequence = writer->block.sequence,
            .raw_bytes = TRACE_END_BYTES,
            .stored_bytes = TRACE_END_BYTES,
            .first_event = writer->account.totals.event_count,
            .start_time_ns = writer->account.time_ns,
            .end_time_ns = end->time_ns > writer->account.time_ns ? end->time_ns : writer->account.time_ns,
            .end_level = writer->account.level,
        };
        write_block(writer, &writer->block);
        if (writer->rotation)
            trace_writer_rotation_close(writer);
    }
    /* What could not be written leaves room for a small block: in the place of one that fitted only in part, or at the end of a page. */
    if (end && writer->failed)
        write_epilogue(writer);
    int failed = writer->failed;
    release(writer);
    return failed;
}

/* ---- definitions ---- */

int trace_writer_define(struct trace_writer *writer, const struct trace_definition *definition)
{
    if (writer->definitions.count - writer->definitions_written >= TRACE_BLOCK_RAW_BYTES)
        trace_writer_flush(writer);
    if (!trace_writer_has_room_for(writer, definition))
        return STATUS_TOO_LARGE;
    if (writer->tally && tally_reserve(writer->tally, writer->definitions.counts.stacks + (definition->kind == TRACE_DEFINE_NODE),
                                       writer->definitions.counts.threads + (definition->kind == TRACE_DEFINE_THREAD)))
        return STATUS_NO_MEMORY;
    return definition_log_append(&writer->definitions, definition);
}

/* ---- events ---- */

HOT_INLINE uint64_t clamp_size(uint64_t size_bytes)
{
    return likely(size_bytes <= TRACE_MAX_SIZE_BYTES) ? size_bytes : TRACE_MAX_SIZE_BYTES;
}

HOT_INLINE uint32_t known_stack(const struct trace_writer *writer, uint32_t stack_id)
{
    return likely(stack_id <= writer->definitions.counts.stacks) ? stack_id : 0;
}

/* No slot could be had. */
static COLD uint32_t lose_event(struct trace_writer *writer)
{
    writer->lost_here++;
    writer->account.totals.lost_events++;
    return SLOT_NONE;
}

static COLD int reserve_lasts(struct trace_writer *writer)
{
    uint32_t capacity = 2 * writer->thread_id + 16;
    struct last_allocation *grown = realloc(writer->lasts, capacity * sizeof *grown);
    if (!grown)
        return -1;
    memset(grown + writer->last_capacity, 0, (capacity - writer->last_capacity) * sizeof *grown);
    writer->lasts = grown;
    writer->last_capacity = capacity;
    return 0;
}

/* Where threads take turns, this is done for every other event. */
HOT_INLINE void note_last(struct trace_writer *writer)
{
    const struct event_model *model = writer->encoder.model;
    if (model->next_sequence == writer->run_sequence)
        return;
    writer->run_sequence = model->next_sequence;
    if (likely(writer->thread_id < writer->last_capacity) || reserve_lasts(writer) == 0)
        writer->lasts[writer->thread_id] = (struct last_allocation){model->last_taken + 1, (uint32_t)model->next_sequence - 1};
}

void trace_writer_note_last(struct trace_writer *writer)
{
    note_last(writer);
}

/* The next block that takes a slot is no allocation of this thread. */
static COLD void skip_allocation(struct trace_writer *writer)
{
    note_last(writer);
    writer->run_sequence++;
}

uint32_t trace_writer_allocate(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    int is_encoded = begin_event(writer);
    size_bytes = clamp_size(size_bytes);
    stack_id = known_stack(writer, stack_id);
    flags &= CLASS_FLAGS;
    if (unlikely(!is_encoded)) {
        uint32_t slot = trace_writer_tally_allocate(writer, size_bytes, stack_id, flags);
        return likely(slot != SLOT_NONE) ? slot : lose_event(writer);
    }
    uint32_t slot = live_slots_take(&writer->slots, size_bytes, flags, stack_id, (uint32_t)writer->encoder.model->next_sequence);
    if (unlikely(slot == SLOT_NONE))
        return lose_event(writer);
    if (unlikely(flags & (TRACE_ARENA | TRACE_INHERITED)))
        skip_allocation(writer);
    account_allocate(&writer->account, size_bytes, flags);
    event_encoder_allocate(&writer->encoder, slot, flags, stack_id, size_bytes);
    return slot;
}

void trace_writer_free(struct trace_writer *writer, uint32_t slot, unsigned flags)
{
    if (unlikely(!begin_event(writer))) {
        trace_writer_tally_free(writer, slot, flags);
        return;
    }
    const struct live_slot *freed = &writer->slots.slots[slot];
    account_free(&writer->account, live_slots_size(&writer->slots, slot), live_slot_flags(freed));
    event_encoder_free(&writer->encoder, slot, freed, flags & TRACE_REALLOC ? CLASS_FREE_REALLOC : CLASS_FREE);
    live_slots_release(&writer->slots, slot);
}

void trace_writer_copy(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id)
{
    int is_encoded = begin_event(writer);
    size_bytes = clamp_size(size_bytes);
    stack_id = known_stack(writer, stack_id);
    if (unlikely(!is_encoded)) {
        trace_writer_tally_copy(writer, size_bytes, stack_id);
        return;
    }
    account_copy(&writer->account, size_bytes);
    event_encoder_block(&writer->encoder, CLASS_COPY, stack_id, size_bytes);
}

void trace_writer_shrink(struct trace_writer *writer, uint32_t slot, uint64_t size_bytes)
{
    int is_encoded = begin_event(writer);
    uint64_t all_bytes = live_slots_size(&writer->slots, slot);
    if (size_bytes > all_bytes)
        size_bytes = all_bytes;
    if (!is_encoded) {
        trace_writer_tally_shrink(writer, slot, size_bytes);
        return;
    }
    account_free(&writer->account, size_bytes, live_slot_flags(&writer->slots.slots[slot]));
    live_slots_shrink(&writer->slots, slot, size_bytes);
    event_encoder_other(&writer->encoder, OP_SHRINK);
    event_encoder_put(&writer->encoder, SECTION_MISC, slot);
    event_encoder_put(&writer->encoder, SECTION_MISC, size_bytes);
}

uint32_t trace_writer_undo_free(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    int is_encoded = begin_event(writer);
    size_bytes = clamp_size(size_bytes);
    stack_id = known_stack(writer, stack_id);
    flags &= CLASS_FLAGS;
    if (!is_encoded) {
        uint32_t slot = trace_writer_tally_undo_free(writer, size_bytes, stack_id, flags);
        return slot != SLOT_NONE ? slot : lose_event(writer);
    }
    uint32_t slot = live_slots_take(&writer->slots, size_bytes, flags, stack_id, (uint32_t)writer->encoder.model->next_sequence);
    if (slot == SLOT_NONE)
        return lose_event(writer);
    skip_allocation(writer);
    model_allocated_unread(writer->encoder.model, slot);
    account_live(&writer->account, size_bytes, flags);
    event_encoder_other(&writer->encoder, OP_UNDO_FREE);
    event_encoder_put(&writer->encoder, SECTION_MISC, stack_id);
    event_encoder_put(&writer->encoder, SECTION_MISC, size_bytes);
    event_encoder_put(&writer->encoder, SECTION_MISC, flags);
    return slot;
}

void trace_writer_time(struct trace_writer *writer, uint64_t time_ns)
{
    if (time_ns <= writer->account.time_ns)
        return;
    if (begin_event(writer)) {
        event_encoder_other(&writer->encoder, OP_TIME);
        event_encoder_put(&writer->encoder, SECTION_TIMES, time_ns - writer->account.time_ns);
        writer->account.time_ns = time_ns;
    } else if (writer->rotation) {
        trace_writer_rotation_time(writer, time_ns);
    } else {
        trace_writer_tally_time(writer, time_ns);
    }
}

void trace_writer_thread(struct trace_writer *writer, uint32_t thread_id)
{
    if (thread_id > writer->definitions.counts.threads)
        thread_id = 0;
    if (thread_id == writer->thread_id)
        return;
    if (likely(begin_event(writer))) {
        note_last(writer);
        model_switch_thread(writer->encoder.model, thread_id);
        event_encoder_other(&writer->encoder, OP_THREAD);
        event_encoder_put(&writer->encoder, SECTION_MISC, thread_id);
    } else if (writer->rotation) {
        trace_writer_rotation_thread(writer, thread_id);
    } else {
        writer->tally->thread_id = thread_id;
    }
    writer->thread_id = thread_id;
}

/* Older readers must not take what follows for exact. */
static void mark_resampled(struct trace_writer *writer)
{
    uint8_t header[TRACE_FILE_HEADER_BYTES];
    writer->identity.flags |= TRACE_RESAMPLED | (writer->rotation ? TRACE_WEIGHTED : 0);
    trace_file_header_pack(&writer->identity, header);
    int error = writer->failed ? 0 : file_write_at(writer->file, header, sizeof header, 0);
    if (error)
        writer->failed = error;
}

void trace_writer_sampling(struct trace_writer *writer, uint64_t interval_bytes)
{
    if (!(writer->identity.flags & TRACE_RESAMPLED))
        mark_resampled(writer);
    interval_bytes = clamp_size(interval_bytes);
    if (begin_event(writer)) {
        event_encoder_other(&writer->encoder, OP_SAMPLING);
        event_encoder_put(&writer->encoder, SECTION_MISC, interval_bytes);
    } else if (writer->rotation) {
        trace_writer_rotation_sampling(writer, interval_bytes);
    }
}

void trace_writer_rss(struct trace_writer *writer, uint64_t rss_bytes)
{
    account_rss(&writer->account, rss_bytes);
    writer->rss_bytes = rss_bytes;
    if (begin_event(writer)) {
        event_encoder_other(&writer->encoder, OP_RSS);
        event_encoder_put(&writer->encoder, SECTION_MISC, rss_bytes);
    } else {
        writer->tally->rss_bytes = rss_bytes;
        if (writer->rotation)
            trace_writer_rotation_figures(writer, OP_RSS, rss_bytes, 0);
    }
}

void trace_writer_peak_rss(struct trace_writer *writer, uint64_t rss_bytes)
{
    account_rss(&writer->account, rss_bytes);
}

void trace_writer_lost(struct trace_writer *writer, uint64_t events)
{
    if (events == writer->lost_by_caller)
        return;
    int is_encoded = begin_event(writer);
    writer->lost_by_caller = events;
    if (is_encoded)
        put_lost(writer);
    else if (writer->rotation)
        trace_writer_rotation_flush_lost(writer);
    else
        writer->account.totals.lost_events = writer->lost_by_caller + writer->lost_here;
}

void trace_writer_small_copies(struct trace_writer *writer, uint64_t copies, uint64_t bytes)
{
    if (copies == writer->small_copies && bytes == writer->small_copied_bytes)
        return;
    int is_encoded = begin_event(writer);
    writer->small_copies = copies;
    writer->small_copied_bytes = bytes;
    account_small_copies(&writer->account, copies, bytes);
    if (writer->rotation)
        trace_writer_rotation_figures(writer, OP_SMALL_COPIES, copies, bytes);
    if (!is_encoded)
        return;
    event_encoder_other(&writer->encoder, OP_SMALL_COPIES);
    event_encoder_put(&writer->encoder, SECTION_MISC, copies);
    event_encoder_put(&writer->encoder, SECTION_MISC, bytes);
}

void trace_writer_unknown_frees(struct trace_writer *writer, uint64_t frees)
{
    if (frees == writer->account.totals.unknown_frees)
        return;
    int is_encoded = begin_event(writer);
    writer->account.totals.unknown_frees = frees;
    if (writer->rotation)
        trace_writer_rotation_figures(writer, OP_UNKNOWN_FREES, frees, 0);
    if (!is_encoded)
        return;
    event_encoder_other(&writer->encoder, OP_UNKNOWN_FREES);
    event_encoder_put(&writer->encoder, SECTION_MISC, frees);
}

/* ---- what the writer knows ---- */

const struct live_slots *trace_writer_slots(const struct trace_writer *writer)
{
    return &writer->slots;
}

uint64_t trace_writer_far_frees(const struct trace_writer *writer)
{
    return writer->encoder.far_frees;
}

const struct trace_totals *trace_writer_totals(const struct trace_writer *writer)
{
    return &writer->account.totals;
}

size_t trace_writer_pending_bytes(const struct trace_writer *writer)
{
    return (writer->tally && !writer->rotation ? 0 : event_encoder_bytes(&writer->encoder)) + writer->definitions.count - writer->definitions_written;
}

uint64_t trace_writer_file_bytes(const struct trace_writer *writer)
{
    return writer->file_bytes;
}

int trace_writer_is_rotated(const struct trace_writer *writer)
{
    return writer->rotation != NULL;
}

int trace_writer_adds_up(const struct trace_writer *writer)
{
    return writer->tally && !writer->rotation;
}

uint64_t trace_writer_bound_bytes(const struct trace_writer *writer)
{
    return writer->max_bytes;
}

int trace_writer_definitions_closed(const struct trace_writer *writer)
{
    return writer->definitions_closed;
}

int trace_writer_failed(const struct trace_writer *writer)
{
    return writer->failed;
}
