/* python_text.c: every form of str becomes valid UTF-8, cut between characters. */
#include "check.h"
#include "python_objects.h"
#include "python_text.h"

static const struct python_layout layouts[] = {PYTHON_LAYOUT_3_8, PYTHON_LAYOUT_3_11, PYTHON_LAYOUT_3_12, PYTHON_LAYOUT_3_14};
static char text[PYTHON_TEXT_BYTES];

static uint32_t copy(const struct python_layout *layout, const void *characters, uint64_t count, unsigned width, int is_ascii)
{
    void *object = python_objects_text(layout, characters, count, width, is_ascii);
    memset(text, '?', sizeof text);
    uint32_t bytes = python_text_copy(layout, (uintptr_t)object, text);
    free(object);
    return bytes;
}

#define CHECK_COPY(bytes, expected)                     \
    do {                                                \
        CHECK_EQUAL(bytes, sizeof(expected) - 1);       \
        CHECK_BYTES(text, expected, sizeof(expected) - 1); \
    } while (0)

static void check_forms(const struct python_layout *layout)
{
    static const uint16_t two[] = {'a', 0xe9, 0x7ff, 0x800, 0x4e2d, 0xffff};
    static const uint32_t four[] = {'z', 0xff, 0x1f600, 0x10ffff};
    static const uint16_t lone[] = {'x', 0xdc80, 0xd800, 0xdfff, 'y'};
    CHECK_COPY(copy(layout, "plain", 5, 1, 1), "plain");
    CHECK_COPY(copy(layout, "", 0, 1, 1), "");
    CHECK_COPY(copy(layout, "caf\xe9", 4, 1, 0), "caf\xc3\xa9");
    CHECK_COPY(copy(layout, two, 6, 2, 0), "a\xc3\xa9\xdf\xbf\xe0\xa0\x80\xe4\xb8\xad\xef\xbf\xbf");
    CHECK_COPY(copy(layout, four, 4, 4, 0), "z\xc3\xbf\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf");
    CHECK_COPY(copy(layout, lone, 5, 2, 0), "x\\udc80\\ud800\\udfffy");
}

/* 4096 bytes and not one more; a character that does not fit whole is left out. */
static void check_cut(const struct python_layout *layout)
{
    static char ascii[5000];
    static uint16_t wide[2000];
    memset(ascii, 'a', sizeof ascii);
    for (int i = 0; i < 2000; i++)
        wide[i] = 0x4e2d;
    CHECK_EQUAL(copy(layout, ascii, 4096, 1, 1), 4096);
    CHECK_EQUAL(copy(layout, ascii, 4097, 1, 1), 4096);
    CHECK_EQUAL(copy(layout, ascii, 5000, 1, 1), 4096);
    CHECK_EQUAL(copy(layout, wide, 2000, 2, 0), 4095);
}

/* A str whose characters lie elsewhere (a subclass), one that has none, and no str at all. */
static void check_others(const struct python_layout *layout)
{
    char *object = realloc(python_objects_text(layout, "", 0, 1, 0), 256);
    python_objects_set(object, 16, 3);
    python_objects_set_int(object, 32, 1 << 2);
    python_objects_set(object, layout->text_compact, 0);
    CHECK_EQUAL(python_text_copy(layout, (uintptr_t)object, text), 0);
    python_objects_set(object, layout->text_compact, (uintptr_t)"abc");
    CHECK_COPY(python_text_copy(layout, (uintptr_t)object, text), "abc");
    python_objects_set_int(object, 32, 0);
    CHECK_EQUAL(python_text_copy(layout, (uintptr_t)object, text), 0);
    free(object);
    CHECK_EQUAL(python_text_copy(layout, 0, text), 0);
}

int main(void)
{
    for (unsigned i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        check_forms(&layouts[i]);
        check_cut(&layouts[i]);
        check_others(&layouts[i]);
    }
    return 0;
}
