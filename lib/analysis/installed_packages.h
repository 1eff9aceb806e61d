/* Which files belong to packages that were installed into a folder of the user's own (pip install --target), which no site-packages tells:
 * an installer leaves NAME-VERSION.dist-info beside them, whose RECORD lists them. What lies beside them and is in no RECORD is the user's.
 *
 * Each folder is looked at once. One thread; allocates; reads folders and RECORDs that are here: of a trace from elsewhere nothing is found. */
#ifndef HEAPLINE_ANALYSIS_INSTALLED_PACKAGES_H
#define HEAPLINE_ANALYSIS_INSTALLED_PACKAGES_H

#include <stddef.h>

#include "string_pool.h"

struct installed_folder;

struct installed_packages {
    struct string_pool strings;       /* paths and names: compared by address */
    struct installed_folder *folders;
    size_t folder_count, folder_capacity;
};

/* Zeroed memory is an empty one. */
void installed_packages_done(struct installed_packages *packages);

/* `file`: as recorded; `sysroot`: below which it lies here, NULL: "/". A file whose path isn't absolute is in none. 0 without memory. */
int installed_packages_have(struct installed_packages *packages, const char *sysroot, const char *file);

#endif
