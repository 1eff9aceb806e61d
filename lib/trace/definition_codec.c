/* See definition_codec.h. */
#include "definition_codec.h"

#include <stdlib.h>
#include <string.h>

#include "trace_format.h"
#include "varint.h"

/* Numbers of a definition of any kind take less. */
#define NUMBERS_BYTES (8 * VARINT_MAX_BYTES)

void definition_log_done(struct definition_log *log)
{
    free(log->bytes);
    *log = (struct definition_log){0};
}

static uint32_t string_length(uint32_t bytes)
{
    return bytes < TRACE_MAX_STRING_BYTES ? bytes : TRACE_MAX_STRING_BYTES;
}

static uint8_t *put_bytes(uint8_t *to, const void *bytes, uint32_t count)
{
    to = varint_put(to, count);
    if (count)
        memcpy(to, bytes, count);
    return to + count;
}

size_t definition_max_bytes(const struct trace_definition *definition)
{
    switch (definition->kind) {
    case TRACE_DEFINE_CODE:
        return NUMBERS_BYTES + (size_t)string_length(definition->code.file_bytes) + string_length(definition->code.name_bytes) +
               (definition->code.line_table_bytes <= TRACE_MAX_TABLE_BYTES ? definition->code.line_table_bytes : 0);
    case TRACE_DEFINE_MODULE:
        return NUMBERS_BYTES + (size_t)string_length(definition->module.path_bytes) +
               string_length(definition->module.build_id_bytes);
    case TRACE_DEFINE_THREAD:
        return NUMBERS_BYTES + (size_t)string_length(definition->thread.name_bytes);
    case TRACE_DEFINE_PROPERTY:
        return NUMBERS_BYTES + (size_t)string_length(definition->property.key_bytes) +
               string_length(definition->property.value_bytes);
    default:
        return NUMBERS_BYTES;
    }
}

static int node_is_valid(const struct definition_counts *counts, const struct trace_definition *definition)
{
    if (definition->node.stack_id != counts->stacks + 1 || definition->node.caller_id > counts->stacks)
        return 0;
    switch (definition->node.frame_kind) {
    case TRACE_FRAME_PYTHON:
        return definition->node.code_id >= 1 && definition->node.code_id <= counts->codes;
    case TRACE_FRAME_NATIVE:
        return definition->node.module_id <= counts->modules;
    default:
        return definition->node.frame_kind == TRACE_FRAME_CUT;
    }
}

static int is_valid(const struct definition_counts *counts, const struct trace_definition *definition)
{
    switch (definition->kind) {
    case TRACE_DEFINE_CODE:
        return definition->code.code_id == counts->codes + 1;
    case TRACE_DEFINE_NODE:
        return node_is_valid(counts, definition);
    case TRACE_DEFINE_MODULE:
        return definition->module.module_id == counts->modules + 1;
    case TRACE_DEFINE_THREAD:
        return definition->thread.thread_id >= 1 && definition->thread.thread_id <= counts->threads + 1;
    default:
        return definition->kind == TRACE_DEFINE_PROPERTY;
    }
}

static uint8_t *put_node(uint8_t *to, const struct trace_definition *definition)
{
    to = varint_put(to, definition->node.frame_kind);
    to = varint_put(to, definition->node.stack_id - definition->node.caller_id - 1);
    if (definition->node.frame_kind == TRACE_FRAME_PYTHON) {
        to = varint_put(to, definition->node.code_id);
        to = varint_put(to, zigzag(definition->node.instruction));
    } else if (definition->node.frame_kind == TRACE_FRAME_NATIVE) {
        to = varint_put(to, definition->node.module_id);
        to = varint_put(to, definition->node.address);
    }
    return to;
}

static uint8_t *put_definition(uint8_t *to, struct definition_counts *counts, const struct trace_definition *definition)
{
    *to++ = definition->kind;
    switch (definition->kind) {
    case TRACE_DEFINE_CODE:
        counts->codes++;
        to = varint_put(to, zigzag(definition->code.first_line));
        to = varint_put(to, definition->code.python_version);
        to = put_bytes(to, definition->code.file, string_length(definition->code.file_bytes));
        to = put_bytes(to, definition->code.name, string_length(definition->code.name_bytes));
        return put_bytes(to, definition->code.line_table,
                         definition->code.line_table_bytes <= TRACE_MAX_TABLE_BYTES ? definition->code.line_table_bytes : 0);
    case TRACE_DEFINE_NODE:
        counts->stacks++;
        return put_node(to, definition);
    case TRACE_DEFINE_MODULE:
        counts->modules++;
        to = varint_put(to, definition->module.load_bias);
        to = varint_put(to, definition->module.start);
        to = varint_put(to, definition->module.end);
        to = put_bytes(to, definition->module.path, string_length(definition->module.path_bytes));
        return put_bytes(to, definition->module.build_id, string_length(definition->module.build_id_bytes));
    case TRACE_DEFINE_THREAD:
        if (definition->thread.thread_id > counts->threads)
            counts->threads = definition->thread.thread_id;
        to = varint_put(to, definition->thread.thread_id);
        to = varint_put(to, definition->thread.kernel_id);
        return put_bytes(to, definition->thread.name, string_length(definition->thread.name_bytes));
    default:
        to = put_bytes(to, definition->property.key, string_length(definition->property.key_bytes));
        return put_bytes(to, definition->property.value, string_length(definition->property.value_bytes));
    }
}

