/* Consumes code objects, produces code ids, DEFINE_CODE and DEFINE_CODE_TABLE records.
 *
 * An open-addressing table keyed by address. A slot's id is written before its key (release), so that a reader that finds its key finds the
 * id. A removed slot keeps a key that no object has until an insertion takes it over: no reader looks for a dead object.
 * Insertion, removal and rebuilding under the definition lock. The table that a rebuilt one replaces serves the next rebuilding of its
 * size: a reader that was held up in it since then notices by reading the key again after the id. */
#include "code_table.h"

#include <stddef.h>
#include <string.h>

#include "definitions.h"
#include "pages.h"
#include "python_api.h"
#include "python_text.h"
#include "recorder.h"

#define FIRST_CAPACITY 1024u
#define KEY_REMOVED 1ull
#define ID_DYING 0x80000000u /* the object is being destroyed */
#define TABLE_PIECE_BYTES (64u << 10)

struct code_entry {
    _Atomic uint64_t key; /* address of the code object; 0: never used */
    _Atomic uint32_t id;
};

struct code_slots {
    uint32_t mask;
    struct code_entry entries[];
};

_Atomic uint64_t code_table_epoch = CODE_EPOCH_STEP;

static struct code_slots *_Atomic current_slots;
static struct code_slots *retired_slots;
static uint32_t code_count, slots_used; /* slots_used: removed ones included */
static char file_text[PYTHON_TEXT_BYTES], name_text[PYTHON_TEXT_BYTES];

static uint32_t hash_of(uint64_t code)
{
    return (uint32_t)((code >> 4) * 0x9E3779B97F4A7C15ull >> 32);
}

HOT_INLINE struct code_entry *find(struct code_slots *slots, uint64_t code)
{
    for (uint32_t at = hash_of(code);; at++) {
        struct code_entry *entry = &slots->entries[at & slots->mask];
        uint64_t key = atomic_load_explicit(&entry->key, memory_order_acquire);
        if (key == code)
            return entry;
        if (!key)
            return NULL;
    }
}

/* Returns 1 where it takes a slot that was never used. */
static uint32_t put(struct code_slots *slots, uint64_t code, uint32_t id)
{
    for (uint32_t at = hash_of(code);; at++) {
        struct code_entry *entry = &slots->entries[at & slots->mask];
        uint64_t key = atomic_load_explicit(&entry->key, memory_order_relaxed);
        if (key > KEY_REMOVED)
            continue;
        atomic_store_explicit(&entry->id, id, memory_order_relaxed);
        atomic_store_explicit(&entry->key, code, memory_order_release);
        return !key;
    }
}

