/* Blocks -> definitions and events (trace_reader.h). One thread. Allocates when it is opened, for a block larger than those
 * before, and when the live set grows. */
#include "trace_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "checksum.h"
#include "trace_reader_internal.h"

/* ---- opening and closing ---- */

int trace_reader_open(const char *path, struct trace_reader **ret_reader, struct status_detail *detail)
{
    struct trace_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return trace_fail(detail, STATUS_NO_MEMORY, 0, "out of memory");
    int status = 0;
    reader->source.file = open(path, O_RDONLY | O_CLOEXEC);
    if (reader->source.file < 0)
        status = trace_fail(detail, STATUS_SYSTEM, 0, "cannot open the file");
    if (!status)
        status = trace_reader_scan(reader, detail);
    if (!status) {
        reader->zstd = ZSTD_createDCtx();
        if (event_decoder_init(&reader->events, reader->overview.format_version, &reader->overview.identity) || !reader->zstd)
            status = trace_fail(detail, STATUS_NO_MEMORY, 0, "out of memory");
    }
    if (status) {
        int error = errno;
        trace_reader_close(reader);
        errno = error;
        return status;
    }
    reader->next_offset = TRACE_FILE_HEADER_BYTES;
    *ret_reader = reader;
    return 0;
}

void trace_reader_close(struct trace_reader *reader)
{
    if (!reader)
        return;
    if (reader->source.file >= 0)
        close(reader->source.file);
    trace_space_done(&reader->source.space);
    event_decoder_done(&reader->events);
    ZSTD_freeDCtx(reader->zstd);
    free(reader->raw);
    free(reader->stored);
    free(reader);
}

/* ---- blocks ---- */

/* Every error ends here: the reader stays where it is for good. */
static int fail(struct trace_reader *reader, int status)
{
    reader->in_block = 0;
    reader->status = status;
    return status;
}

static int fail_in_block(struct trace_reader *reader, int status, struct status_detail *detail, const char *problem)
{
    trace_fail(detail, status, reader->block_offset, "the block at byte %" PRIu64 " is damaged: %s", reader->block_offset,
               problem);
    return fail(reader, status);
}

static int reserve(uint8_t **buffer, size_t *capacity, size_t bytes)
{
    if (bytes <= *capacity)
        return 0;
    uint8_t *fresh = malloc(bytes);
    if (!fresh)
        return -1;
    free(*buffer);
    *buffer = fresh;
    *capacity = bytes;
    return 0;
}

/* The current block's payload, verified and decompressed, in reader->raw. */
static int load_payload(struct trace_reader *reader, struct status_detail *detail)
{
    const struct trace_block *block = &reader->block;
    if (reserve(&reader->stored, &reader->stored_capacity, block->stored_bytes + 1) ||
        reserve(&reader->raw, &reader->raw_capacity, (size_t)block->raw_bytes + VARINT_MAX_BYTES)) {
        trace_fail(detail, STATUS_NO_MEMORY, reader->block_offset, "out of memory");
        return fail(reader, STATUS_NO_MEMORY);
    }
    int64_t count = trace_read_at(&reader->source, reader->stored, block->stored_bytes,
                                  reader->block_offset + TRACE_BLOCK_HEADER_BYTES);
    if (count < 0) {
        trace_fail(detail, STATUS_SYSTEM, reader->block_offset, "cannot read the block at byte %" PRIu64, reader->block_offset);
        return fail(reader, STATUS_SYSTEM);
    }
    if (count != block->stored_bytes || checksum_crc32c(reader->stored, block->stored_bytes) != block->payload_checksum)
        return fail_in_block(reader, STATUS_CORRUPT, detail, "the checksum of its payload is wrong");
    size_t raw_bytes = ZSTD_decompressDCtx(reader->zstd, reader->raw, block->raw_bytes, reader->stored, block->stored_bytes);
    if (ZSTD_isError(raw_bytes) || raw_bytes != block->raw_bytes)
        return fail_in_block(reader, STATUS_CORRUPT, detail, "its payload cannot be decompressed");
    memset(reader->raw + raw_bytes, 0, VARINT_MAX_BYTES);
    return 0;
}

static const char *begin_data(struct trace_reader *reader)
{
    if (event_decoder_begin_block(&reader->events, reader->raw, reader->block.raw_bytes))
        return reader->events.problem;
    reader->next_definition = reader->events.next[SECTION_DEFINITIONS];
    reader->definitions_end = reader->events.end[SECTION_DEFINITIONS];
    return NULL;
}

static int begin_block(struct trace_reader *reader, struct status_detail *detail)
{
    if (load_payload(reader, detail))
        return reader->status;
    const char *problem = reader->block.type == TRACE_BLOCK_TALLY     ? trace_reader_begin_tally(reader)
                          : reader->block.type == TRACE_BLOCK_SEGMENT ? trace_reader_begin_segment(reader)
                                                                      : begin_data(reader);
    if (problem)
        return fail_in_block(reader, STATUS_CORRUPT, detail, problem);
    reader->events_begun = 0;
    reader->events_status = 0;
    reader->in_block = 1;
    return 0;
}

/* What is unread of the current block changes the live set and the model: decode it. */
static int finish_block(struct trace_reader *reader, struct status_detail *detail)
{
    struct trace_event event;
    int status = 0;
    while (reader->in_block && !status)
        status = trace_reader_next_event(reader, &event, detail);
    return reader->status;
}

