/* Where the recorder is: the library that is preloaded into programs. */
#ifndef HEAPLINE_CLI_LIBRARY_H
#define HEAPLINE_CLI_LIBRARY_H

/* HEAPLINE_LIBRARY, else in the build tree, else installed beside this program or in the configured folder. Absolute, malloc'ed.
 * Exits with status 4 where it is nowhere, or where its path cannot stand in LD_PRELOAD. */
char *library_find(void);

#endif
