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

struct viewer_process {
    const char *trace;
    sqlite3 *database;
};

/* The page of one process or several, the one that was named first. Stays below 5 MB: where it wouldn't, more is folded. */
void viewer_page_write(const struct reading *reading, const struct viewer_process *processes, uint32_t process_count,
                       const struct viewer_choice *choice, FILE *out);

#endif