int definition_log_append(struct definition_log *log, const struct trace_definition *definition)
{
    size_t room = definition_max_bytes(definition);
    if (!is_valid(&log->counts, definition))
        return STATUS_INVALID;
    if (log->capacity - log->count < room) {
        size_t capacity = 2 * log->capacity + room + 4096;
        uint8_t *grown = realloc(log->bytes, capacity);
        if (!grown)
            return STATUS_NO_MEMORY;
        log->bytes = grown;
        log->capacity = capacity;
    }
    log->count = (size_t)(put_definition(log->bytes + log->count, &log->counts, definition) - log->bytes);
    return 0;
}

/* ---- decoding ---- */

struct input {
    const uint8_t *next, *end;
    int bad;
};

static uint64_t take_number(struct input *input, uint64_t max)
{
    uint64_t value = 0;
    if (input->bad || input->next >= input->end) {
        input->bad = 1;
        return 0;
    }
    input->next = varint_get(input->next, &value);
    input->bad = input->next > input->end || value > max;
    return input->bad ? 0 : value;
}

static int32_t take_signed(struct input *input)
{
    return (int32_t)unzigzag(take_number(input, UINT32_MAX));
}

static const void *take_bytes(struct input *input, uint32_t *ret_bytes)
{
    uint64_t bytes = take_number(input, TRACE_MAX_TABLE_BYTES);
    if (input->bad || bytes > (uint64_t)(input->end - input->next)) {
        input->bad = 1;
        *ret_bytes = 0;
        return NULL;
    }
    const void *start = input->next;
    input->next += bytes;
    *ret_bytes = (uint32_t)bytes;
    return start;
}

static void take_node(struct input *input, struct trace_definition *definition)
{
    definition->node.frame_kind = (uint8_t)take_number(input, TRACE_FRAME_CUT);
    /* Past the first stack, this is below 0 and fails node_is_valid. */
    definition->node.caller_id = definition->node.stack_id - 1 - (uint32_t)take_number(input, UINT32_MAX);
    definition->node.code_id = 0;
    definition->node.instruction = 0;
    definition->node.module_id = 0;
    definition->node.address = 0;
    if (definition->node.frame_kind == TRACE_FRAME_PYTHON) {
        definition->node.code_id = (uint32_t)take_number(input, UINT32_MAX);
        definition->node.instruction = take_signed(input);
    } else if (definition->node.frame_kind == TRACE_FRAME_NATIVE) {
        definition->node.module_id = (uint32_t)take_number(input, UINT32_MAX);
        definition->node.address = take_number(input, UINT64_MAX);
    }
}

static void take_definition(struct input *input, struct definition_counts *counts, struct trace_definition *definition)
{
    definition->kind = (uint8_t)take_number(input, TRACE_DEFINE_PROPERTY);
    switch (definition->kind) {
    case TRACE_DEFINE_CODE:
        definition->code.code_id = counts->codes + 1;
        definition->code.first_line = take_signed(input);
        definition->code.python_version = (uint32_t)take_number(input, UINT32_MAX);
        definition->code.file = take_bytes(input, &definition->code.file_bytes);
        definition->code.name = take_bytes(input, &definition->code.name_bytes);
        definition->code.line_table = take_bytes(input, &definition->code.line_table_bytes);
        break;
    case TRACE_DEFINE_NODE:
        definition->node.stack_id = counts->stacks + 1;
        take_node(input, definition);
        break;
    case TRACE_DEFINE_MODULE:
        definition->module.module_id = counts->modules + 1;
        definition->module.load_bias = take_number(input, UINT64_MAX);
        definition->module.start = take_number(input, UINT64_MAX);
        definition->module.end = take_number(input, UINT64_MAX);
        definition->module.path = take_bytes(input, &definition->module.path_bytes);
        definition->module.build_id = take_bytes(input, &definition->module.build_id_bytes);
        break;
    case TRACE_DEFINE_THREAD:
        definition->thread.thread_id = (uint32_t)take_number(input, UINT32_MAX);
        definition->thread.kernel_id = (uint32_t)take_number(input, UINT32_MAX);
        definition->thread.name = take_bytes(input, &definition->thread.name_bytes);
        break;
    case TRACE_DEFINE_PROPERTY:
        definition->property.key = take_bytes(input, &definition->property.key_bytes);
        definition->property.value = take_bytes(input, &definition->property.value_bytes);
        break;
    }
}

static void count_definition(struct definition_counts *counts, const struct trace_definition *definition)
{
    counts->codes += definition->kind == TRACE_DEFINE_CODE;
    counts->stacks += definition->kind == TRACE_DEFINE_NODE;
    counts->modules += definition->kind == TRACE_DEFINE_MODULE;
    if (definition->kind == TRACE_DEFINE_THREAD && definition->thread.thread_id > counts->threads)
        counts->threads = definition->thread.thread_id;
}

int definition_decode(struct definition_counts *counts, const uint8_t **next, const uint8_t *end,
                      struct trace_definition *definition, const char **ret_problem)
{
    struct input input = {*next, end, 0};
    if (input.next == end)
        return STATUS_END;
    take_definition(&input, counts, definition);
    if (input.bad) {
        *ret_problem = "a definition is malformed";
        return STATUS_CORRUPT;
    }
    if (!is_valid(counts, definition)) {
        *ret_problem = "a definition refers to something undefined";
        return STATUS_CORRUPT;
    }
    count_definition(counts, definition);
    *next = input.next;
    return 0;
}
