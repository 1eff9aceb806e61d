/* Consumes str objects, produces UTF-8. The forms of a str are in CPython's Include/cpython/unicodeobject.h. */
#include "python_text.h"

enum { TEXT_LENGTH = 16, TEXT_STATE = 32 };

struct characters {
    const void *data;
    uint64_t count;
    unsigned width; /* bytes a character: 1, 2, 4; 0: a str without characters of its own (3.11 and before) */
};

/* state: interned in the lowest bits, then kind (3 bits), compact, ascii; the same bits in every version. */
static struct characters characters_of(const struct python_layout *layout, uint64_t text)
{
    uint32_t state = (uint32_t)python_read_int(text, TEXT_STATE);
    unsigned width = state >> 2 & 7, is_compact = state >> 5 & 1, is_ascii = state >> 6 & 1;
    struct characters characters = {.count = python_read_word(text, TEXT_LENGTH), .width = width};
    if (!is_compact)
        characters.data = (const void *)(uintptr_t)python_read_word(text, layout->text_compact);
    else
        characters.data = (const void *)(uintptr_t)(text + (uint64_t)(is_ascii ? layout->text_ascii : layout->text_compact));
    return characters;
}

static uint32_t character_at(const struct characters *characters, uint64_t index)
{
    switch (characters->width) {
    case 1: return ((const uint8_t *)characters->data)[index];
    case 2: return ((const uint16_t *)characters->data)[index];
    default: return ((const uint32_t *)characters->data)[index];
    }
}

static uint32_t encode_surrogate(uint32_t character, char *to)
{
    to[0] = '\\';
    to[1] = 'u';
    for (int i = 0; i < 4; i++)
        to[2 + i] = "0123456789abcdef"[character >> (12 - 4 * i) & 15];
    return 6;
}

/* At most 6 bytes. RFC 3629. */
static uint32_t encode(uint32_t character, char *to)
{
    if (character < 0x80) {
        to[0] = (char)character;
        return 1;
    }
    if (character >= 0xd800 && character < 0xe000)
        return encode_surrogate(character, to);
    uint32_t count = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (uint32_t i = count; i-- > 1; character >>= 6)
        to[i] = (char)(0x80 | (character & 63));
    to[0] = (char)(lead[count] | character);
    return count;
}

uint32_t python_text_copy(const struct python_layout *layout, uint64_t text, char *to)
{
    if (!text)
        return 0;
    struct characters characters = characters_of(layout, text);
    if (!characters.data || (characters.width != 1 && characters.width != 2 && characters.width != 4))
        return 0;
    uint32_t used = 0;
    for (uint64_t i = 0; i < characters.count; i++) {
        char encoded[6];
        uint32_t bytes = encode(character_at(&characters, i), encoded);
        if (used + bytes > PYTHON_TEXT_BYTES)
            break;
        for (uint32_t k = 0; k < bytes; k++)
            to[used++] = encoded[k];
    }
    return used;
}
