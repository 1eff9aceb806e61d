/* definition_intake.c: what arrives out of order, in pieces, or never. */
#include "event_words.h"
#include "futex.h"
#include "stream_fixture.h"

static struct stream_fixture fixture;

static void define_code(uint32_t code_id, const char *file, const char *name, uint32_t table_bytes)
{
    char text[200];
    struct define_code define = {.code_id = code_id, .first_line = (int32_t)(code_id % 1000000 * 10), .file_bytes = (uint32_t)strlen(file),
                                 .name_bytes = (uint32_t)strlen(name), .table_bytes = table_bytes, .python_version = 0x030b};
    int bytes = snprintf(text, sizeof text, "%s%s", file, name);
    session_define(fixture.session, DEFINE_CODE, &define, sizeof define, text, (size_t)bytes);
}

static void define_table(uint32_t code_id, uint32_t offset, const char *piece)
{
    struct define_code_table define = {code_id, offset};
    session_define(fixture.session, DEFINE_CODE_TABLE, &define, sizeof define, piece, strlen(piece));
}

static void define_python_node(uint32_t node_id, uint32_t parent_id, uint32_t code_id, int instruction)
{
    struct define_node node = {.node_id = node_id, .parent_id = parent_id, .code_id = code_id, .instruction = instruction};
    session_define(fixture.session, DEFINE_NODE, &node, sizeof node, NULL, 0);
}

static void define_module(uint32_t module_id, uint64_t load_bias, const char *path)
{
    struct define_module module = {.module_id = module_id, .path_bytes = (uint32_t)strlen(path), .load_bias = load_bias};
    session_define(fixture.session, DEFINE_MODULE, &module, sizeof module, path, module.path_bytes);
}

static void define_native_node(uint32_t node_id, uint32_t parent_id, uint32_t module_id, uint64_t address)
{
    struct define_node node = {.node_id = node_id, .parent_id = parent_id, .address = address, .module_id = module_id};
    session_define(fixture.session, DEFINE_NODE, &node, sizeof node, NULL, 0);
}

static void expect_definitions(const char *expected)
{
    struct trace_listing *listing = stream_fixture_end(&fixture);
    CHECK_STRING(listing->text, expected);
    trace_listing_free(listing);
}

static void check_in_order(void)
{
    stream_fixture_init(&fixture);
    define_code(1, "a.py", "main", 4);
    define_table(1, 0, "tabl");
    define_python_node(1, 0, 1, 7);
    define_module(1, 0x400000, "/lib/x.so");
    define_native_node(2, 1, 1, 0x401234);
    define_native_node(3, 1, 0, 0x99);
    define_python_node(4, 0, DEFINE_NODE_CUT, 0);
    stream_fixture_take_definitions(&fixture);
    CHECK_EQUAL(atomic_load(&fixture.session->definition_tail), atomic_load(&fixture.session->definition_head));
    CHECK_EQUAL(fixture.definitions.stacks_renumbered, 0);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 4), 4);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 5), 0);
    expect_definitions("code 1 a.py main line 10 table tabl\nnode 1 0 kind 0 code 1 at 7 module 0 address 0\n"
                       "module 1 /lib/x.so bias 400000\nnode 2 1 kind 1 code 0 at 0 module 1 address 1234\n"
                       "node 3 1 kind 1 code 0 at 0 module 0 address 99\nnode 4 0 kind 2 code 0 at 0 module 0 address 0\n");
}

/* Two threads write their tables in turn; the second is done first. */
static void check_interleaved_tables(void)
{
    stream_fixture_init(&fixture);
    define_code(1, "a.py", "slow", 6);
    define_code(2, "b.py", "fast", 4);
    define_table(1, 0, "abc");
    define_table(2, 0, "1234");
    define_python_node(1, 0, 2, 5);
    define_table(1, 3, "def");
    define_python_node(2, 1, 1, 6);
    define_code(3, "c.py", "bare", 0);
    define_python_node(3, 2, 3, 7);
    stream_fixture_take_definitions(&fixture);
    expect_definitions("code 1 b.py fast line 20 table 1234\nnode 1 0 kind 0 code 1 at 5 module 0 address 0\n"
                       "code 2 a.py slow line 10 table abcdef\nnode 2 1 kind 0 code 2 at 6 module 0 address 0\n"
                       "code 3 c.py bare line 30 table \nnode 3 2 kind 0 code 3 at 7 module 0 address 0\n");
}

