/* The exported symbols of a module that is loaded into another process, read from that process's memory: what is there is what counts, even
 * when the file has been replaced since. Allocates. */
#ifndef HEAPLINE_INJECT_REMOTE_SYMBOLS_H
#define HEAPLINE_INJECT_REMOTE_SYMBOLS_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct remote_symbols {
    uint64_t bias;
    Elf64_Sym *symbols;
    uint32_t count;
    char *strings;
    size_t strings_bytes;
};

/* memory_file: /proc/PID/mem; start: where the module's first segment is mapped. 0, or -1: that is no module, or can't be read. */
int remote_symbols_read(int memory_file, uint64_t start, struct remote_symbols *ret_symbols);
void remote_symbols_done(struct remote_symbols *symbols);

/* The address of an exported function, 0: none. */
uint64_t remote_symbols_find(const struct remote_symbols *symbols, const char *name);
/* The same of a variable. */
uint64_t remote_symbols_find_object(const struct remote_symbols *symbols, const char *name);
/* The name of the exported function that holds this address, NULL: none does. With several names, `wanted` decides, which may be NULL. */
const char *remote_symbols_name(const struct remote_symbols *symbols, uint64_t address, int (*wanted)(const char *name));

#endif
