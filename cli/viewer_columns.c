/* Writes columns: see viewer_columns.h. */
#include "viewer_columns.h"

#include <string.h>

#include "memory.h"

static const char *const kinds[] = {"python", "native", "cut", "tag"};
static const char *const origins[] = {"user", "package", "stdlib", "import", "native", "system"};

static int index_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (name && !strcmp(names[i], name))
            return (int)i;
    return -1;
}

int viewer_kind_number(const char *kind)
{
    return index_of(kinds, sizeof kinds / sizeof *kinds, kind);
}

int viewer_origin_number(const char *origin)
{
    return index_of(origins, sizeof origins / sizeof *origins, origin);
}

int64_t *viewer_column_new(int64_t count)
{
    int64_t *values = memory_new((size_t)count + 1, sizeof *values);
    return values;
}

void viewer_column_write(struct json *json, const char *key, const int64_t *values, int64_t count)
{
    json_array(json, key);
    for (int64_t i = 0; i < count; i++)
        json_integer(json, NULL, values[i]);
    json_array_end(json);
}
