/* Writes records: see dump_record.h. Every record is a name and fields, so that text and JSON come from one description. */
#include "dump_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "message.h"
#include "reading.h"
#include "text.h"

/* ---- one record: name, then fields ---- */

static void begin_record(struct dump_writer *writer, const char *name)
{
    if (writer->is_json) {
        json_object(&writer->json, NULL);
        json_text(&writer->json, "record", name);
    } else {
        fputs(name, stdout);
    }
}

static void end_record(struct dump_writer *writer)
{
    if (writer->is_json)
        json_object_end(&writer->json);
    else
        putchar('\n');
}

static void put_number(struct dump_writer *writer, const char *name, uint64_t value)
{
    if (writer->is_json)
        json_integer(&writer->json, name, (int64_t)value);
    else
        printf(" %s=%" PRIu64, name, value);
}

static void put_signed(struct dump_writer *writer, const char *name, int64_t value)
{
    if (writer->is_json)
        json_integer(&writer->json, name, value);
    else
        printf(" %s=%" PRId64, name, value);
}

static void put_real(struct dump_writer *writer, const char *name, double value)
{
    if (writer->is_json)
        json_real(&writer->json, name, value);
    else
        printf(" %s=%.17g", name, value);
}

static void put_hex(struct dump_writer *writer, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "0x%" PRIx64, value);
    if (writer->is_json)
        json_text(&writer->json, name, text);
    else
        printf(" %s=%s", name, text);
}

/* Text that isn't NUL-terminated and may hold anything; in text output quoted, control characters disarmed. */
static void put_text(struct dump_writer *writer, const char *name, const char *bytes, size_t size)
{
    char *copy = memory_copy_part(bytes ? bytes : "", size);
    if (writer->is_json) {
        json_text(&writer->json, name, copy);
    } else {
        char *clean = text_clean(copy, 1);
        printf(" %s=\"%s\"", name, clean);
        free(clean);
    }
    free(copy);
}

static void put_word(struct dump_writer *writer, const char *name, const char *word)
{
    if (writer->is_json)
        json_text(&writer->json, name, word);
    else
        printf(" %s=%s", name, word);
}

static void put_flags(struct dump_writer *writer, unsigned flags)
{
    static const char *const names[] = {"object", "in-arena", "arena", "mapping", "inherited", "realloc"};
    char text[80] = "";
    for (unsigned bit = 0; bit < 6; bit++)
        if (flags & (1u << bit)) {
            strcat(text, text[0] ? "," : "");
            strcat(text, names[bit]);
        }
    if (text[0])
        put_word(writer, "flags", text);
}

/* ---- the trace as a whole ---- */

static void put_identity(struct dump_writer *writer, const struct trace_identity *identity)
{
    begin_record(writer, "trace");
    put_hex(writer, "session", identity->session_id);
    put_number(writer, "pid", identity->pid);
    put_number(writer, "parent_pid", identity->parent_pid);
    put_number(writer, "start_realtime_ns", identity->start_realtime_ns);
    put_number(writer, "sampling_interval_bytes", identity->sampling_interval_bytes);
    put_number(writer, "copy_threshold_bytes", identity->copy_threshold_bytes);
    if (identity->flags & TRACE_FORKED)
        put_word(writer, "forked", "yes");
    if (identity->flags & TRACE_NATIVE)
        put_word(writer, "native", "yes");
    if (identity->flags & TRACE_EXECED)
        put_word(writer, "execed", "yes");
    end_record(writer);
}

void dump_begin(struct dump_writer *writer, int is_json, const struct trace_overview *overview)
{
    *writer = (struct dump_writer){.is_json = is_json};
    if (is_json) {
        json_begin(&writer->json, stdout, "dump");
        json_integer(&writer->json, "file_bytes", (int64_t)overview->file_bytes);
        json_integer(&writer->json, "blocks", (int64_t)overview->block_count);
        json_integer(&writer->json, "events", (int64_t)overview->event_count);
        json_array(&writer->json, "records");
    }
    put_identity(writer, &overview->identity);
}

static void put_end(struct dump_writer *writer, const struct trace_end *end)
{
    static const char *const reasons[] = {"unknown", "exit", "signal", "exec", "stopped", "snapshot"};
    const struct trace_totals *totals = &end->totals;
    begin_record(writer, "end");
    put_word(writer, "reason", end->reason < 6 ? reasons[end->reason] : "?");
    put_signed(writer, "status", end->status);
    put_number(writer, "time_ns", end->time_ns);
    put_number(writer, "events", totals->event_count);
    put_number(writer, "allocated_bytes", totals->allocated_bytes);
    put_number(writer, "allocations", totals->allocations);
    put_number(writer, "copied_bytes", totals->copied_bytes);
    put_number(writer, "copies", totals->copies);
    put_number(writer, "lost_events", totals->lost_events);
    put_number(writer, "unknown_frees", totals->unknown_frees);
    put_number(writer, "peak_bytes", totals->peak_bytes);
    put_number(writer, "peak_event", totals->peak_event);
    put_number(writer, "peak_time_ns", totals->peak_time_ns);
    put_number(writer, "peak_rss_bytes", totals->peak_rss_bytes);
    put_number(writer, "live_bytes", totals->live_bytes);
    end_record(writer);
}