int trace_reader_next_block(struct trace_reader *reader, struct status_detail *detail)
{
    if (reader->status)
        return reader->status;
    if (finish_block(reader, detail))
        return reader->status;
    if (reader->next_offset >= reader->data_end)
        return STATUS_END;
    reader->block_offset = reader->next_offset;
    int status = trace_block_read(&reader->source, reader->data_end, reader->block_offset, reader->next_sequence, &reader->block,
                                  detail);
    if (!status && reader->block.type == TRACE_BLOCK_END)
        status = trace_fail(detail, STATUS_CORRUPT, reader->block_offset, "the file changed while it was read");
    if (status)
        return fail(reader, status);
    reader->next_sequence = reader->block.sequence + 1;
    reader->next_offset += TRACE_BLOCK_HEADER_BYTES + (uint64_t)reader->block.stored_bytes;
    return begin_block(reader, detail);
}

/* ---- contents ---- */

int trace_reader_next_definition(struct trace_reader *reader, struct trace_definition *definition, struct status_detail *detail)
{
    if (!reader->in_block)
        return reader->status ? reader->status : STATUS_END;
    const char *problem = NULL;
    int status = definition_decode(&reader->definitions, &reader->next_definition, reader->definitions_end, definition, &problem);
    return status == STATUS_CORRUPT ? fail_in_block(reader, status, detail, problem) : status;
}

static COLD int begin_events(struct trace_reader *reader, struct status_detail *detail)
{
    struct trace_definition definition;
    int status;
    while ((status = trace_reader_next_definition(reader, &definition, detail)) == 0)
        ;
    if (status != STATUS_END)
        return status;
    reader->events.stack_count = reader->definitions.stacks;
    reader->events.thread_count = reader->definitions.threads;
    if (reader->block.type != TRACE_BLOCK_DATA) {
        if (reader->block.type == TRACE_BLOCK_TALLY)
            trace_reader_end_tally(reader);
        reader->in_block = 0;
        return STATUS_END;
    }
    reader->events_begun = 1;
    return 0;
}

/* The events led to what the header promised? Else encoder and decoder disagree, or someone made the file up. */
static const char *block_mismatch(const struct trace_reader *reader)
{
    const struct trace_block *block = &reader->block;
    const struct trace_account *account = &reader->events.account;
    uint64_t peak_event = account->block_peak_event ? account->block_peak_event - block->first_event : 0;
    if (account->totals.event_count != block->first_event + block->event_count)
        return "it holds another number of events than its header says";
    if (memcmp(&account->level, &block->end_level, sizeof(account->level)) != 0)
        return "its events lead to another heap level than its header says";
    if (account->time_ns != block->end_time_ns)
        return "its events lead to another time than its header says";
    if (peak_event != block->peak_event || account->block_peak_time_ns != block->peak_time_ns ||
        trace_level_total(&account->block_peak) != block->peak_bytes ||
        account->block_peak.object_bytes != block->peak_object_bytes)
        return "its events lead to another high-water mark than its header says";
    return NULL;
}

static COLD int end_events(struct trace_reader *reader, int status, struct status_detail *detail)
{
    if (status == STATUS_CORRUPT)
        return fail_in_block(reader, status, detail, reader->events.problem);
    if (status == STATUS_NO_MEMORY) {
        trace_fail(detail, status, reader->block_offset, "out of memory for the live allocations");
        return fail(reader, status);
    }
    const char *problem = block_mismatch(reader);
    if (problem)
        return fail_in_block(reader, STATUS_CORRUPT, detail, problem);
    reader->in_block = 0;
    return STATUS_END;
}

int trace_reader_next_event(struct trace_reader *reader, struct trace_event *event, struct status_detail *detail)
{
    if (unlikely(!reader->in_block))
        return reader->status ? reader->status : STATUS_END;
    int status = unlikely(!reader->events_begun) ? begin_events(reader, detail) : 0;
    if (unlikely(status))
        return status;
    status = reader->events_status ? reader->events_status : event_decoder_next(&reader->events, event);
    return likely(!status) ? 0 : end_events(reader, status, detail);
}

int trace_reader_next_events(struct trace_reader *reader, struct trace_event *events, size_t capacity, size_t *ret_count,
                             struct status_detail *detail)
{
    if (!reader->in_block)
        return reader->status ? reader->status : STATUS_END;
    int status = reader->events_begun ? 0 : begin_events(reader, detail);
    if (status)
        return status;
    if (reader->events_status)
        return end_events(reader, reader->events_status, detail);
    size_t count = event_decoder_next_many(&reader->events, events, capacity, &reader->events_status);
    if (!count)
        return end_events(reader, reader->events_status, detail);
    *ret_count = count;
    return 0;
}

/* ---- what the reader knows ---- */

const struct trace_overview *trace_reader_overview(const struct trace_reader *reader)
{
    return &reader->overview;
}

int trace_reader_damage(const struct trace_reader *reader, struct status_detail *detail)
{
    if (reader->damage.status && detail)
        *detail = reader->damage;
    return reader->damage.status;
}

const struct live_slots *trace_reader_slots(const struct trace_reader *reader)
{
    return &reader->events.slots;
}

const struct trace_level *trace_reader_level(const struct trace_reader *reader)
{
    return &reader->events.account.level;
}

const struct trace_totals *trace_reader_totals(const struct trace_reader *reader)
{
    return &reader->events.account.totals;
}

uint64_t trace_reader_position(const struct trace_reader *reader)
{
    return reader->next_offset;
}
