/* Where a module's debug information is kept apart from it (symbolize.h). One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_DEBUG_FILE_H
#define HEAPLINE_ANALYSIS_DEBUG_FILE_H

#include <elfutils/libdwfl.h>

#include "symbolize.h"

/* Where libdwfl is to look for debug files (Dwfl_Callbacks.debuginfo_path): the folders of the sources in their order, ":" between them, the
 * file's own folder and .debug there. Freed by the caller; NULL: no memory. */
char *debug_file_path(const struct symbol_sources *sources);

/* Open a debug file by its build id alone, in the folders of such a path. -1: none. */
int debug_file_open(const char *debug_path, const char *build_id);

/* The debug file, else the executable or library itself, from the servers that DEBUGINFOD_URLS names, through elfutils' client where it is
 * installed. -1: none. */
int debug_file_fetch(const char *build_id);

/* A copy of the vDSO of this process, which is the kernel's. -1: none. */
int debug_file_open_vdso(void);

/* A Dwfl_Callbacks.find_debuginfo: what dwfl_standard_find_debuginfo finds, which elfutils 0.188 answers only after loading its client for
 * debuginfod servers (thirty libraries, 10 ms). That is spared where DEBUGINFOD_URLS names no server and no file of the right name exists.
 * `*user_data`: the path. */
int debug_file_find(Dwfl_Module *module, void **user_data, const char *module_name, Dwarf_Addr base, const char *file_name,
                    const char *debuglink_file, GElf_Word debuglink_crc, char **ret_file_name);

#endif
