/* Where a module's debug information is kept apart from it (symbolize.h). One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_DEBUG_FILE_H
#define HEAPLINE_ANALYSIS_DEBUG_FILE_H

#include <elfutils/libdwfl.h>

/* A Dwfl_Callbacks.find_debuginfo: what dwfl_standard_find_debuginfo finds, which elfutils 0.188 answers only after loading its client for
 * debuginfod servers (thirty libraries, 10 ms). That is spared where no server is named and no file of the right name exists. */
int debug_file_find(Dwfl_Module *module, void **user_data, const char *module_name, Dwarf_Addr base, const char *file_name,
                    const char *debuglink_file, GElf_Word debuglink_crc, char **ret_file_name);

#endif
