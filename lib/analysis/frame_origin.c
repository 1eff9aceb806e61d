/* Tells a user's own code from packages, the standard library and the import system, by path (frames.h).
 * Text only: the files need not exist here. Never allocates. */
#include <ctype.h>
#include <string.h>

#include "compiler.h"
#include "frames.h"

static int starts_with(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

/* What follows ".../lib/python3.N/" (or lib64, or ".../python3N.zip/") in a path; NULL: it isn't in a standard library. */
static const char *within_stdlib(const char *path)
{
    for (const char *at = strstr(path, "/python"); at; at = strstr(at + 1, "/python")) {
        const char *rest = at + strlen("/python"), *version = rest;
        while (isdigit((unsigned char)*rest) || *rest == '.' || *rest == 't')
            rest++;
        if (rest == version)
            continue;
        if (starts_with(rest, "zip/")) /* the loop took the dot */
            return rest + strlen("zip/");
        int below_lib = (at - path >= 4 && !memcmp(at - 4, "/lib", 4)) || (at - path >= 6 && !memcmp(at - 6, "/lib64", 6));
        if (*rest == '/' && below_lib)
            return rest + 1;
    }
    return NULL;
}

static int is_import_system(const char *module_path)
{
    return starts_with(module_path, "importlib/") || !strcmp(module_path, "runpy.py") || !strcmp(module_path, "zipimport.py") ||
           !strcmp(module_path, "pkgutil.py");
}

enum frame_origin frame_origin_of_python(const char *file)
{
    static const char frozen[] = "<frozen ";
    if (starts_with(file, frozen)) {
        const char *name = file + strlen(frozen);
        int imports = starts_with(name, "importlib") || starts_with(name, "zipimport") || starts_with(name, "runpy");
        return imports ? FRAME_IMPORT : FRAME_STDLIB;
    }
    if (strstr(file, "/site-packages/") || strstr(file, "/dist-packages/"))
        return FRAME_PACKAGE;
    const char *module_path = within_stdlib(file);
    if (!module_path)
        return FRAME_USER;
    return is_import_system(module_path) ? FRAME_IMPORT : FRAME_STDLIB;
}

enum frame_origin frame_origin_of_module(const char *path)
{
    static const char *const system_folders[] = {
        "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/lib32/", "/usr/lib32/", "[vdso]",
    };
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strstr(path, "/site-packages/") || strstr(path, "/dist-packages/"))
        return FRAME_PACKAGE;
    for (size_t i = 0; i < ARRAY_LENGTH(system_folders); i++)
        if (starts_with(path, system_folders[i]))
            return FRAME_SYSTEM;
    /* An interpreter that was built by hand or by pyenv. */
    if (starts_with(name, "libpython") || (starts_with(name, "python") && isdigit((unsigned char)name[strlen("python")])))
        return FRAME_SYSTEM;
    return FRAME_OF_NATIVE;
}

int frame_origin_is_runtime(const char *module_path)
{
    static const char *const libraries[] = {"libc.so", "libc-", "libstdc++.so", "libc++.so", "libc++abi.so", "libgcc_s.so", "libm.so",
                                            "ld-linux", "ld-musl", "libpthread.so", "libdl.so", "libheapline"};
    const char *slash = strrchr(module_path, '/'), *name = slash ? slash + 1 : module_path;
    for (size_t i = 0; i < ARRAY_LENGTH(libraries); i++)
        if (starts_with(name, libraries[i]))
            return 1;
    return 0;
}
