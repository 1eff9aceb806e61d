/* Gathers a trace's definitions (definition_table.h). Numbers are checked once here, so that what follows can index freely. */
#include "definition_table.h"

#include <stdio.h>

#include "array.h"
#include "status.h"

int definition_table_init(struct definition_table *table)
{
    *table = (struct definition_table){.code_count = 1, .node_count = 1, .module_count = 1, .thread_count = 1};
    string_pool_init(&table->strings);
    if (!place_table_init(&table->places) && ARRAY_RESERVE(table->codes, table->code_capacity, 1) && ARRAY_RESERVE(table->nodes, table->node_capacity, 1) &&
        ARRAY_RESERVE(table->modules, table->module_capacity, 1) && ARRAY_RESERVE(table->threads, table->thread_capacity, 1))
        return STATUS_OK;
    definition_table_done(table);
    return STATUS_NO_MEMORY;
}

void definition_table_done(struct definition_table *table)
{
    string_pool_done(&table->strings);
    place_table_done(&table->places);
    free(table->codes);
    free(table->nodes);
    free(table->modules);
    free(table->threads);
    free(table->properties);
    *table = (struct definition_table){0};
}

static int add_code(struct definition_table *table, const struct trace_definition *definition)
{
    if (definition->code.code_id != table->code_count)
        return STATUS_CORRUPT;
    struct code_definition code = {
        .file = string_pool_intern(&table->strings, definition->code.file, definition->code.file_bytes),
        .name = string_pool_intern(&table->strings, definition->code.name, definition->code.name_bytes),
        .line_table = string_pool_copy(&table->strings, definition->code.line_table, definition->code.line_table_bytes),
        .line_table_bytes = definition->code.line_table_bytes,
        .first_line = definition->code.first_line,
        .python_version = definition->code.python_version,
    };
    if (!code.file || !code.name || !code.line_table || !ARRAY_RESERVE(table->codes, table->code_capacity, table->code_count + 1u))
        return STATUS_NO_MEMORY;
    table->codes[table->code_count++] = code;
    return STATUS_OK;
}

static int add_node(struct definition_table *table, const struct trace_definition *definition)
{
    int python = definition->node.frame_kind == TRACE_FRAME_PYTHON, native = definition->node.frame_kind == TRACE_FRAME_NATIVE;
    if (definition->node.stack_id != table->node_count || definition->node.caller_id >= table->node_count ||
        definition->node.frame_kind > TRACE_FRAME_CUT ||
        (python && (!definition->node.code_id || definition->node.code_id >= table->code_count)) ||
        (native && definition->node.module_id >= table->module_count))
        return STATUS_CORRUPT;
    struct place place = {
        .position = python ? (uint32_t)definition->node.instruction : native ? definition->node.address : 0,
        .owner_id = python ? definition->node.code_id : native ? definition->node.module_id : 0,
        .kind = definition->node.frame_kind,
    };
    uint32_t place_id = place_table_intern(&table->places, &place);
    if (!place_id || !ARRAY_EXTEND(table->nodes, table->node_capacity, table->node_count + 1u))
        return STATUS_NO_MEMORY;
    table->nodes[table->node_count++] = (struct node_definition){definition->node.caller_id, place_id};
    return STATUS_OK;
}

static int add_module(struct definition_table *table, const struct trace_definition *definition)
{
    char digits[2 * 64 + 1] = "";
    if (definition->module.module_id != table->module_count)
        return STATUS_CORRUPT;
    for (uint32_t i = 0; i < definition->module.build_id_bytes && i < 64; i++)
        snprintf(digits + 2 * i, 3, "%02x", definition->module.build_id[i]);
    struct module_definition module = {
        .path = string_pool_intern(&table->strings, definition->module.path, definition->module.path_bytes),
        .build_id = string_pool_intern(&table->strings, digits, strlen(digits)),
        .load_bias = definition->module.load_bias,
    };
    if (!module.path || !module.build_id || !ARRAY_RESERVE(table->modules, table->module_capacity, table->module_count + 1u))
        return STATUS_NO_MEMORY;
    table->modules[table->module_count++] = module;
    return STATUS_OK;
}

static int add_thread(struct definition_table *table, const struct trace_definition *definition)
{
    uint32_t thread_id = definition->thread.thread_id;
    if (!thread_id || thread_id > table->thread_count)
        return STATUS_CORRUPT;
    struct thread_definition thread = {
        .name = string_pool_intern(&table->strings, definition->thread.name, definition->thread.name_bytes),
        .kernel_id = definition->thread.kernel_id,
    };
    if (!thread.name || !ARRAY_RESERVE(table->threads, table->thread_capacity, thread_id + 1u))
        return STATUS_NO_MEMORY;
    table->threads[thread_id] = thread;
    if (thread_id == table->thread_count)
        table->thread_count++;
    return STATUS_OK;
}

static int add_property(struct definition_table *table, const struct trace_definition *definition)
{
    struct property_definition property = {
        string_pool_intern(&table->strings, definition->property.key, definition->property.key_bytes),
        string_pool_intern(&table->strings, definition->property.value, definition->property.value_bytes),
    };
    if (!property.key || !property.value)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < table->property_count; i++)
        if (table->properties[i].key == property.key) {
            table->properties[i].value = property.value;
            return STATUS_OK;
        }
    if (!ARRAY_RESERVE(table->properties, table->property_capacity, table->property_count + 1u))
        return STATUS_NO_MEMORY;
    table->properties[table->property_count++] = property;
    return STATUS_OK;
}

int definition_table_add(struct definition_table *table, const struct trace_definition *definition)
{
    switch ((enum trace_definition_kind)definition->kind) {
    case TRACE_DEFINE_CODE:
        return add_code(table, definition);
    case TRACE_DEFINE_NODE:
        return add_node(table, definition);
    case TRACE_DEFINE_MODULE:
        return add_module(table, definition);
    case TRACE_DEFINE_THREAD:
        return add_thread(table, definition);
    case TRACE_DEFINE_PROPERTY:
        return add_property(table, definition);
    }
    return STATUS_CORRUPT;
}

const char *definition_table_property(const struct definition_table *table, const char *key)
{
    for (uint32_t i = 0; i < table->property_count; i++)
        if (!strcmp(table->properties[i].key, key))
            return table->properties[i].value;
    return NULL;
}
