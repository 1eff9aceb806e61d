/* See source_path.h. */
#include "source_path.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Resolve "." and ".." in the text, as debuggers do: builds name their sources relative to the build folder. */
static char *tidy_path(const char *path)
{
    size_t length = strlen(path), used = 0;
    char *tidy = malloc(length + 2);
    if (!tidy)
        return NULL;
    for (const char *part = path; *part;) {
        size_t part_length = strcspn(part, "/");
        const char *next = part + part_length + (part[part_length] == '/');
        int is_parent = part_length == 2 && !memcmp(part, "..", 2);
        char *parent = used > 1 ? memrchr(tidy, '/', used - 1) : NULL;
        int parent_is_parent = parent && tidy + used - parent == 4 && !memcmp(parent, "/../", 4);
        if (!part_length && part != path) {
            /* a doubled slash */
        } else if (part_length == 1 && part[0] == '.') {
            /* here */
        } else if (is_parent && parent && !parent_is_parent) {
            used = (size_t)(parent - tidy) + 1;
        } else if (is_parent && used == 1 && tidy[0] == '/') {
            /* the root's parent is the root */
        } else {
            memcpy(tidy + used, part, (size_t)(next - part));
            used += (size_t)(next - part);
        }
        part = next;
    }
    tidy[used] = 0;
    return tidy;
}

/* The unit's source file, absolute where its folder is known. libdw joins the folder by itself, but not DWARF 5's relative ones. */
char *source_path(Dwarf_Die *unit, const char *file)
{
    Dwarf_Attribute attribute;
    const char *folder = *file == '/' ? NULL : dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    char *joined = NULL;
    if (!folder || *folder != '/')
        return tidy_path(file);
    if (asprintf(&joined, "%s/%s", folder, file) < 0)
        return NULL;
    char *tidy = tidy_path(joined);
    free(joined);
    return tidy;
}

int source_path_is_system(const char *path)
{
    return !strncmp(path, "/usr/include/", strlen("/usr/include/")) || !strncmp(path, "/usr/lib/gcc/", strlen("/usr/lib/gcc/")) ||
           !strncmp(path, "/usr/lib/llvm", strlen("/usr/lib/llvm")) ||
           /* Rust's own library, as its releases name it and where its sources are installed */
           !strncmp(path, "/rustc/", strlen("/rustc/")) || strstr(path, "/rustlib/src/rust/library/");
}
