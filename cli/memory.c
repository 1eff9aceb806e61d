/* Memory of a command: see memory.h. */
#include "memory.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

void memory_exhausted(void)
{
    fail(CLI_SYSTEM, "not enough memory");
}

void *memory_new(size_t count, size_t bytes)
{
    void *items = calloc(count ? count : 1, bytes);
    if (!items)
        memory_exhausted();
    return items;
}

void *memory_resize(void *array, size_t count, size_t bytes)
{
    void *items = reallocarray(array, count ? count : 1, bytes);
    if (!items)
        memory_exhausted();
    return items;
}

char *memory_copy(const char *text)
{
    return memory_copy_part(text, strlen(text));
}

char *memory_copy_part(const char *text, size_t length)
{
    char *copy = strndup(text, length);
    if (!copy)
        memory_exhausted();
    return copy;
}

FILE *memory_stream(char **ret_text, size_t *ret_bytes)
{
    FILE *stream = open_memstream(ret_text, ret_bytes);
    if (!stream)
        memory_exhausted();
    return stream;
}

char *memory_format(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        memory_exhausted();
    va_end(arguments);
    return text;
}
