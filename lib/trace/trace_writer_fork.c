/* A second trace from the state of a first (trace_writer_fork in trace_writer.h). One thread; allocates. */
#include <errno.h>
#include <stdlib.h>

#include "trace_writer_internal.h"

/* Define in `child` all that `parent` has defined. Returns 0 or STATUS_NO_MEMORY. */
static int copy_definitions(const struct trace_writer *parent, struct trace_writer *child, int with_properties)
{
    /* The decoder may look VARINT_MAX_BYTES past a number: give it a padded copy, in pieces it would be hard to cut. */
    const struct definition_log *log = &parent->definitions;
    uint8_t *bytes = calloc(1, log->count + VARINT_MAX_BYTES);
    if (!bytes)
        return STATUS_NO_MEMORY;
    if (log->count)
        memcpy(bytes, log->bytes, log->count);
    struct definition_counts counts = {0};
    const uint8_t *next = bytes;
    struct trace_definition definition;
    const char *problem;
    int status;
    while ((status = definition_decode(&counts, &next, bytes + log->count, &definition, &problem)) == 0) {
        if (definition.kind == TRACE_DEFINE_PROPERTY && !with_properties)
            continue;
        status = trace_writer_define(child, &definition);
        if (status)
            break;
    }
    free(bytes);
    /* Refused are those that the parent defined with more room than the child has: their stacks are unknown ones. */
    return status == STATUS_END || status == STATUS_TOO_LARGE ? 0 : status;
}

/* Allocate in `child` all that is live in `parent`, in the order of its slots. Returns 0 or STATUS_NO_MEMORY. */
static int copy_live_slots(const struct trace_writer *parent, struct trace_writer *child, const struct trace_slot_intervals *intervals,
                           uint32_t *slot_map)
{
    uint8_t current_id = 0;
    for (uint32_t i = 0; i < parent->slots.used_count; i++) {
        const struct live_slot *slot = &parent->slots.slots[i];
        slot_map[i] = SLOT_NONE;
        if (!live_slot_is_live(slot))
            continue;
        uint8_t id = i < intervals->id_count ? intervals->ids[i] : 0;
        if (id != current_id)
            trace_writer_sampling(child, intervals->bytes[id]);
        current_id = id;
        slot_map[i] = trace_writer_allocate(child, live_slots_size(&parent->slots, i), slot->stack_id, live_slot_flags(slot) | TRACE_INHERITED);
        if (slot_map[i] == SLOT_NONE)
            return STATUS_NO_MEMORY;
    }
    if (current_id)
        trace_writer_sampling(child, intervals->bytes[0]);
    return 0;
}

int trace_writer_fork(const struct trace_writer *writer, int file, const struct trace_identity *identity,
                      const struct trace_slot_intervals *intervals, struct trace_writer **ret_writer, uint32_t **ret_slot_map)
{
    uint32_t *slot_map = malloc(((size_t)writer->slots.used_count + 1) * sizeof(*slot_map));
    if (!slot_map)
        return STATUS_NO_MEMORY;
    struct trace_writer *child;
    int status = trace_writer_open(file, identity, &child);
    if (status) {
        int error = errno;
        free(slot_map);
        errno = error;
        return status;
    }
    if (writer->rotation)
        status = trace_writer_rotate(child, identity, &writer->rotate);
    else
        trace_writer_bound(child, writer->max_bytes);
    if (!status)
        status = copy_definitions(writer, child, 1);
    if (!status)
        status = copy_live_slots(writer, child, intervals, slot_map);
    if (status) {
        trace_writer_close(child, NULL);
        free(slot_map);
        return status;
    }
    *ret_writer = child;
    *ret_slot_map = slot_map;
    return 0;
}

int trace_writer_continue(const struct trace_writer *writer, int file, const struct trace_identity *identity, const struct trace_rotate *rotate,
                          struct trace_writer **ret_writer)
{
    struct trace_writer *next;
    int status = trace_writer_open(file, identity, &next);
    if (status)
        return status;
    if (rotate->segment_bytes || rotate->segment_ns)
        status = trace_writer_rotate(next, identity, rotate);
    else
        trace_writer_bound(next, rotate->max_bytes);
    if (!status)
        status = copy_definitions(writer, next, 0);
    if (status) {
        trace_writer_close(next, NULL);
        return status;
    }
    *ret_writer = next;
    return 0;
}
