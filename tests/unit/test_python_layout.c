/* python_layout.c: which interpreter gets which layout, and how a wrong one is found out. */
#include "check.h"
#include "python_layout.h"
#include "python_objects.h"

static uint64_t published[128]; /* like the start of _PyRuntime */

/* As 3.14 publishes them: words 26, 27, from 31, from 39, and 80 (pycore_debug_offsets.h). */
static void publish_3_14(void)
{
    static const uint64_t frame[] = {88, 8, 0, 56, 80, 74}, code[] = {216, 112, 120, 128, 136, 68, 52, 96, 104, 208};
    memset(published, 0, sizeof published);
    memcpy(published, "xdebugpy", 8);
    published[1] = 0x030e0af0;
    published[26] = 72;
    published[27] = 152;
    memcpy(&published[31], frame, sizeof frame);
    memcpy(&published[39], code, sizeof code);
    published[80] = 40;
}

static enum python_layout_status choose(const char *text, const void *runtime, unsigned *ret_index, struct python_layout *ret_layout)
{
    uint32_t version = 0;
    *ret_index = 99;
    return python_layout_choose(text, runtime, &version, ret_layout, ret_index);
}

static void check_choice(void)
{
    struct python_layout layout;
    unsigned index;
    uint32_t version = 0;
    CHECK_EQUAL(choose("3.8.18 (default, …)", NULL, &index, &layout), PYTHON_LAYOUT_KNOWN);
    CHECK_EQUAL(index, 0);
    CHECK_EQUAL(choose("3.11.2 (main, …)", NULL, &index, &layout), PYTHON_LAYOUT_KNOWN);
    CHECK_EQUAL(index, 3);
    CHECK_EQUAL(layout.version, 0x030b);
    CHECK_EQUAL(choose("3.12.0rc1 (main)", NULL, &index, &layout), PYTHON_LAYOUT_KNOWN);
    CHECK_EQUAL(choose("3.7.9", NULL, &index, &layout), PYTHON_LAYOUT_UNKNOWN);
    CHECK_EQUAL(choose("3.99.1", NULL, &index, &layout), PYTHON_LAYOUT_UNKNOWN);
    CHECK_EQUAL(choose("nonsense", NULL, &index, &layout), PYTHON_LAYOUT_UNKNOWN);
    CHECK_EQUAL(python_layout_choose("3.99.1", NULL, &version, &layout, &index), PYTHON_LAYOUT_UNKNOWN);
    CHECK_EQUAL(version, 0x0363);
}

static void check_published(void)
{
    struct python_layout layout;
    unsigned index;
    publish_3_14();
    CHECK_EQUAL(choose("3.14.1 (main)", published, &index, &layout), PYTHON_LAYOUT_KNOWN);
    CHECK_EQUAL(index, 6);
    published[27] = 160; /* a thread id elsewhere: read it there */
    CHECK_EQUAL(choose("3.14.1 (main)", published, &index, &layout), PYTHON_LAYOUT_KNOWN);
    CHECK_EQUAL(index, PYTHON_LAYOUT_OTHER);
    CHECK_EQUAL(layout.state_thread_id, 160);
    CHECK_EQUAL(layout.frame_owner, 74);
    published[33] = 1ull << 40; /* no offset */
    CHECK_EQUAL(choose("3.14.1 (main)", published, &index, &layout), PYTHON_LAYOUT_UNKNOWN);
    publish_3_14();
    published[1] = 0x030d0000; /* of another version than the text says */
    CHECK_EQUAL(choose("3.14.1 (main)", published, &index, &layout), PYTHON_LAYOUT_UNKNOWN);
    publish_3_14();
    published[0] = 0;
    CHECK_EQUAL(choose("3.14.1 (main)", published, &index, &layout), PYTHON_LAYOUT_UNKNOWN);
    CHECK_EQUAL(choose("3.14.1 (main)", NULL, &index, &layout), PYTHON_LAYOUT_UNKNOWN);
    CHECK_EQUAL(index, 99);
}

static void check_free_threaded(void)
{
    struct python_layout layout;
    unsigned index;
    publish_3_14();
    published[2] = 1;
    CHECK_EQUAL(choose("3.14.1 (main)", published, &index, &layout), PYTHON_LAYOUT_FREE_THREADED);
    CHECK_EQUAL(choose("3.13.0 experimental free-threading build (main)", NULL, &index, &layout), PYTHON_LAYOUT_FREE_THREADED);
    CHECK_EQUAL(choose("3.16.0 free-threading build (main)", NULL, &index, &layout), PYTHON_LAYOUT_FREE_THREADED);
}

/* One frame that is as the layout says, then each pointer on the way to a name made wrong. */
static void check_fit(void)
{
    static const struct python_layout layout = PYTHON_LAYOUT_3_13;
    static char state[256], frame[128], code[512];
    void *name = python_objects_name(&layout, "name"), *table = python_objects_bytes("", 0);
    python_objects_code(&layout, code, name, name, table, 1);
    python_objects_set(state, layout.state_frame, (uintptr_t)frame);
    python_objects_set(frame, layout.frame_code, (uintptr_t)code);
    CHECK(python_layout_fits(&layout, state, python_objects_code_type));
    python_objects_set(code, PYTHON_OBJECT_TYPE, (uintptr_t)state);
    CHECK(!python_layout_fits(&layout, state, python_objects_code_type));
    python_objects_code(&layout, code, name, (void *)0x10, table, 1);
    CHECK(!python_layout_fits(&layout, state, python_objects_code_type));
    python_objects_code(&layout, code, name, name, table, 1);
    python_objects_set(frame, layout.frame_previous, 0x7000deadbeef00ull);
    CHECK(!python_layout_fits(&layout, state, python_objects_code_type));
    frame[layout.frame_owner] = PYTHON_OWNER_INTERPRETER; /* a shim has no code of its own */
    python_objects_set(frame, layout.frame_previous, 0);
    python_objects_set(frame, layout.frame_code, 0);
    CHECK(python_layout_fits(&layout, state, python_objects_code_type));
    python_objects_set(state, layout.state_frame, 0x10);
    CHECK(!python_layout_fits(&layout, state, python_objects_code_type));
}

int main(void)
{
    check_choice();
    check_published();
    check_free_threaded();
    check_fit();
    return 0;
}
