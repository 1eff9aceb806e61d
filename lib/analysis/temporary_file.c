/* Where temporary files go (temporary_file.h). */
#include "temporary_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "compiler.h"

/* Like SQLite's own temporary files: /var/tmp before /tmp, which may be in memory. */
int temporary_file(const char *purpose, char **ret_path)
{
    const char *folders[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        char *path;
        if (!folders[i] || asprintf(&path, "%s/heapline-%s-XXXXXX", folders[i], purpose) < 0)
            continue;
        int file = mkostemp(path, O_CLOEXEC);
        if (file >= 0) {
            *ret_path = path;
            return file;
        }
        free(path);
    }
    return -1;
}