/* Numbers that never arrive, or late. */
static void check_gaps(void)
{
    stream_fixture_init(&fixture);
    define_native_node(1, 0, 0, 0x10);
    define_native_node(2, 1, 0, 0x20);
    define_native_node(5, 2, 0, 0x50);
    define_native_node(4, 1, 0, 0x40);
    define_native_node(9, 5, 3, 0x90);      /* of a module that isn't there */
    define_python_node(10, 9, 77, 1);       /* of a code object that isn't there */
    define_native_node(11, 8, 0, 0xb0);     /* called from a stack that isn't there */
    stream_fixture_take_definitions(&fixture);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 1), 1);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 2), 2);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 3), 0);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 4), 4);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 5), 3);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 11), 7);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 1u << 31), 0);
    expect_definitions("node 1 0 kind 1 code 0 at 0 module 0 address 10\nnode 2 1 kind 1 code 0 at 0 module 0 address 20\n"
                       "node 3 2 kind 1 code 0 at 0 module 0 address 50\nnode 4 1 kind 1 code 0 at 0 module 0 address 40\n"
                       "node 5 3 kind 1 code 0 at 0 module 0 address 90\nnode 6 5 kind 2 code 0 at 0 module 0 address 0\n"
                       "node 7 0 kind 1 code 0 at 0 module 0 address b0\n");
}

/* A number that somebody wrote over costs no memory, and spoils no other one. */
static void check_far_numbers(void)
{
    stream_fixture_init(&fixture);
    define_native_node(1, 0, 0, 0x10);
    define_native_node(0x3ffffff0, 1, 0, 0x20);
    define_native_node(0xfffffff0, 1, 0, 0x30);
    define_native_node(2, 1, 0, 0x40);
    define_code(0x20000000, "a.py", "far", 0);
    define_code(1, "a.py", "near", UINT32_MAX); /* a line table that no trace has: none */
    define_python_node(3, 2, 1, 5);
    define_native_node(8000000, 3, 0, 0x50); /* so many may have been lost */
    stream_fixture_take_definitions(&fixture);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 0x3ffffff0), 0);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 0xfffffff0), 0);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 2), 4);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 3), 5);
    CHECK_EQUAL(definition_intake_stack(&fixture.definitions, 8000000), 6);
    CHECK_EQUAL(fixture.definitions.stacks.capacity, 1u << 23);
    CHECK_EQUAL(fixture.definitions.codes.capacity, 256);
    CHECK(!fixture.definitions.unfinished);
    trace_listing_free(stream_fixture_end(&fixture));
}

static void check_wrap(void)
{
    char text[1000];
    memset(text, 'x', sizeof text);
    stream_fixture_init(&fixture);
    for (uint32_t i = 1; i <= 5000; i++) { /* two and a half times the ring */
        struct define_module module = {.module_id = i, .path_bytes = 900 + i % 100, .load_bias = i};
        session_define(fixture.session, DEFINE_MODULE, &module, sizeof module, text, module.path_bytes);
        if (i % 1000 == 0)
            stream_fixture_take_definitions(&fixture);
    }
    CHECK_EQUAL(fixture.definitions.module_count, 5000);
    CHECK_EQUAL(fixture.definitions.refused, 0);
    CHECK_EQUAL(atomic_load(&fixture.session->definition_futex), 5);
    trace_listing_free(stream_fixture_end(&fixture));
}

static void check_nonsense(void)
{
    stream_fixture_init(&fixture);
    struct define_module module = {.module_id = 1, .path_bytes = 5000};
    session_define(fixture.session, DEFINE_MODULE, &module, sizeof module, "short", 5);
    define_table(9, 0, "of no code object");
    define_code(1, "a.py", "f", 4);
    define_table(1, 2, "far too long");
    define_python_node(0, 0, 1, 1);
    session_define(fixture.session, 99, &module, sizeof module, NULL, 0);
    struct define_thread thread = {SESSION_MAX_THREADS, 1, 1, 0};
    session_define(fixture.session, DEFINE_THREAD, &thread, sizeof thread, NULL, 0);
    stream_fixture_take_definitions(&fixture);
    CHECK_EQUAL(fixture.definitions.refused, 6);
    /* A record that claims more than there is: nothing after it can be found. */
    struct definition *record = (struct definition *)((char *)fixture.session + SESSION_DEFINITIONS_OFFSET +
                                                      atomic_load(&fixture.session->definition_head));
    define_module(2, 0, "good");
    record->bytes = 4000;
    stream_fixture_take_definitions(&fixture);
    CHECK_EQUAL(fixture.definitions.refused, 7);
    CHECK_EQUAL(atomic_load(&fixture.session->definition_tail), atomic_load(&fixture.session->definition_head));
    expect_definitions("");
}

int main(void)
{
    check_in_order();
    check_interleaved_tables();
    check_gaps();
    check_far_numbers();
    check_wrap();
    check_nonsense();
    return 0;
}