/* An empty table. Readers of the retired one may still be under way: keys go first, before any id is written. */
static struct code_slots *slots_new(uint32_t capacity)
{
    struct code_slots *slots = retired_slots;
    if (!slots || slots->mask != capacity - 1) {
        slots = pages_map(sizeof *slots + capacity * sizeof(struct code_entry));
        if (slots)
            slots->mask = capacity - 1;
        return slots;
    }
    for (uint32_t i = 0; i < capacity; i++)
        atomic_store_explicit(&slots->entries[i].key, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return slots;
}

/* Large enough for the living ones to fill a quarter: a table full of removed slots may be replaced by one of its own size. */
static struct code_slots *rebuild(struct code_slots *slots)
{
    uint32_t living = 0, used = 0, capacity = FIRST_CAPACITY;
    for (uint32_t i = 0; slots && i <= slots->mask; i++)
        living += atomic_load_explicit(&slots->entries[i].key, memory_order_relaxed) > KEY_REMOVED;
    while (capacity / 4 < living + 1)
        capacity *= 2;
    struct code_slots *fresh = slots_new(capacity);
    if (!fresh)
        return NULL;
    for (uint32_t i = 0; slots && i <= slots->mask; i++) {
        uint64_t key = atomic_load_explicit(&slots->entries[i].key, memory_order_relaxed);
        if (key > KEY_REMOVED)
            used += put(fresh, key, atomic_load_explicit(&slots->entries[i].id, memory_order_relaxed));
    }
    atomic_store_explicit(&current_slots, fresh, memory_order_release);
    slots_used = used;
    retired_slots = slots;
    return fresh;
}

static struct code_slots *slots_with_room(void)
{
    struct code_slots *slots = atomic_load_explicit(&current_slots, memory_order_relaxed);
    if (slots && slots_used <= slots->mask / 2)
        return slots;
    struct code_slots *rebuilt = rebuild(slots);
    return rebuilt ? rebuilt : slots && slots_used <= slots->mask / 8 * 7 ? slots : NULL;
}

static int define_table(uint32_t code_id, const char *table, uint32_t bytes)
{
    for (uint32_t offset = 0; offset < bytes; offset += TABLE_PIECE_BYTES) {
        struct define_code_table record = {code_id, offset};
        uint32_t piece = bytes - offset < TABLE_PIECE_BYTES ? bytes - offset : TABLE_PIECE_BYTES;
        if (!definitions_append(DEFINE_CODE_TABLE, &record, sizeof record, table + offset, piece, NULL, 0))
            return 0;
    }
    return 1;
}

/* 0: it could not be written. */
static uint32_t define(const struct python_layout *layout, uint64_t code)
{
    uint64_t file = python_read_word(code, layout->code_file), name = python_read_word(code, layout->code_name);
    uint64_t table = python_read_word(code, layout->code_table);
    struct define_code record = {
        .code_id = code_count + 1,
        .first_line = python_read_int(code, layout->code_first_line),
        .python_version = layout->version,
        .table_bytes = (uint32_t)python_bytes_count(table),
        .file_bytes = python_text_copy(layout, file, file_text),
        .name_bytes = python_text_copy(layout, name, name_text),
    };
    if (!definitions_append(DEFINE_CODE, &record, sizeof record, file_text, record.file_bytes, name_text, record.name_bytes))
        return 0;
    code_count++;
    return define_table(record.code_id, python_bytes_data(table), record.table_bytes) ? record.code_id : 0;
}

uint32_t code_table_name(const char *file, const char *name, uint32_t name_bytes)
{
    struct define_code record = {.code_id = code_count + 1, .file_bytes = (uint32_t)strlen(file), .name_bytes = name_bytes};
    return definitions_append(DEFINE_CODE, &record, sizeof record, file, record.file_bytes, name, name_bytes) ? ++code_count : 0;
}

/* _Py_InitCleanup and its kin (3.12 on): code objects of the interpreter's own that have no source, one string as file and as name. */
static int is_internal(const struct python_layout *layout, uint64_t code)
{
    return layout->version >= 0x030c && !python_read_int(code, layout->code_first_line) &&
           python_read_word(code, layout->code_file) == python_read_word(code, layout->code_name);
}

static uint32_t insert(const struct python_layout *layout, uint64_t code)
{
    struct code_slots *slots = slots_with_room();
    if (!slots || !python_object_is_alive(code) || python_read_word(code, PYTHON_OBJECT_TYPE) != (uintptr_t)python_api.code_type)
        return 0;
    uint32_t id = is_internal(layout, code) ? CODE_HIDDEN : define(layout, code);
    if (id)
        slots_used += put(slots, code, id);
    return id;
}

/* First sight, or an object in destruction; its memory may already belong to a new one. */
COLD static uint32_t find_or_insert(const struct python_layout *layout, uint64_t code)
{
    if (!definitions_lock()) {
        atomic_fetch_add_explicit(&recorder_session->unsafe_stacks, 1, memory_order_relaxed);
        return 0;
    }
    struct code_slots *slots = atomic_load_explicit(&current_slots, memory_order_relaxed);
    struct code_entry *entry = slots ? find(slots, code) : NULL;
    uint32_t id = entry ? atomic_load_explicit(&entry->id, memory_order_relaxed) : 0;
    if (id & ID_DYING && python_object_is_alive(code)) {
        atomic_store_explicit(&entry->key, KEY_REMOVED, memory_order_relaxed);
        id = 0;
    }
    if (!id)
        id = insert(layout, code);
    definitions_unlock();
    if (!id && !definitions_are_closed()) /* those that are lost have been counted */
        atomic_fetch_add_explicit(&recorder_session->unsafe_stacks, 1, memory_order_relaxed);
    return id & ~ID_DYING;
}

uint32_t code_table_find(const struct python_layout *layout, uint64_t code)
{
    struct code_slots *slots = atomic_load_explicit(&current_slots, memory_order_acquire);
    struct code_entry *entry = likely(slots != NULL) ? find(slots, code) : NULL;
    if (likely(entry != NULL)) {
        uint32_t id = atomic_load_explicit(&entry->id, memory_order_acquire);
        if (likely(!(id & ID_DYING) && atomic_load_explicit(&entry->key, memory_order_relaxed) == code))
            return id;
    }
    return find_or_insert(layout, code);
}

int code_table_death_begin(uint64_t code)
{
    struct code_slots *slots = atomic_load_explicit(&current_slots, memory_order_acquire);
    if (!slots || !find(slots, code))
        return 0;
    /* Without the lock as well: at worst a rebuilt table has a dead object that nobody looks for. */
    int is_locked = definitions_lock();
    slots = atomic_load_explicit(&current_slots, memory_order_relaxed);
    struct code_entry *entry = find(slots, code);
    if (entry)
        atomic_fetch_or_explicit(&entry->id, ID_DYING, memory_order_relaxed);
    if (is_locked)
        definitions_unlock();
    atomic_fetch_add_explicit(&code_table_epoch, CODE_EPOCH_STEP, memory_order_seq_cst);
    return 1;
}

void code_table_death_end(uint64_t code)
{
    int is_locked = definitions_lock();
    struct code_entry *entry = find(atomic_load_explicit(&current_slots, memory_order_relaxed), code);
    if (entry && atomic_load_explicit(&entry->id, memory_order_relaxed) & ID_DYING)
        atomic_store_explicit(&entry->key, KEY_REMOVED, memory_order_relaxed);
    if (is_locked)
        definitions_unlock();
    atomic_fetch_add_explicit(&code_table_epoch, CODE_EPOCH_STEP, memory_order_seq_cst);
}