void dump_end(struct dump_writer *writer, const struct trace_overview *overview, int is_whole, const struct status_detail *damage)
{
    if (is_whole && overview->has_end && !damage)
        put_end(writer, &overview->end);
    if (damage) {
        begin_record(writer, "damage");
        put_number(writer, "offset", damage->offset);
        put_text(writer, "reason", damage->message, strlen(damage->message));
        end_record(writer);
    }
    if (!writer->is_json)
        return;
    json_array_end(&writer->json);
    reading_json_end(&writer->json);
}

void dump_block_start(struct dump_writer *writer, uint64_t number, uint64_t end_offset)
{
    begin_record(writer, "block");
    put_number(writer, "number", number);
    put_number(writer, "end_offset", end_offset);
    end_record(writer);
}

/* ---- definitions ---- */

static void put_code(struct dump_writer *writer, const struct trace_definition *definition)
{
    begin_record(writer, "code");
    put_number(writer, "code", definition->code.code_id);
    put_text(writer, "file", definition->code.file, definition->code.file_bytes);
    put_text(writer, "name", definition->code.name, definition->code.name_bytes);
    put_signed(writer, "first_line", definition->code.first_line);
    put_hex(writer, "python_version", definition->code.python_version);
    put_number(writer, "line_table_bytes", definition->code.line_table_bytes);
}

static void put_node(struct dump_writer *writer, const struct trace_definition *definition)
{
    begin_record(writer, "stack");
    put_number(writer, "stack", definition->node.stack_id);
    put_number(writer, "caller", definition->node.caller_id);
    if (definition->node.frame_kind == TRACE_FRAME_PYTHON) {
        put_word(writer, "kind", "python");
        put_number(writer, "code", definition->node.code_id);
        put_signed(writer, "instruction", definition->node.instruction);
    } else if (definition->node.frame_kind == TRACE_FRAME_NATIVE) {
        put_word(writer, "kind", "native");
        put_number(writer, "module", definition->node.module_id);
        put_hex(writer, "address", definition->node.address);
    } else {
        put_word(writer, "kind", "cut");
    }
}

static void put_module(struct dump_writer *writer, const struct trace_definition *definition)
{
    char build_id[2 * 64 + 1] = "";
    begin_record(writer, "module");
    put_number(writer, "module", definition->module.module_id);
    put_text(writer, "path", definition->module.path, definition->module.path_bytes);
    put_hex(writer, "load_bias", definition->module.load_bias);
    put_hex(writer, "start", definition->module.start);
    put_hex(writer, "end", definition->module.end);
    for (uint32_t i = 0; i < definition->module.build_id_bytes && i < 64; i++)
        sprintf(build_id + 2 * i, "%02x", definition->module.build_id[i]);
    if (build_id[0])
        put_word(writer, "build_id", build_id);
}

void dump_definition(struct dump_writer *writer, const struct trace_definition *definition)
{
    switch (definition->kind) {
    case TRACE_DEFINE_CODE:
        put_code(writer, definition);
        break;
    case TRACE_DEFINE_NODE:
        put_node(writer, definition);
        break;
    case TRACE_DEFINE_MODULE:
        put_module(writer, definition);
        break;
    case TRACE_DEFINE_THREAD:
        begin_record(writer, "thread");
        put_number(writer, "thread", definition->thread.thread_id);
        put_number(writer, "kernel_id", definition->thread.kernel_id);
        put_text(writer, "name", definition->thread.name, definition->thread.name_bytes);
        break;
    default:
        begin_record(writer, "property");
        put_text(writer, "key", definition->property.key, definition->property.key_bytes);
        put_text(writer, "value", definition->property.value, definition->property.value_bytes);
    }
    end_record(writer);
}

/* ---- tallies ---- */

void dump_tally(struct dump_writer *writer, const struct trace_tally *tally)
{
    begin_record(writer, "tally");
    put_number(writer, "start_ns", tally->start_time_ns);
    put_number(writer, "end_ns", tally->end_time_ns);
    put_number(writer, "events", tally->event_count);
    put_number(writer, "heap_bytes", trace_level_total(&tally->end_level));
    if (tally->has_peak) {
        put_number(writer, "peak_bytes", tally->peak_bytes);
        put_number(writer, "peak_event", tally->peak_event);
        put_number(writer, "peak_time_ns", tally->peak_time_ns);
    }
    put_number(writer, "lost_events", tally->lost_events);
    put_number(writer, "unknown_frees", tally->unknown_frees);
    put_number(writer, "small_copies", tally->small_copies);
    put_number(writer, "small_copied_bytes", tally->small_copied_bytes);
    put_number(writer, "peak_rss_bytes", tally->peak_rss_bytes);
    end_record(writer);
}

