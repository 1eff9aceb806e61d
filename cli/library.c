/* Looks for libheapline.so: see library.h. */
#include "library.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"
#include "paths.h"

#define LIBRARY_NAME "libheapline.so"

/* From the folder that this program lies in. The first is the build tree's; the globs cover installations that were moved. */
static const char *const places[] = {
    "../lib/capture/" LIBRARY_NAME,
    HEAPLINE_PRIVATE_DIR_FROM_BIN "/" LIBRARY_NAME,
    "../lib/heapline/" LIBRARY_NAME,
    "../lib/*/heapline/" LIBRARY_NAME,
};

static char *own_folder(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    return memory_copy_part(path, (size_t)(paths_base(path) - path));
}

/* The first readable file that the pattern matches. */
static char *find_readable(const char *folder, const char *pattern)
{
    char *full = memory_format("%s%s", folder, pattern), *found = NULL;
    glob_t matches;
    if (access(full, R_OK) == 0)
        found = realpath(full, NULL);
    else if (strchr(pattern, '*') && glob(full, 0, NULL, &matches) == 0) {
        found = realpath(matches.gl_pathv[0], NULL);
        globfree(&matches);
    }
    free(full);
    return found;
}

static char *search(void)
{
    const char *override = getenv("HEAPLINE_LIBRARY");
    if (override && *override) {
        char *found = access(override, R_OK) == 0 ? realpath(override, NULL) : NULL;
        if (!found)
            fail(CLI_SYSTEM, "run: HEAPLINE_LIBRARY names '%s', which cannot be read", override);
        return found;
    }
    char *folder = own_folder(), *found = NULL;
    for (size_t i = 0; folder && !found && i < sizeof places / sizeof *places; i++)
        found = find_readable(folder, places[i]);
    free(folder);
    return found ? found : find_readable("", HEAPLINE_PRIVATE_DIR "/" LIBRARY_NAME);
}

char *library_find_file(const char *name, const char *built)
{
    static const char *const folders[] = {HEAPLINE_PRIVATE_DIR_FROM_BIN "/", "../lib/heapline/", "../lib/*/heapline/"};
    char *folder = own_folder(), *found = folder ? find_readable(folder, built) : NULL;
    for (size_t i = 0; folder && !found && i < sizeof folders / sizeof *folders; i++) {
        char *place = memory_format("%s%s", folders[i], name);
        found = find_readable(folder, place);
        free(place);
    }
    free(folder);
    if (!found) {
        char *place = memory_format("%s/%s", HEAPLINE_PRIVATE_DIR, name);
        found = find_readable("", place);
        free(place);
    }
    return found;
}

char *library_find(void)
{
    char *library = search();
    if (!library)
        fail(CLI_SYSTEM, "run: the recorder (" LIBRARY_NAME ") is not installed where this program looks; HEAPLINE_LIBRARY can name it");
    if (strpbrk(library, ": \t"))
        fail(CLI_SYSTEM, "run: '%s' has a blank or a colon in its path, which LD_PRELOAD cannot express; install it elsewhere", library);
    return library;
}
