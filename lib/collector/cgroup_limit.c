/* Finds the limit of a cgroup: see cgroup_limit.h. */
#include "cgroup_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a cgroup without a limit says: "max" (0 here), or in version 1 the largest number of whole pages. */
#define NO_LIMIT_BYTES (UINT64_C(1) << 62)
#define PATH_BYTES 4096

static uint64_t read_limit(const char *path)
{
    char text[64];
    FILE *file = fopen(path, "re");
    char *found = file ? fgets(text, sizeof text, file) : NULL;
    uint64_t limit = found ? strtoull(text, NULL, 10) : 0;
    if (file)
        fclose(file);
    return limit < NO_LIMIT_BYTES ? limit : 0;
}

/* The smallest limit of the cgroup `folder` (of so many characters) below `root`, and of those above it. 0: there is none. */
static uint64_t lowest_limit(const char *mount, const char *root, const char *folder, size_t length, const char *file)
{
    char path[PATH_BYTES];
    uint64_t lowest = 0;
    for (;;) {
        int written = snprintf(path, sizeof path, "%s%s%.*s/%s", mount, root, (int)length, folder, file);
        uint64_t limit = written > 0 && written < (int)sizeof path ? read_limit(path) : 0;
        if (limit && (!lowest || limit < lowest))
            lowest = limit;
        if (!length)
            return lowest;
        do
            length--;
        while (length && folder[length] != '/');
    }
}

/* "cpu,memory" has "memory". */
static int has_controller(const char *list, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    for (const char *at = list, *end = list + length; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t part = (size_t)((comma ? comma : end) - at);
        if (part == name_length && !memcmp(at, name, part))
            return 1;
        at += part + 1;
    }
    return 0;
}

/* Lines of "NUMBER:CONTROLLERS:FOLDER": version 2 has no controllers and the number 0, version 1 a line for those mounted together. */
uint64_t cgroup_limit_find(const char *membership, const char *mount)
{
    uint64_t unified = 0, memory = 0;
    for (const char *line = membership; *line;) {
        size_t length = strcspn(line, "\n");
        const char *list = memchr(line, ':', length);
        const char *folder = list ? memchr(list + 1, ':', length - (size_t)(list + 1 - line)) : NULL;
        if (folder) {
            size_t list_length = (size_t)(folder - list) - 1, folder_length = length - (size_t)(folder + 1 - line);
            if (!list_length && !strncmp(line, "0:", 2))
                unified = lowest_limit(mount, "", folder + 1, folder_length, "memory.max");
            else if (has_controller(list + 1, list_length, "memory"))
                memory = lowest_limit(mount, "/memory", folder + 1, folder_length, "memory.limit_in_bytes");
        }
        line += length + (line[length] == '\n');
    }
    return unified ? unified : memory;
}
