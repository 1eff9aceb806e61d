/* See remote_symbols.h. Formats: the System V gABI, chapter 5, and binutils' GNU hash section. */
#include "remote_symbols.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SYMBOLS (4u << 20)
#define MAX_STRING_BYTES (256u << 20)
#define MAX_HEADERS 128

static int read_at(int file, uint64_t address, void *to, size_t bytes)
{
    return pread(file, to, bytes, (off_t)address) == (ssize_t)bytes ? 0 : -1;
}

struct dynamic_facts {
    uint64_t symbols, strings, strings_bytes, gnu_hash, hash;
};

/* glibc has added the load address to the section's pointers, but for the vDSO's. */
static uint64_t absolute(uint64_t bias, uint64_t pointer)
{
    return pointer < bias ? pointer + bias : pointer;
}

static int read_dynamic(int file, uint64_t bias, uint64_t address, uint64_t bytes, struct dynamic_facts *facts)
{
    for (uint64_t at = address; at + sizeof(Elf64_Dyn) <= address + bytes; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        if (read_at(file, at, &entry, sizeof entry))
            return -1;
        switch (entry.d_tag) {
        case DT_NULL: return facts->symbols && facts->strings && facts->strings_bytes && (facts->gnu_hash || facts->hash) ? 0 : -1;
        case DT_SYMTAB: facts->symbols = absolute(bias, entry.d_un.d_ptr); break;
        case DT_STRTAB: facts->strings = absolute(bias, entry.d_un.d_ptr); break;
        case DT_STRSZ: facts->strings_bytes = entry.d_un.d_val; break;
        case DT_GNU_HASH: facts->gnu_hash = absolute(bias, entry.d_un.d_ptr); break;
        case DT_HASH: facts->hash = absolute(bias, entry.d_un.d_ptr); break;
        default: break;
        }
    }
    return -1;
}

/* One more than the highest hashed symbol. 0: can't be told. */
static uint32_t count_by_gnu_hash(int file, uint64_t address)
{
    uint32_t header[4], highest = 0, word;
    if (read_at(file, address, header, sizeof header) || header[0] > MAX_SYMBOLS)
        return 0;
    uint64_t buckets = address + sizeof header + header[2] * 8ull, chains = buckets + header[0] * 4ull;
    for (uint32_t i = 0; i < header[0]; i++) {
        if (read_at(file, buckets + i * 4ull, &word, sizeof word))
            return 0;
        highest = word > highest ? word : highest;
    }
    if (highest < header[1])
        return 0;
    do
        if (highest > MAX_SYMBOLS || read_at(file, chains + (highest - header[1]) * 4ull, &word, sizeof word))
            return 0;
    while (highest++, !(word & 1));
    return highest;
}

static uint32_t count_symbols(int file, const struct dynamic_facts *facts)
{
    uint32_t header[2] = {0, 0};
    if (facts->hash && read_at(file, facts->hash, header, sizeof header) == 0)
        return header[1] <= MAX_SYMBOLS ? header[1] : 0;
    return facts->gnu_hash ? count_by_gnu_hash(file, facts->gnu_hash) : 0;
}

static int find_dynamic(int file, uint64_t start, uint64_t *ret_bias, struct dynamic_facts *facts)
{
    Elf64_Ehdr header;
    Elf64_Phdr segments[MAX_HEADERS], *dynamic = NULL, *first = NULL;
    if (read_at(file, start, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > MAX_HEADERS ||
        read_at(file, start + header.e_phoff, segments, header.e_phnum * sizeof *segments))
        return -1;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && !first)
            first = &segments[i];
        if (segments[i].p_type == PT_DYNAMIC)
            dynamic = &segments[i];
    }
    if (!first || !dynamic)
        return -1;
    *ret_bias = start - (first->p_vaddr & ~4095ull);
    return read_dynamic(file, *ret_bias, *ret_bias + dynamic->p_vaddr, dynamic->p_memsz, facts);
}

int remote_symbols_read(int memory_file, uint64_t start, struct remote_symbols *ret_symbols)
{
    struct remote_symbols symbols = {0};
    struct dynamic_facts facts = {0};
    if (find_dynamic(memory_file, start, &symbols.bias, &facts) || facts.strings_bytes > MAX_STRING_BYTES)
        return -1;
    symbols.count = count_symbols(memory_file, &facts);
    symbols.strings_bytes = facts.strings_bytes;
    symbols.symbols = calloc(symbols.count + 1, sizeof *symbols.symbols);
    symbols.strings = calloc(1, symbols.strings_bytes + 1);
    if (!symbols.count || !symbols.symbols || !symbols.strings ||
        read_at(memory_file, facts.symbols, symbols.symbols, symbols.count * sizeof *symbols.symbols) ||
        read_at(memory_file, facts.strings, symbols.strings, symbols.strings_bytes)) {
        remote_symbols_done(&symbols);
        return -1;
    }
    *ret_symbols = symbols;
    return 0;
}

void remote_symbols_done(struct remote_symbols *symbols)
{
    free(symbols->symbols);
    free(symbols->strings);
    *symbols = (struct remote_symbols){0};
}

static int is_defined(const Elf64_Sym *symbol, unsigned type)
{
    return ELF64_ST_TYPE(symbol->st_info) == type && symbol->st_shndx != SHN_UNDEF && symbol->st_value;
}

static const char *name_of(const struct remote_symbols *symbols, const Elf64_Sym *symbol)
{
    return symbol->st_name < symbols->strings_bytes ? symbols->strings + symbol->st_name : "";
}

static uint64_t find(const struct remote_symbols *symbols, const char *name, unsigned type)
{
    for (uint32_t i = 0; i < symbols->count; i++)
        if (is_defined(&symbols->symbols[i], type) && !strcmp(name_of(symbols, &symbols->symbols[i]), name))
            return symbols->bias + symbols->symbols[i].st_value;
    return 0;
}

uint64_t remote_symbols_find(const struct remote_symbols *symbols, const char *name)
{
    return find(symbols, name, STT_FUNC);
}

uint64_t remote_symbols_find_object(const struct remote_symbols *symbols, const char *name)
{
    return find(symbols, name, STT_OBJECT);
}

const char *remote_symbols_name(const struct remote_symbols *symbols, uint64_t address, int (*wanted)(const char *name))
{
    const char *found = NULL;
    for (uint32_t i = 0; i < symbols->count; i++) {
        const Elf64_Sym *symbol = &symbols->symbols[i];
        if (!is_defined(symbol, STT_FUNC) || address - symbols->bias - symbol->st_value >= symbol->st_size)
            continue;
        found = name_of(symbols, symbol);
        if (!wanted || wanted(found))
            return found;
    }
    return found;
}
