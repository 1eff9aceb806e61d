/* Which source file of one trace is which of another: the same path, or the same below site-packages, below the standard library's folder or below
 * the program's own directory; else, of those that are left, the one with which a path has the most last components in common, where there is
 * just one. Executables and libraries go by their names, without what follows ".so". Pure computation. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_DIFF_FILES_H
#define HEAPLINE_CLI_DIFF_FILES_H

#include <stdint.h>

struct diff_file {
    const char *path;    /* not owned */
    int is_module;       /* an executable or library */
    uint32_t id;         /* the same for files that stand for each other; from 1; ret_ of diff_files_match */
    uint32_t partner;    /* index on the other side; DIFF_NO_FILE: none */
    char *key;           /* diff_files.c */
};
#define DIFF_NO_FILE UINT32_MAX

struct diff_files {
    struct diff_file *files;
    uint32_t count;
    const char *directory; /* of the process; NULL: unknown */
};

/* Each path once a side. Returns one more than the highest id. */
uint32_t diff_files_match(struct diff_files *old_files, struct diff_files *new_files);
/* Frees the list, not the paths. */
void diff_files_free(struct diff_files *files);

#endif
