/* Memory of a command: there is enough, or the command says so and ends (exit status 4). None of these returns NULL; what they return is
 * given back with free(). */
#ifndef HEAPLINE_CLI_MEMORY_H
#define HEAPLINE_CLI_MEMORY_H

#include <stddef.h>
#include <stdio.h>

/* `count` items of `bytes` each, all zero; room for one if there are none. */
void *memory_new(size_t count, size_t bytes);
/* `array` (may be NULL) with room for `count` items; what is new isn't cleared. */
void *memory_resize(void *array, size_t count, size_t bytes);
/* A copy of a text; of its first `length` bytes. */
char *memory_copy(const char *text);
char *memory_copy_part(const char *text, size_t length);
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* open_memstream. */
FILE *memory_stream(char **ret_text, size_t *ret_bytes);
/* For what allocates by itself and has failed. */
_Noreturn void memory_exhausted(void);

#endif
