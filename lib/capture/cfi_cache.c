/* The process' cache consists of buckets of one cache line each. A row's words are read and written without a lock: the key is taken away
 * before the rule changes and set after it, so a reader that finds the same key before and after has seen its rule. The key holds the
 * epoch in the bits that no address of a program has: a row of another epoch is never found. */
#include "cfi_cache.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "module_table.h"
#include "own_code.h"
#include "pages.h"
#include "python_loop.h"

#define FIRST_ENTRIES 256u
#define MOST_ENTRIES 4096u
#define MANY_FILLS 4 /* an entry */
#define BUCKET_BITS 14
#define BUCKET_ROWS 4
#define ADDRESS_BITS 47
/* Nobody else's key: its row is being written. */
#define KEY_TAKEN 1

struct shared_row {
    _Atomic uint64_t key, rule;
};

struct bucket {
    alignas(CACHE_LINE_BYTES) struct shared_row rows[BUCKET_ROWS];
};

static struct bucket *_Atomic buckets;

static size_t entries_bytes(uint64_t mask)
{
    return (mask + 1) * sizeof(struct cfi_cache_entry);
}

int cfi_cache_init(struct cfi_cache *cache)
{
    *cache = (struct cfi_cache){.mask = FIRST_ENTRIES - 1};
    cache->entries = pages_map(entries_bytes(cache->mask));
    return cache->entries != NULL;
}

void cfi_cache_done(struct cfi_cache *cache)
{
    if (cache->entries)
        pages_unmap(cache->entries, entries_bytes(cache->mask));
}

void cfi_cache_forget(struct cfi_cache *cache, uint32_t epoch)
{
    memset(cache->entries, 0, entries_bytes(cache->mask));
    cache->epoch = epoch;
}

/* Four times the entries, all of them empty. A handler that jumps away in between may leave the old ones mapped for nobody. */
static void grow(struct cfi_cache *cache)
{
    uint64_t old_mask = cache->mask, mask = old_mask * 4 + 3;
    struct cfi_cache_entry *old = cache->entries, *entries = pages_map(entries_bytes(mask));
    cache->fills = 0;
    if (!entries)
        return;
    cache->entries = entries;
    atomic_signal_fence(memory_order_seq_cst);
    cache->mask = mask;
    atomic_signal_fence(memory_order_seq_cst);
    pages_unmap(old, entries_bytes(old_mask));
}

/* 0: this address or epoch is not kept for all. */
static uint64_t key_of(uint64_t address, uint32_t epoch)
{
    return address >> ADDRESS_BITS || epoch >> (64 - ADDRESS_BITS) ? 0 : address | (uint64_t)epoch << ADDRESS_BITS;
}

static struct bucket *bucket_of(uint64_t key)
{
    struct bucket *all = atomic_load_explicit(&buckets, memory_order_acquire);
    if (unlikely(!all)) {
        struct bucket *mapped = pages_map(sizeof *mapped << BUCKET_BITS);
        if (!mapped)
            return NULL;
        if (atomic_compare_exchange_strong(&buckets, &all, mapped))
            all = mapped;
        else
            pages_unmap(mapped, sizeof *mapped << BUCKET_BITS);
    }
    return &all[key * 0x9E3779B97F4A7C15ull >> (64 - BUCKET_BITS)];
}

static uint64_t pack(const struct cfi_row *row)
{
    return (uint64_t)(uint32_t)row->rule << 32 | (uint64_t)(uint16_t)row->frame_pointer_offset << 16 | row->module;
}

static void unpack(uint64_t packed, struct cfi_row *row)
{
    row->rule = (int32_t)(packed >> 32);
    row->frame_pointer_offset = (int16_t)(packed >> 16);
    row->module = (uint16_t)packed;
}

static int find_shared(uint64_t key, struct cfi_row *row)
{
    struct bucket *bucket = key ? bucket_of(key) : NULL;
    for (int i = 0; bucket && i < BUCKET_ROWS; i++) {
        struct shared_row *shared = &bucket->rows[i];
        if (atomic_load_explicit(&shared->key, memory_order_acquire) != key)
            continue;
        uint64_t packed = atomic_load_explicit(&shared->rule, memory_order_acquire);
        if (atomic_load_explicit(&shared->key, memory_order_relaxed) != key)
            continue;
        unpack(packed, row);
        return 1;
    }
    return 0;
}

/* In place of an empty row of its bucket, or of one that the key picks. */
static void keep_shared(uint64_t key, const struct cfi_row *row)
{
    struct bucket *bucket = key ? bucket_of(key) : NULL;
    if (!bucket)
        return;
    struct shared_row *shared = &bucket->rows[key >> 2 & (BUCKET_ROWS - 1)];
    for (int i = 0; i < BUCKET_ROWS; i++)
        if (atomic_load_explicit(&bucket->rows[i].key, memory_order_relaxed) == 0)
            shared = &bucket->rows[i];
    uint64_t old = atomic_load_explicit(&shared->key, memory_order_relaxed);
    if (old == KEY_TAKEN || !atomic_compare_exchange_strong_explicit(&shared->key, &old, KEY_TAKEN, memory_order_acquire, memory_order_relaxed))
        return;
    atomic_store_explicit(&shared->rule, pack(row), memory_order_release);
    atomic_store_explicit(&shared->key, key, memory_order_release);
}

static uint16_t module_of(uint64_t address)
{
    if (own_code_holds((const void *)(uintptr_t)address))
        return CFI_MODULE_OWN;
    uint32_t module = module_table_find(address - 1); /* may find the interpreter, and with it the loop */
    if (python_loop_holds(address))
        return CFI_MODULE_LOOP;
    return module < CFI_MODULE_SPECIAL ? (uint16_t)module : CFI_MODULE_HIGH;
}

const struct cfi_row *cfi_cache_fill(struct cfi_cache *cache, struct cfi_cache_entry *entry, uint64_t address)
{
    uint64_t key = key_of(address, cache->epoch);
    struct cfi_row row;
    if (!find_shared(key, &row)) {
        cfi_find(address, &row);
        row.module = module_of(address);
        if (!row.module) {
            cache->unkept = row;
            return &cache->unkept;
        }
        keep_shared(key, &row);
    }
    if (unlikely(++cache->fills > MANY_FILLS * (cache->mask + 1)) && cache->mask + 1 < MOST_ENTRIES) {
        grow(cache);
        entry = &cache->entries[address & cache->mask];
    }
    /* A handler that jumps away in between must leave no entry that isn't whole. */
    entry->address = 0;
    atomic_signal_fence(memory_order_seq_cst);
    entry->row = row;
    atomic_signal_fence(memory_order_seq_cst);
    entry->address = address;
    return &entry->row;
}
