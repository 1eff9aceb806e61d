/* Functions and lines that a trace brings along, so that it can be read where the recorded files are not.
 *
 * `heapline bundle` writes them into properties of the trace, symbols.0, symbols.1, …, as text: a line "module ID STATE" (lines or functions),
 * then for each address in it a line "ADDRESS<tab>FUNCTION<tab>FILE<tab>LINE" (the return address, hexadecimal, as stacks have it), and for
 * each caller by inlining one that begins with the tab. FILE may be empty. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_SYMBOL_BUNDLE_H
#define HEAPLINE_ANALYSIS_SYMBOL_BUNDLE_H

#include "definition_table.h"
#include "frames.h"
#include "trace_insert.h"

#define SYMBOL_BUNDLE_PREFIX "symbols."

struct bundled_place {
    uint64_t address;
    uint32_t module_id;
    uint32_t first, count; /* of symbols */
};

struct symbol_bundle {
    char **texts;                          /* of which the symbols' strings are parts */
    size_t text_count, text_capacity;
    struct bundled_place *places;          /* sorted by module and address */
    size_t place_count, place_capacity;
    struct symbol *symbols;
    size_t symbol_count, symbol_capacity;
    enum symbolizer_state *module_states;  /* by module id; SYMBOLIZER_UNUSED: nothing is known */
};

/* Trusts nothing in the trace: what doesn't fit is left out. Returns 0 or STATUS_NO_MEMORY (everything is released). */
int symbol_bundle_read(struct symbol_bundle *bundle, const struct definition_table *definitions);
void symbol_bundle_done(struct symbol_bundle *bundle);

/* As symbolizer_find; `address` is the return address. */
size_t symbol_bundle_find(const struct symbol_bundle *bundle, uint32_t module_id, uint64_t address, const struct symbol **ret_symbols);

struct symbol_bundle_figures {
    uint64_t places, modules, sources;
};

/* Copy a trace to an open, empty file, with the symbols that are found for it (of modules that aren't, those it has already), and, unless
 * `without_sources`, the source files that its frames name (source_bundle.h). Returns 0, what trace_reader_open returns, STATUS_NO_MEMORY or STATUS_SYSTEM. */
int symbol_bundle_write(const char *trace_path, int to, const struct symbol_sources *sources, int without_sources,
                        struct symbol_bundle_figures *ret_figures, struct status_detail *detail);

#endif
