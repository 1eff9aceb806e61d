/* From an address in an executable or shared library to functions (inlined ones too), source files and lines.
 *
 * Lines come from DWARF, in the file itself or where distributions and debuggers keep it (debug_file.h); functions from the symbol tables,
 * MiniDebugInfo included.
 * A file that is not the one that ran (another build id) answers nothing: wrong lines are worse than none.
 * One module at a time, so that its debug information can be dropped before the next. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_SYMBOLIZE_H
#define HEAPLINE_ANALYSIS_SYMBOLIZE_H

#include <stddef.h>
#include <stdint.h>

struct symbolizer;

enum symbolizer_state {
    SYMBOLIZER_UNUSED,  /* never opened */
    SYMBOLIZER_ABSENT,  /* no such file, or no ELF file */
    SYMBOLIZER_CHANGED, /* its build id differs from the recorded one */
    SYMBOLIZER_SYMBOLS, /* functions only */
    SYMBOLIZER_LINES,
};

/* The strings are valid until the next look-up; NULL: not known. `line` is 0 where `file` is NULL. */
struct symbol {
    const char *function; /* demangled */
    const char *file;     /* absolute where the debug information says so */
    int32_t line;
    int is_system;        /* the file is a header of the system */
};

/* Where programs, libraries and their debug files are looked for. All zero: on this system. */
struct symbol_sources {
    const char *sysroot;              /* the recorded system's files are below it; NULL: "/" */
    const char *const *debug_folders; /* like /usr/lib/debug, searched before that of the sysroot */
    int debug_folder_count;
    int files_first;                  /* what a trace brings along (symbol_bundle.h) is for modules that no file is found of; else the files are */
};

/* `path`: as recorded. `build_id`: hex digits as recorded, "" for none (then any file does). Where the file itself is absent or changed its
 * debug file, if one is found by build id, does as well. `sources` may be NULL. Never fails but without memory: NULL. */
struct symbolizer *symbolizer_open(const char *path, const char *build_id, const struct symbol_sources *sources);
enum symbolizer_state symbolizer_state(const struct symbolizer *symbolizer);
/* `address`: as in the file (run-time minus load bias), of an instruction: for a return address pass one less.
 * Returns how many symbols there are: the inlined calls, innermost first, and last the function that they were inlined into. 0: nothing
 * is known. */
size_t symbolizer_find(struct symbolizer *symbolizer, uint64_t address, const struct symbol **ret_symbols);
void symbolizer_close(struct symbolizer *symbolizer);

#endif
