/* Where the recorder is: the library that is preloaded into programs; and what is installed beside it. */
#ifndef HEAPLINE_CLI_LIBRARY_H
#define HEAPLINE_CLI_LIBRARY_H

/* HEAPLINE_LIBRARY, else in the build tree, else installed beside this program or in the configured folder. Absolute, malloc'ed.
 * Exits with status 4 where it is nowhere, or where its path cannot stand in LD_PRELOAD. */
char *library_find(void);

/* Another file that is installed with it; `built`: its place in the build tree, from this program's folder. malloc'ed; NULL: it is nowhere. */
char *library_find_file(const char *name, const char *built);

#endif
