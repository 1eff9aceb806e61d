/* The types that a walk has met: each gets an id and a name in the ring when it is met first (object_walk.h). */
#include "object_walk.h"
#include "python_stack.h"
#include "python_text.h"

#define MAX_BODY_WORDS 32
#define MAX_BASES 64

static int derives_from(uint64_t type, uint64_t base)
{
    for (int i = 0; type && i < MAX_BASES; i++, type = python_read_word(type, TYPE_BASE))
        if (type == base)
            return 1;
    return 0;
}

static enum object_kind kind_of(const struct object_api *api, uint64_t type, uint64_t flags)
{
    if (type == api->text_type || type == api->bytes_type || type == api->long_type || type == api->bool_type || type == api->float_type)
        return KIND_LEAF;
    if (flags & TYPE_IS_LIST)
        return KIND_LIST;
    if (flags & TYPE_IS_TUPLE)
        return KIND_TUPLE;
    if (flags & TYPE_IS_DICT)
        return KIND_DICT;
    if (flags & TYPE_IS_TYPE)
        return KIND_TYPE;
    if (type == api->function_type)
        return KIND_FUNCTION;
    if (type == api->cell_type)
        return KIND_CELL;
    if (type == api->frame_type)
        return KIND_FRAME;
    if (type == api->generator_type || type == api->coroutine_type || type == api->async_generator_type)
        return KIND_GENERATOR;
    if (derives_from(type, api->set_type) || derives_from(type, api->frozenset_type))
        return KIND_SET;
    if (derives_from(type, api->bytearray_type))
        return KIND_BYTEARRAY;
    if (derives_from(type, api->module_type))
        return KIND_MODULE;
    return flags & TYPE_IS_HEAP && (flags & TYPE_HAS_MANAGED_DICT || python_read_word(type, TYPE_DICT_OFFSET)) ? KIND_INSTANCE : KIND_OTHER;
}

static uint32_t copy_text(char *to, uint32_t used, uint64_t text)
{
    char bytes[PYTHON_TEXT_BYTES];
    uint32_t count = python_text_copy(&python_stack_layout, text, bytes);
    for (uint32_t i = 0; i < count && used < SURVEY_TYPE_NAME_BYTES - 1; i++)
        to[used++] = (unsigned char)bytes[i] < ' ' ? '?' : bytes[i];
    return used;
}

static int text_is(const struct object_api *api, uint64_t object, const char *expected)
{
    char bytes[PYTHON_TEXT_BYTES];
    uint32_t length = 0;
    if (object_type(object) != api->text_type || python_read_word(object, OBJECT_SIZE) > 16)
        return 0;
    uint32_t count = python_text_copy(&python_stack_layout, object, bytes);
    while (expected[length] && length < count && expected[length] == bytes[length])
        length++;
    return length == count && !expected[length];
}

/* The module that a class says it is of; "builtins" counts as none. */
static uint32_t copy_module(const struct object_walk *walk, uint64_t type, char *to)
{
    int64_t position = 0;
    void *key, *value;
    uint64_t dictionary = python_read_word(type, TYPE_DICT);
    while (dictionary && walk->api->next_item((void *)dictionary, &position, &key, &value)) {
        if (!text_is(walk->api, (uint64_t)key, "__module__"))
            continue;
        if (object_type((uint64_t)value) != walk->api->text_type || text_is(walk->api, (uint64_t)value, "builtins"))
            return 0;
        uint32_t used = copy_text(to, 0, (uint64_t)value);
        if (used < SURVEY_TYPE_NAME_BYTES - 1)
            to[used++] = '.';
        return used;
    }
    return 0;
}

uint32_t object_type_name(const struct object_walk *walk, uint64_t type, char *to)
{
    uint32_t used = 0;
    uint64_t flags = type_flags(type);
    const char *name = (const char *)python_read_word(type, TYPE_NAME);
    int has_dots = 0;
    for (uint32_t i = 0; i < SURVEY_TYPE_NAME_BYTES && name[i]; i++)
        has_dots |= name[i] == '.';
    /* Types that C code makes at run time name their module themselves. */
    if (flags & TYPE_IS_HEAP && !has_dots) {
        uint32_t version = walk->layout->version;
        int qualified_at = version >= 0x030f ? 880 : version >= VERSION_3_12 ? 872 : version == 0x0309 ? 856 : 864;
        uint64_t qualified = python_read_word(type, qualified_at);
        used = copy_module(walk, type, to);
        used = qualified && object_type(qualified) == walk->api->text_type ? copy_text(to, used, qualified) : used;
    } else {
        for (; *name && used < SURVEY_TYPE_NAME_BYTES - 1; name++)
            to[used++] = (unsigned char)*name < ' ' ? '?' : *name;
    }
    to[used] = '\0';
    return used;
}

static int is_wanted(const struct object_walk *walk, const char *name)
{
    const char *wanted = walk->survey->type_name, *last = name;
    if (!*wanted)
        return 1;
    for (const char *at = name; *at; at++)
        if (*at == '.')
            last = at + 1;
    for (const char *of = name;; of = last) { /* the whole name, or what is behind its last dot */
        uint32_t i = 0;
        while (i < SURVEY_TYPE_NAME_BYTES - 1 && wanted[i] && wanted[i] == of[i])
            i++;
        if (!wanted[i] && !of[i])
            return 1;
        if (of == last)
            return 0;
    }
}

static void fill(struct object_walk *walk, struct object_type_entry *entry, uint64_t type)
{
    char name[SURVEY_TYPE_NAME_BYTES];
    uint64_t flags = type_flags(type), basic_bytes = python_read_word(type, TYPE_BASIC_BYTES);
    entry->type = type;
    entry->traverse = (int (*)(void *, object_visit, void *))python_read_word(type, TYPE_TRAVERSE);
    entry->is_gc = (int (*)(void *))python_read_word(type, TYPE_IS_GC);
    entry->head_bytes = type_head_bytes(walk->layout, flags);
    entry->kind = (uint8_t)kind_of(walk->api, type, flags);
    entry->has_gc = (flags & TYPE_HAS_GC) != 0;
    entry->has_values = (flags & TYPE_HAS_MANAGED_DICT) != 0 && walk->layout->version <= VERSION_3_12;
    if (entry->kind == KIND_OTHER && basic_bytes >= 24)
        entry->body_words = (uint32_t)(basic_bytes / 8 - 2 < MAX_BODY_WORDS ? basic_bytes / 8 - 2 : MAX_BODY_WORDS);
    uint32_t bytes = object_type_name(walk, type, name);
    entry->is_wanted = (uint8_t)is_wanted(walk, name);
    entry->id = ++walk->type_count;
    object_walk_put_text(walk, SURVEY_TYPE, entry->id, name, bytes);
}

struct object_type_entry *object_type_find(struct object_walk *walk, uint64_t type)
{
    if (likely(walk->last_type->type == type))
        return walk->last_type;
    uint64_t at = (type >> 4) * 0x9e3779b97f4a7c15ull >> 40;
    struct object_type_entry *entry = &walk->types[at % TYPE_TABLE_CAPACITY];
    while (entry->type && entry->type != type)
        entry = &walk->types[++at % TYPE_TABLE_CAPACITY];
    if (unlikely(!entry->type)) {
        if (walk->type_count >= TYPE_TABLE_CAPACITY / 4 * 3) {
            walk->outcome = SURVEY_NO_MEMORY;
            return NULL;
        }
        fill(walk, entry, type);
    }
    return walk->last_type = entry;
}
