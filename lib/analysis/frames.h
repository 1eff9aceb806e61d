/* Frames: the places in a program that stacks consist of. Each distinct place is kept once.
 *
 * Consumes the definitions of a trace; decodes Python lines, symbolizes native addresses; produces the frame of each place.
 * One thread; allocates; reads the recorded executables and libraries. */
#ifndef HEAPLINE_ANALYSIS_FRAMES_H
#define HEAPLINE_ANALYSIS_FRAMES_H

#include "definition_table.h"
#include "installed_packages.h"
#include "symbolize.h"

enum frame_origin {
    FRAME_USER,
    FRAME_PACKAGE, /* site-packages, dist-packages, or what an installer put elsewhere (installed_packages.h) */
    FRAME_STDLIB,
    FRAME_IMPORT,  /* the interpreter's import system, runpy, zipimport */
    FRAME_OF_NATIVE,
    FRAME_SYSTEM,  /* libraries that came with the system, the interpreter itself, and what has no place in any program */
};

struct frame {
    const char *function; /* never NULL */
    const char *file;     /* NULL: there is no line */
    const char *module;   /* native: path; NULL: unknown, or not native */
    int32_t line;         /* 0: none */
    uint8_t kind;         /* enum trace_frame_kind, or FRAME_KIND_TAG */
    uint8_t origin;       /* enum frame_origin */
};

struct frame_table {
    struct frame *frames; /* from 1 */
    size_t frame_capacity;
    uint32_t frame_count; /* one more than the highest number */
    uint32_t *index;      /* hash table of frame numbers; 0: free */
    size_t index_capacity;
    struct string_pool strings;
    struct installed_packages installed;
    const char *sysroot;                  /* of the sources; while places are resolved */
    /* By place id; behind the places of the trace stand those that it doesn't know, which calls were inlined into. */
    uint32_t *place_frames;               /* FRAME_HIDDEN: the interpreter's own, not shown */
    uint32_t *outer_places;               /* the place that it was inlined into; 0: none */
    uint32_t place_count;
    size_t place_capacity;
    uint32_t resolved_count;              /* places below it have been looked up */
    int is_growing;                       /* frame_table_begin */
    enum symbolizer_state *module_states; /* by module id; of those that were looked up */
    size_t module_capacity;
    /* what events without a stack, arena slack and uncounted copies are credited to */
    uint32_t unknown_frame, slack_frame, small_copies_frame, cut_frame;
};

#define FRAME_HIDDEN 0
/* A kind that only we make: what a program said it was doing, the root of the stacks meanwhile. Its function is the tag's name. */
#define FRAME_KIND_TAG (TRACE_FRAME_CUT + 1)

/* Called with the share of the native addresses that are done. */
typedef void frames_progress(void *context, double done);

/* `sources` may be NULL. Returns 0 or STATUS_NO_MEMORY (everything is released). */
int frame_table_build(struct frame_table *table, const struct definition_table *definitions, uint64_t copy_threshold_bytes,
                      const struct symbol_sources *sources, frames_progress *progress, void *context);

/* The same step by step, for a trace that grows: an empty table, and then the places that have come since. A native place has one frame only: the
 * innermost function, inlined or not, that isn't in a header of the system. After an error the table is as it was, or has some of them.
 * Both return 0 or STATUS_NO_MEMORY. */
int frame_table_begin(struct frame_table *table, uint64_t copy_threshold_bytes);
int frame_table_extend(struct frame_table *table, const struct definition_table *definitions, const struct symbol_sources *sources,
                       frames_progress *progress, void *context);
void frame_table_done(struct frame_table *table);

/* Where a Python file or a native module comes from, judged by its path. Never allocates. */
enum frame_origin frame_origin_of_python(const char *file);
enum frame_origin frame_origin_of_module(const char *path);
/* Is it a library that allocates for whoever calls it: that of C, of C++, the loader? */
int frame_origin_is_runtime(const char *module_path);

#endif
