/* Shortens and matches file names: see paths.h. */
#include "paths.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

const char *paths_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *paths_module(const char *path, const char *ellipsis)
{
    const char *base = paths_base(path), *tag = strstr(base, ".cpython-"), *end = tag ? strstr(tag, ".so") : NULL;
    if (!end)
        return memory_copy(base);
    const char *from = base > path ? base - 1 : base;
    while (from > path && from[-1] != '/')
        from--;
    return memory_format("%.*s%s%s", (int)(tag - from), from, ellipsis, end);
}

int paths_is_interpreter(const char *path)
{
    const char *name = path ? paths_base(path) : "";
    name += strncmp(name, "lib", 3) ? 0 : 3;
    return !strncmp(name, "python", strlen("python")) && isdigit((unsigned char)name[strlen("python")]);
}

static const char *after_folder(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length < 2 || strncmp(path, folder, length) != 0 || path[length] != '/' || path[length + 1] == '\0')
        return NULL;
    return path + length + 1;
}

static const char *after_last(const char *path, const char *part)
{
    const char *found = NULL;
    for (const char *at = strstr(path, part); at; at = strstr(at + 1, part))
        found = at + strlen(part);
    return found;
}

/* ".../lib/python3.11/json/decoder.py" gives "json/decoder.py"; lib64 and zipped libraries (python311.zip/) too. */
static const char *after_stdlib(const char *path)
{
    const char *at = after_last(path, "/python3");
    if (!at)
        return NULL;
    while (isdigit((unsigned char)*at) || *at == '.' || *at == 't')
        at++;
    if (!strncmp(at, "zip/", 4))
        return at + 4;
    return *at == '/' && at[1] ? at + 1 : NULL;
}

/* "/srv/app/jobs/batch.py" gives "jobs/batch.py". */
static const char *last_two(const char *path)
{
    const char *last = strrchr(path, '/'), *before = last;
    while (before > path && before[-1] != '/')
        before--;
    return before > path ? before : path;
}

static const char *after_dot(const char *path)
{
    return path[0] == '.' && path[1] == '/' && path[2] ? path + 2 : path;
}

const char *paths_relative(const char *path)
{
    static char current[PATH_MAX];
    if (!current[0] && !getcwd(current, sizeof current))
        strcpy(current, "/");
    const char *rest = path[0] == '/' ? after_folder(path, current) : NULL;
    return rest ? rest : path;
}

const char *paths_shorten(const char *path, const char *directory)
{
    const char *rest;
    if (path[0] != '/')
        return after_dot(path);
    if ((rest = after_last(path, "/site-packages/")) || (rest = after_last(path, "/dist-packages/")))
        return rest;
    if ((rest = paths_relative(path)) != path || (directory && (rest = after_folder(path, directory))))
        return after_dot(rest);
    return (rest = after_stdlib(path)) ? rest : last_two(path);
}

const char *paths_portable(const char *path, const char *directory, char *ret_kind)
{
    const char *rest;
    if ((rest = after_last(path, "/site-packages/")) || (rest = after_last(path, "/dist-packages/")))
        return *ret_kind = 'p', rest;
    if ((rest = after_stdlib(path)))
        return *ret_kind = 's', rest;
    if (path[0] == '/' && directory && (rest = after_folder(path, directory)))
        return *ret_kind = 'd', after_dot(rest);
    *ret_kind = path[0] == '/' ? 'a' : 'd';
    return after_dot(path);
}

int paths_common_end(const char *a, const char *b)
{
    size_t i = strlen(a), j = strlen(b);
    for (int count = 0;; count++) {
        size_t length = 0;
        while (length < i && a[i - 1 - length] != '/')
            length++;
        int is_same = length && length <= j && (length == j || b[j - 1 - length] == '/') && !memcmp(a + i - length, b + j - length, length);
        if (!is_same)
            return count;
        i -= length;
        j -= length;
        if (!i || !j)
            return count + 1;
        i--; /* the slash */
        j--;
    }
}

int paths_match(const char *recorded, const char *wanted)
{
    size_t recorded_length = strlen(recorded), wanted_length = strlen(wanted);
    if (!strcmp(recorded, wanted))
        return 3;
    if (recorded_length > wanted_length && recorded[recorded_length - wanted_length - 1] == '/' &&
        !strcmp(recorded + recorded_length - wanted_length, wanted))
        return 2;
    return !strcmp(paths_base(recorded), paths_base(wanted));
}
