/* Writes one JSON document: keeps the commas, the escapes and the line breaks. Fields of the document and rows of its arrays stand on
 * lines of their own, whatever is nested deeper stays on the row's line. Keys are NULL within arrays. */
#ifndef HEAPLINE_CLI_JSON_H
#define HEAPLINE_CLI_JSON_H

#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    int depth;
    int needs_comma;
};

/* The document's opening brace, "schema" and "command". */
void json_begin(struct json *json, FILE *out, const char *command);
/* The closing brace. Returns 0, or -1 when the stream could not be written. */
int json_end(struct json *json);

void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);

void json_integer(struct json *json, const char *key, int64_t value);
/* Not finite: null. */
void json_real(struct json *json, const char *key, double value);
void json_boolean(struct json *json, const char *key, int value);
/* NULL: null. Bytes that aren't UTF-8 become U+FFFD. */
void json_text(struct json *json, const char *key, const char *value);
void json_null(struct json *json, const char *key);
/* A line of a source file; 0 or less, which is not known: null. */
void json_line(struct json *json, const char *key, int64_t line);

#endif
