/* Source files that a trace brings along, so that its lines can be shown where the files are not.
 *
 * `heapline bundle` writes them into properties of the trace: `source.` and the file as frames name it is the key, its text the value.
 * Consumes frames and source files, produces properties. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_SOURCE_BUNDLE_H
#define HEAPLINE_ANALYSIS_SOURCE_BUNDLE_H

#include "frames.h"
#include "trace_insert.h"

#define SOURCE_BUNDLE_PREFIX "source."

struct source_origin {
    const char *sysroot;         /* files are looked for below it; NULL: "/" */
    const char *directory;       /* that of the recorded program, where relative names begin; NULL: not known */
    uint64_t start_realtime_ns;  /* a file that has changed since is another one, and left out */
};

struct source_bundle {
    struct trace_property *sources; /* key and value are malloc'ed */
    size_t count, capacity;
};

/* Of all frames' files those that can be read and are text of less than 1 MiB. Returns 0 or STATUS_NO_MEMORY; source_bundle_done in any case. */
int source_bundle_collect(struct source_bundle *bundle, const struct frame_table *frames, const struct source_origin *origin);
void source_bundle_done(struct source_bundle *bundle);

#endif
