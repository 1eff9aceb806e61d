/* The page: the built viewer (viewer/, one HTML file) with a document in it, compressed and in base64. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_PAGE_H
#define HEAPLINE_CLI_VIEWER_PAGE_H

#include "viewer_document.h"

/* Of commands whose settings have no_source and confidential. */
#define VIEWER_OPTIONS(settings) \
    {"no-source", 0, OPTION_SET, offsetof(settings, no_source), 1, NULL, "html: leave the text of sources out"}, \
    {"confidential", 0, OPTION_TEXTS, offsetof(settings, confidential), 0, "PATTERN", \
     "html: leave out the text of files whose name the pattern is in ('*': any text, '^' and '$': both ends); may be given several times, " \
     "and HEAPLINE_CONFIDENTIAL holds more, parted by colons"}

/* Exits with status 4 where the viewer wasn't built or installed: ask before the work begins. */
void viewer_page_require(void);

/* Writes the objects of "processes", as large as `bounds` allow. */
typedef void viewer_page_content(const void *context, const struct viewer_bounds *bounds, struct json *json);

/* A page of whatever `content` writes, which is asked again with narrower bounds where the page would exceed 5 MB. `stack_count`: of all
 * stacks that there are, to begin with bounds that are likely to do. */
void viewer_page_fill(viewer_page_content *content, const void *context, int64_t stack_count, FILE *out);

struct viewer_process {
    const char *trace;
    sqlite3 *database;
};

/* The page of one process or several, the one that was named first. */
void viewer_page_write(const struct reading *reading, const struct viewer_process *processes, uint32_t process_count,
                       const struct viewer_choice *choice, FILE *out);

#endif
