/* code_table.c: what a code object says is defined once; an address that is used again is another code object. */
#include <pthread.h>

#include "capture_fixture.h"
#include "check.h"
#include "code_table.h"
#include "pages.h"
#include "python_objects.h"

struct python_api python_api = {.code_type = python_objects_code_type};

static const struct python_layout layout = PYTHON_LAYOUT_3_11;
static void *file, *name, *table;

static void make(void *place, int32_t first_line)
{
    python_objects_code(&layout, place, file, name, table, first_line);
}

static void destroy(void *code)
{
    python_objects_set(code, 0, 0);
    int known = code_table_death_begin((uintptr_t)code);
    if (known)
        code_table_death_end((uintptr_t)code);
}

static const struct define_code *next_code(void)
{
    const struct definition *record = capture_fixture_next();
    CHECK(record);
    CHECK_EQUAL(record->type, DEFINE_CODE);
    return (const void *)(record + 1);
}

static void check_contents(void)
{
    static char long_table[150000], place[512] __attribute__((aligned(16)));
    for (size_t i = 0; i < sizeof long_table; i++)
        long_table[i] = (char)(i * 7 % 253);
    python_objects_code(&layout, place, python_objects_name(&layout, "/some/file.py"), python_objects_name(&layout, "Class.method"),
                        python_objects_bytes(long_table, sizeof long_table), 42);
    uint32_t id = code_table_find(&layout, (uintptr_t)place);
    CHECK_EQUAL(id, 1);
    CHECK_EQUAL(code_table_find(&layout, (uintptr_t)place), 1);
    const struct define_code *code = next_code();
    CHECK_EQUAL(code->code_id, 1);
    CHECK_EQUAL(code->first_line, 42);
    CHECK_EQUAL(code->python_version, 0x030b);
    CHECK_EQUAL(code->table_bytes, sizeof long_table);
    CHECK_EQUAL(code->file_bytes, 13);
    CHECK_EQUAL(code->name_bytes, 12);
    CHECK_BYTES((const char *)(code + 1), "/some/file.pyClass.method", 25);
    for (uint32_t offset = 0; offset < sizeof long_table;) {
        const struct definition *record = capture_fixture_next();
        const struct define_code_table *piece = (const void *)(record + 1);
        uint32_t bytes = record->bytes - (uint32_t)(sizeof *record + sizeof *piece);
        CHECK_EQUAL(record->type, DEFINE_CODE_TABLE);
        CHECK_EQUAL(piece->code_id, 1);
        CHECK_EQUAL(piece->offset, offset);
        CHECK(bytes <= 64 << 10);
        CHECK_BYTES((const char *)(piece + 1), long_table + offset, bytes);
        offset += bytes;
    }
    CHECK(!capture_fixture_next());
}

static void check_death(void)
{
    static char place[512] __attribute__((aligned(16)));
    make(place, 1);
    uint64_t epoch = code_table_epoch;
    CHECK(!code_table_death_begin((uintptr_t)place)); /* nobody has seen it */
    CHECK_EQUAL(code_table_epoch, epoch);
    uint32_t first = code_table_find(&layout, (uintptr_t)place);
    /* While it is being destroyed its frame may still be there. */
    python_objects_set(place, 0, 0);
    CHECK(code_table_death_begin((uintptr_t)place));
    CHECK(code_table_epoch != epoch);
    CHECK_EQUAL(code_table_find(&layout, (uintptr_t)place), first);
    epoch = code_table_epoch;
    code_table_death_end((uintptr_t)place);
    CHECK(code_table_epoch != epoch);
    make(place, 2);
    uint32_t second = code_table_find(&layout, (uintptr_t)place);
    CHECK_EQUAL(second, first + 1);
    /* Its memory is given out again before the destruction has been told to be over (another interpreter's thread). */
    python_objects_set(place, 0, 0);
    CHECK(code_table_death_begin((uintptr_t)place));
    make(place, 3);
    uint32_t third = code_table_find(&layout, (uintptr_t)place);
    CHECK_EQUAL(third, second + 1);
    code_table_death_end((uintptr_t)place);
    CHECK_EQUAL(code_table_find(&layout, (uintptr_t)place), third);
    capture_fixture_discard();
}

