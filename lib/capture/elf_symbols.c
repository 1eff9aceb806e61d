/* Consumes the dynamic section of a loaded module, produces addresses of its symbols.
 * Table formats: the System V gABI, chapter 5 (DT_HASH), and the comments of binutils' GNU hash section (DT_GNU_HASH). */
#include "elf_symbols.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

#include "compiler.h"

struct symbol_tables {
    const ElfW(Sym) *symbols;
    const char *strings;
    const uint32_t *gnu_hash;
    const uint32_t *hash;
};

const struct link_map *elf_symbols_modules(void)
{
    return _r_debug.r_state == RT_CONSISTENT ? _r_debug.r_map : NULL;
}

/* glibc adds the load address to the section's pointers on most machines, not on all, and not for the vDSO. */
static const void *run_time_pointer(const struct link_map *module, ElfW(Addr) pointer)
{
    return (const void *)(pointer < module->l_addr ? pointer + module->l_addr : pointer);
}

static int find_tables(const struct link_map *module, struct symbol_tables *ret_tables)
{
    struct symbol_tables tables = {0};
    if (!module->l_ld)
        return 0;
    for (const ElfW(Dyn) *entry = module->l_ld; entry->d_tag != DT_NULL; entry++) {
        const void *pointer = run_time_pointer(module, entry->d_un.d_ptr);
        switch (entry->d_tag) {
        case DT_SYMTAB: tables.symbols = pointer; break;
        case DT_STRTAB: tables.strings = pointer; break;
        case DT_GNU_HASH: tables.gnu_hash = pointer; break;
        case DT_HASH: tables.hash = pointer; break;
        default: break;
        }
    }
    if (!tables.symbols || !tables.strings || (!tables.gnu_hash && !tables.hash))
        return 0;
    *ret_tables = tables;
    return 1;
}

static int is_definition(const struct symbol_tables *tables, uint32_t index, const char *name)
{
    const ElfW(Sym) *symbol = &tables->symbols[index];
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    return symbol->st_shndx != SHN_UNDEF && symbol->st_value && (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE) &&
           !strcmp(tables->strings + symbol->st_name, name);
}

static uint32_t gnu_hash_of(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (uint8_t)*name;
    return hash;
}

/* Header: bucket count, index of the first hashed symbol, words in the Bloom filter, its shift; then filter, buckets, chains. */
static uint32_t find_gnu(const struct symbol_tables *tables, const char *name)
{
    const uint32_t *header = tables->gnu_hash;
    uint32_t bucket_count = header[0], first = header[1], filter_words = header[2], shift = header[3], hash = gnu_hash_of(name);
    const ElfW(Addr) *filter = (const void *)(header + 4);
    const uint32_t *buckets = (const void *)(filter + filter_words), *chains = buckets + bucket_count;
    const unsigned bits = 8 * sizeof *filter;
    ElfW(Addr) word = filter[hash / bits & (filter_words - 1)];
    if (!bucket_count || !(word >> hash % bits & word >> (hash >> shift) % bits & 1))
        return 0;
    uint32_t index = buckets[hash % bucket_count];
    if (index < first)
        return 0;
    for (;; index++) {
        uint32_t chained = chains[index - first];
        if ((chained | 1) == (hash | 1) && is_definition(tables, index, name))
            return index;
        if (chained & 1)
            return 0;
    }
}

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 0;
    for (; *name; name++) {
        hash = (hash << 4) + (uint8_t)*name;
        hash = (hash ^ (hash & 0xf0000000) >> 24) & 0x0fffffff;
    }
    return hash;
}

static uint32_t find_sysv(const struct symbol_tables *tables, const char *name)
{
    uint32_t bucket_count = tables->hash[0];
    const uint32_t *buckets = tables->hash + 2, *chains = buckets + bucket_count;
    if (!bucket_count)
        return 0;
    for (uint32_t index = buckets[hash_of(name) % bucket_count]; index; index = chains[index])
        if (is_definition(tables, index, name))
            return index;
    return 0;
}

void *elf_symbols_find_extent(const struct link_map *module, const char *name, uint64_t *ret_bytes)
{
    struct symbol_tables tables;
    if (!find_tables(module, &tables))
        return NULL;
    uint32_t index = tables.gnu_hash ? find_gnu(&tables, name) : find_sysv(&tables, name);
    if (!index)
        return NULL;
    *ret_bytes = tables.symbols[index].st_size;
    return (void *)(module->l_addr + tables.symbols[index].st_value);
}

void *elf_symbols_find(const struct link_map *module, const char *name)
{
    uint64_t bytes;
    return elf_symbols_find_extent(module, name, &bytes);
}