void dump_tally_moment(struct dump_writer *writer, const struct tally_moment *moment)
{
    begin_record(writer, "tally-moment");
    put_number(writer, "time_ns", moment->time_ns);
    put_number(writer, "heap_bytes", moment->heap_bytes);
    put_number(writer, "heap_peak_bytes", moment->heap_peak_bytes);
    put_number(writer, "rss_bytes", moment->rss_bytes);
    end_record(writer);
}

static void put_birth(struct dump_writer *writer, const char *of_slot, const char *at_time, uint64_t birth)
{
    put_number(writer, birth & TALLY_BIRTH_TIME ? at_time : of_slot, birth >> 1);
}

static int has_errors(const struct count_error *errors)
{
    return errors->live != 0 || errors->allocations != 0 || errors->peak != 0 || errors->copies != 0;
}

void dump_tally_stack(struct dump_writer *writer, const struct tally_stack *stack, int has_peak)
{
    begin_record(writer, "tally-stack");
    put_number(writer, "stack", stack->stack_id);
    put_signed(writer, "live_bytes", stack->live_bytes);
    put_signed(writer, "live_allocations", stack->live_allocations);
    put_number(writer, "allocated_bytes", stack->allocated_bytes);
    put_number(writer, "allocations", stack->allocations);
    put_signed(writer, "temporary_allocations", stack->temporary_allocations);
    put_number(writer, "copied_bytes", stack->copied_bytes);
    put_number(writer, "copies", stack->copies);
    if (has_peak) {
        put_signed(writer, "peak_bytes", stack->peak_bytes);
        put_signed(writer, "peak_allocations", stack->peak_allocations);
    }
    if (has_errors(&stack->errors)) {
        put_real(writer, "live_variance", stack->errors.live);
        put_real(writer, "allocations_variance", stack->errors.allocations);
        if (has_peak)
            put_real(writer, "peak_variance", stack->errors.peak);
        put_real(writer, "copies_variance", stack->errors.copies);
        put_real(writer, "largest_block", stack->errors.largest_block);
        put_real(writer, "largest_copy", stack->errors.largest_copy);
    }
    if (stack->has_births) {
        put_birth(writer, "oldest_slot", "oldest_ns", stack->oldest);
        put_birth(writer, "newest_slot", "newest_ns", stack->newest);
    }
    end_record(writer);
}

/* ---- events ---- */

enum event_field { FIELD_SLOT = 1, FIELD_BYTES = 2, FIELD_STACK = 4, FIELD_COUNT = 8, FIELD_THREAD = 16, FIELD_TIME = 32, FIELD_FLAGS = 64 };

static const struct {
    const char *name;
    int fields;
} event_shapes[TRACE_EVENT_KIND_COUNT] = {
    [TRACE_ALLOCATE] = {"allocate", FIELD_SLOT | FIELD_BYTES | FIELD_STACK | FIELD_FLAGS},
    [TRACE_FREE] = {"free", FIELD_SLOT | FIELD_FLAGS},
    [TRACE_SHRINK] = {"shrink", FIELD_SLOT | FIELD_BYTES},
    [TRACE_COPY] = {"copy", FIELD_BYTES | FIELD_STACK},
    [TRACE_UNDO_FREE] = {"undo-free", FIELD_SLOT | FIELD_BYTES | FIELD_STACK | FIELD_FLAGS},
    [TRACE_TIME] = {"time", FIELD_TIME},
    [TRACE_THREAD] = {"on-thread", FIELD_THREAD},
    [TRACE_RSS] = {"rss", FIELD_BYTES},
    [TRACE_LOST] = {"lost", FIELD_BYTES},
    [TRACE_SMALL_COPIES] = {"small-copies", FIELD_BYTES | FIELD_COUNT},
    [TRACE_UNKNOWN_FREES] = {"unknown-frees", FIELD_COUNT},
    [TRACE_SAMPLING] = {"sampling", FIELD_BYTES},
};

void dump_event(struct dump_writer *writer, const struct trace_event *event)
{
    if (event->kind >= TRACE_EVENT_KIND_COUNT)
        return;
    int fields = event_shapes[event->kind].fields;
    begin_record(writer, event_shapes[event->kind].name);
    if (fields & FIELD_SLOT)
        put_number(writer, "slot", event->slot);
    if (fields & FIELD_BYTES)
        put_number(writer, event->kind == TRACE_LOST ? "events" : "bytes", event->size_bytes);
    if (fields & FIELD_STACK)
        put_number(writer, "stack", event->stack_id);
    if (fields & FIELD_COUNT)
        put_number(writer, "count", event->count);
    if (fields & FIELD_THREAD)
        put_number(writer, "thread", event->thread_id);
    if (fields & FIELD_TIME)
        put_number(writer, "time_ns", event->time_ns);
    if (fields & FIELD_FLAGS)
        put_flags(writer, event->flags);
    end_record(writer);
}
