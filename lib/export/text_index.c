/* See text_index.h. Open addressing, at most half full. */
#include "text_index.h"

#include <stdlib.h>
#include <string.h>

#include "byte_hash.h"

static uint64_t hash_text(const char *text)
{
    uint64_t hash = hash_bytes(HASH_BYTES_START, text, strlen(text));
    return hash ^ hash >> 32;
}

/* Where the text is, or the free slot where it belongs. */
static uint32_t *find_slot(const struct text_index *index, const char *text)
{
    size_t slot = hash_text(text) & (index->slot_count - 1);
    while (index->slots[slot] && strcmp(index->texts[index->slots[slot] - 1], text) != 0)
        slot = (slot + 1) & (index->slot_count - 1);
    return &index->slots[slot];
}

static int grow(struct text_index *index)
{
    size_t capacity = index->capacity ? 2 * index->capacity : 64;
    char **texts = realloc(index->texts, capacity * sizeof *texts);
    uint32_t *slots = calloc(2 * capacity, sizeof *slots);
    if (texts)
        index->texts = texts;
    if (!texts || !slots) {
        free(slots);
        return 0;
    }
    free(index->slots);
    index->slots = slots;
    index->slot_count = 2 * capacity;
    index->capacity = capacity;
    for (size_t i = 0; i < index->count; i++)
        *find_slot(index, index->texts[i]) = (uint32_t)i + 1;
    return 1;
}

uint32_t text_index_of(struct text_index *index, const char *text)
{
    if (!text)
        text = "";
    uint32_t *slot = index->slot_count ? find_slot(index, text) : NULL;
    if (slot && *slot)
        return *slot - 1;
    if (index->count == index->capacity) {
        if (!grow(index)) {
            index->has_failed = 1;
            return 0;
        }
        slot = find_slot(index, text);
    }
    char *copy = strdup(text);
    if (!copy) {
        index->has_failed = 1;
        return 0;
    }
    index->texts[index->count++] = copy;
    *slot = (uint32_t)index->count;
    return (uint32_t)index->count - 1;
}

void text_index_free(struct text_index *index)
{
    for (size_t i = 0; i < index->count; i++)
        free(index->texts[i]);
    free(index->texts);
    free(index->slots);
    *index = (struct text_index){0};
}
