/* Interns texts: see viewer_strings.h. */
#include "viewer_strings.h"

#include <stdlib.h>
#include <string.h>

#include "byte_hash.h"
#include "memory.h"
#include "paths.h"

#define FIRST_MASK 1023

static uint32_t hash_of(const char *text)
{
    uint64_t hash = hash_bytes(HASH_BYTES_START, text, strlen(text));
    return (uint32_t)(hash ^ hash >> 32);
}

static void put(struct viewer_strings *strings, uint32_t number)
{
    uint32_t at = hash_of(strings->texts[number]) & strings->mask;
    while (strings->table[at])
        at = (at + 1) & strings->mask;
    strings->table[at] = number;
}

static void resize(struct viewer_strings *strings, uint32_t mask)
{
    free(strings->table);
    strings->mask = mask;
    strings->table = memory_new((size_t)mask + 1, sizeof *strings->table);
    strings->texts = memory_resize(strings->texts, ((size_t)mask + 1) / 2, sizeof *strings->texts);
    for (uint32_t i = 1; i < strings->count; i++)
        put(strings, i);
}

void viewer_strings_init(struct viewer_strings *strings)
{
    *strings = (struct viewer_strings){.count = 1};
    resize(strings, FIRST_MASK);
}

void viewer_strings_done(struct viewer_strings *strings)
{
    for (uint32_t i = 1; i < strings->count; i++)
        free(strings->texts[i]);
    free(strings->texts);
    free(strings->table);
}

uint32_t viewer_string(struct viewer_strings *strings, const char *text)
{
    if (!text)
        return 0;
    for (uint32_t at = hash_of(text) & strings->mask; strings->table[at]; at = (at + 1) & strings->mask)
        if (!strcmp(strings->texts[strings->table[at]], text))
            return strings->table[at];
    if (strings->count == (strings->mask + 1) / 2)
        resize(strings, strings->mask << 1 | 1);
    strings->texts[strings->count] = memory_copy(text);
    put(strings, strings->count);
    return strings->count++;
}

void viewer_strings_write(const struct viewer_strings *strings, const char *directory, struct json *json)
{
    json_array(json, "strings");
    json_text(json, NULL, "");
    for (uint32_t i = 1; i < strings->count; i++)
        json_text(json, NULL, strings->texts[i]);
    json_array_end(json);
    /* Where the short form begins: it is a piece of the path. */
    json_array(json, "short");
    json_integer(json, NULL, 0);
    for (uint32_t i = 1; i < strings->count; i++)
        json_integer(json, NULL, strchr(strings->texts[i], '/') ? paths_shorten(strings->texts[i], directory) - strings->texts[i] : 0);
    json_array_end(json);
}
