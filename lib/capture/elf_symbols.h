/* Exported symbols of loaded modules, found by reading the dynamic linker's list and the modules' own symbol tables.
 * For places where the loader's lock must not be taken (inside malloc: another thread may hold it in a dlopen that allocates).
 * Any thread; allocates nothing. A concurrent dlclose of the very module that is being read is the caller's risk. */
#ifndef HEAPLINE_CAPTURE_ELF_SYMBOLS_H
#define HEAPLINE_CAPTURE_ELF_SYMBOLS_H

#include <link.h>
#include <stdint.h>

/* First module of the list, in load order; NULL while the linker is changing the list. */
const struct link_map *elf_symbols_modules(void);

/* Address of the symbol that this module itself defines and exports; NULL: none. Not for thread-local or indirect functions. */
void *elf_symbols_find(const struct link_map *module, const char *name);

/* The same, and how many bytes the symbol is said to have. */
void *elf_symbols_find_extent(const struct link_map *module, const char *name, uint64_t *ret_bytes);

#endif