static void check_refusals(void)
{
    static char place[512] __attribute__((aligned(16)));
    uint64_t unsafe = recorder_session->unsafe_stacks;
    make(place, 1);
    python_objects_set(place, 0, 0); /* seen first when it is dying */
    CHECK_EQUAL(code_table_find(&layout, (uintptr_t)place), 0);
    make(place, 1);
    python_objects_set(place, PYTHON_OBJECT_TYPE, 0x1234); /* not a code object */
    CHECK_EQUAL(code_table_find(&layout, (uintptr_t)place), 0);
    CHECK_EQUAL(recorder_session->unsafe_stacks, unsafe + 2);
    CHECK(!capture_fixture_next());
    static const struct python_layout newer = PYTHON_LAYOUT_3_13;
    void *init = python_objects_name(&newer, "__init__");
    python_objects_code(&newer, place, init, init, table, 0);
    CHECK_EQUAL(code_table_find(&newer, (uintptr_t)place), CODE_HIDDEN);
    CHECK(!capture_fixture_next());
    destroy(place);
}

/* Objects come and go at many addresses, few at a time: ids are never used again, and the memory stays bounded. */
static void check_churn(void)
{
    enum { PLACES = 50000, LIVING = 300 };
    static char places[PLACES][512] __attribute__((aligned(16)));
    static struct { int place; uint32_t id; } living[LIVING];
    uint64_t seed = 11, settled_bytes = 0;
    uint32_t last = 0;
    for (int round = 0; round < 300000; round++) {
        int i = round % LIVING;
        if (living[i].id) {
            CHECK_EQUAL(code_table_find(&layout, (uintptr_t)places[living[i].place]), living[i].id);
            destroy(places[living[i].place]);
        }
        do
            living[i].place = (int)(check_random(&seed) % PLACES);
        while (*(uint64_t *)(void *)places[living[i].place]); /* one that is alive */
        make(places[living[i].place], round);
        living[i].id = code_table_find(&layout, (uintptr_t)places[living[i].place]);
        const struct define_code *code = next_code();
        CHECK_EQUAL(code->code_id, living[i].id);
        CHECK_EQUAL(code->first_line, round);
        CHECK(living[i].id > last);
        last = living[i].id;
        capture_fixture_discard();
        if (round == 50000)
            settled_bytes = pages_mapped_bytes();
    }
    CHECK(settled_bytes > 0);
    CHECK_EQUAL(pages_mapped_bytes(), settled_bytes);
}

static char shared[64][512] __attribute__((aligned(16)));
static _Atomic int stop;

/* Looks up objects of its own for as long as others die and the table is rebuilt under it. */
static void *look_up(void *own)
{
    char (*codes)[512] = own;
    uint32_t ids[16];
    capture_fixture_thread();
    for (int i = 0; i < 16; i++)
        CHECK((ids[i] = code_table_find(&layout, (uintptr_t)codes[i])));
    while (!stop)
        for (int i = 0; i < 16; i++)
            CHECK_EQUAL(code_table_find(&layout, (uintptr_t)codes[i]), ids[i]);
    return NULL;
}

static void check_concurrent(void)
{
    pthread_t threads[3];
    static char places[5000][512] __attribute__((aligned(16)));
    for (int i = 0; i < 64; i++)
        make(shared[i], i);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, look_up, shared[i * 16]), 0);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 5000; i++) {
            make(places[i], i);
            CHECK(code_table_find(&layout, (uintptr_t)places[i]));
        }
        capture_fixture_discard();
        for (int i = 0; i < 5000; i++)
            destroy(places[i]);
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    capture_fixture_begin();
    file = python_objects_name(&layout, "file.py");
    name = python_objects_name(&layout, "function");
    table = python_objects_bytes("table", 5);
    check_contents();
    check_death();
    check_refusals();
    check_churn();
    check_concurrent();
    return 0;
}
