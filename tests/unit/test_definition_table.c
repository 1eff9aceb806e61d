/* Definitions are kept by number, strings once, and numbers out of order are refused. */
#include "check.h"
#include "definition_table.h"
#include "status.h"

static struct trace_definition node(uint32_t stack_id, uint32_t caller_id, enum trace_frame_kind kind, uint32_t owner_id)
{
    struct trace_definition definition = {.kind = TRACE_DEFINE_NODE,
                                          .node = {.stack_id = stack_id, .caller_id = caller_id, .frame_kind = (uint8_t)kind, .instruction = -1}};
    *(kind == TRACE_FRAME_PYTHON ? &definition.node.code_id : &definition.node.module_id) = owner_id;
    definition.node.address = kind == TRACE_FRAME_NATIVE ? 0x123456789abcull : 0;
    return definition;
}

static int add(struct definition_table *table, struct trace_definition definition)
{
    return definition_table_add(table, &definition);
}

static struct trace_definition code(uint32_t code_id, const char *file, uint32_t file_bytes)
{
    return (struct trace_definition){.kind = TRACE_DEFINE_CODE,
                                     .code = {.code_id = code_id, .first_line = 3, .python_version = 0x030b, .file = file, .file_bytes = file_bytes,
                                              .name = "f", .name_bytes = 1, .line_table = (const uint8_t *)"ab", .line_table_bytes = 2}};
}

static void numbers(struct definition_table *table)
{
    CHECK_EQUAL(add(table, code(2, "a.py", 4)), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, code(1, "a.py", 4)), 0);
    CHECK_EQUAL(add(table, code(1, "a.py", 4)), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, code(2, "a.py and more", 4)), 0);
    CHECK(table->codes[1].file == table->codes[2].file && !strcmp(table->codes[2].file, "a.py"));
    CHECK(table->codes[1].line_table != table->codes[2].line_table);
    CHECK_BYTES(table->codes[2].line_table, "ab", 2);
    CHECK_EQUAL(add(table, node(1, 0, TRACE_FRAME_PYTHON, 3)), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, node(1, 0, TRACE_FRAME_PYTHON, 0)), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, node(1, 1, TRACE_FRAME_PYTHON, 1)), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, node(2, 0, TRACE_FRAME_PYTHON, 1)), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, node(1, 0, TRACE_FRAME_CUT + 1, 1)), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, node(1, 0, TRACE_FRAME_NATIVE, 1)), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, node(1, 0, TRACE_FRAME_NATIVE, 0)), 0);
    CHECK_EQUAL(add(table, node(2, 1, TRACE_FRAME_PYTHON, 2)), 0);
    CHECK_EQUAL(table->places.places[table->nodes[1].place_id].position, 0x123456789abcull);
    CHECK_EQUAL((int32_t)table->places.places[table->nodes[2].place_id].position, -1);
    CHECK_EQUAL(table->nodes[2].caller_id, 1);
    CHECK_EQUAL(table->node_count, 3);
}

static void texts(struct definition_table *table)
{
    struct trace_definition property = {.kind = TRACE_DEFINE_PROPERTY,
                                        .property = {.key = "command", .key_bytes = 7, .value = "python3 a\0b", .value_bytes = 11}};
    CHECK(!definition_table_property(table, "command"));
    CHECK_EQUAL(add(table, property), 0);
    CHECK_STRING(definition_table_property(table, "command"), "python3 a");
    property.property.value = NULL;
    property.property.value_bytes = 0;
    CHECK_EQUAL(add(table, property), 0);
    CHECK_STRING(definition_table_property(table, "command"), "");
    CHECK_EQUAL(table->property_count, 1);
}

static void threads_and_modules(struct definition_table *table)
{
    struct trace_definition thread = {.kind = TRACE_DEFINE_THREAD, .thread = {.thread_id = 1, .kernel_id = 70, .name = "one", .name_bytes = 3}};
    struct trace_definition module = {.kind = TRACE_DEFINE_MODULE,
                                      .module = {.module_id = 1, .path = "/bin/x", .path_bytes = 6, .build_id = (const uint8_t *)"\x01\xfe", .build_id_bytes = 2}};
    CHECK_EQUAL(add(table, thread), 0);
    thread.thread.name = "two";
    CHECK_EQUAL(add(table, thread), 0); /* a new name */
    CHECK_STRING(table->threads[1].name, "two");
    CHECK_EQUAL(table->thread_count, 2);
    thread.thread.thread_id = 3;
    CHECK_EQUAL(add(table, thread), STATUS_CORRUPT);
    CHECK_EQUAL(add(table, module), 0);
    CHECK_EQUAL(add(table, module), STATUS_CORRUPT);
    CHECK_STRING(table->modules[1].build_id, "01fe");
}

/* More strings than the first table and the first chunk of memory hold, each found again. */
static void many_strings(void)
{
    struct string_pool pool;
    const char *kept[5000];
    char text[600];
    string_pool_init(&pool);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5000; i++) {
            int length = snprintf(text, sizeof text, "%d%*s", i, i % 500, "");
            const char *found = string_pool_intern(&pool, text, (size_t)length);
            CHECK_STRING(found, text);
            if (round)
                CHECK(found == kept[i]);
            kept[i] = found;
        }
    CHECK_EQUAL(pool.count, 5000);
    string_pool_done(&pool);
}

int main(void)
{
    struct definition_table table;
    CHECK_EQUAL(definition_table_init(&table), 0);
    numbers(&table);
    texts(&table);
    threads_and_modules(&table);
    definition_table_done(&table);
    many_strings();
    return 0;
}
