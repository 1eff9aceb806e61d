/* Strings of recorded programs made printable: see text.h. */
#include "text.h"

#include <string.h>
#include <wchar.h>

#include "memory.h"

#define ELLIPSIS_ROOM 8

int text_decode(const char *text, uint32_t *ret_character)
{
    const unsigned char *bytes = (const unsigned char *)text;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    int length = bytes[0] < 0x80 ? 1 : bytes[0] >> 5 == 6 ? 2 : bytes[0] >> 4 == 14 ? 3 : bytes[0] >> 3 == 30 ? 4 : 0;
    if (length == 0)
        return 0;
    uint32_t character = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if (bytes[i] >> 6 != 2)
            return 0;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (character < smallest[length] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
        return 0;
    *ret_character = character;
    return length;
}

/* C0, DEL, C1: what a terminal might obey. The bidirectional controls would reorder the rest of the line. */
static int is_unprintable(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

char *text_clean(const char *text, int unicode)
{
    char *result = memory_new(strlen(text) + ELLIPSIS_ROOM, 1), *out = result;
    while (*text) {
        uint32_t character;
        int length = text_decode(text, &character);
        if (length == 0 || is_unprintable(character) || (length > 1 && !unicode)) {
            *out++ = '?';
            text += length ? length : 1;
        } else {
            memcpy(out, text, (size_t)length);
            out += length;
            text += length;
        }
    }
    *out = '\0';
    return result;
}

/* Columns of the character at `text`, and its length in bytes. */
static int character_width(const char *text, int *ret_length)
{
    uint32_t character = 0;
    int length = text_decode(text, &character);
    *ret_length = length ? length : 1;
    if (length <= 1)
        return 1;
    int width = wcwidth((wchar_t)character);
    return width < 0 ? 1 : width;
}

int text_width(const char *text)
{
    int width = 0, length;
    for (; *text; text += length)
        width += character_width(text, &length);
    return width;
}

static void clip_end(char *text, int room, const char *ellipsis)
{
    int used = 0, length;
    char *at = text;
    while (*at) {
        int width = character_width(at, &length);
        if (used + width > room)
            break;
        used += width;
        at += length;
    }
    memcpy(at, ellipsis, strlen(ellipsis) + 1);
}

static void clip_start(char *text, int room, const char *ellipsis)
{
    int rest = text_width(text), length;
    char *at = text;
    while (*at && rest > room) {
        rest -= character_width(at, &length);
        at += length;
    }
    size_t mark = strlen(ellipsis);
    memmove(text + mark, at, strlen(at) + 1);
    memcpy(text, ellipsis, mark);
}

void text_clip(char *text, int columns, enum text_clip where, const char *ellipsis)
{
    if (columns < 1 || text_width(text) <= columns)
        return;
    int room = columns - text_width(ellipsis);
    if (room < 1) {
        clip_end(text, columns, "");
        return;
    }
    if (where == TEXT_CLIP_END)
        clip_end(text, room, ellipsis);
    else
        clip_start(text, room, ellipsis);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, one row at a time. */
int text_distance(const char *a, const char *b)
{
    int row[64];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > 63 || b_length > 63)
        return 1000;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= a_length; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= b_length; j++) {
            int replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smaller(replaced, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_length];
}

void text_csv_field(FILE *out, const char *text)
{
    putc('"', out);
    for (; text && *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}
