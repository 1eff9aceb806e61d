/* The JSON writer: see json.h. Streams, allocates nothing. */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static void write_text(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text) {
        uint32_t character = 0;
        int length = text_decode(text, &character);
        if (length == 0) {
            fputs("\xef\xbf\xbd", out);
            text++;
            continue;
        }
        if (character == '"' || character == '\\')
            fprintf(out, "\\%c", (int)character);
        else if (character == '\n')
            fputs("\\n", out);
        else if (character < 0x20 || character == 0x7f)
            fprintf(out, "\\u%04x", character);
        else
            fwrite(text, 1, (size_t)length, out);
        text += length;
    }
    fputc('"', out);
}

/* What stands before any value: comma, line break, key. */
static void begin_value(struct json *json, const char *key)
{
    if (json->needs_comma)
        fputc(',', json->out);
    if (json->depth <= 2 && json->depth > 0)
        fprintf(json->out, "\n%*s", json->depth * 2, "");
    else if (json->needs_comma)
        fputc(' ', json->out);
    if (key) {
        write_text(json->out, key);
        fputs(": ", json->out);
    }
    json->needs_comma = 1;
}

static void begin_group(struct json *json, const char *key, char bracket)
{
    begin_value(json, key);
    fputc(bracket, json->out);
    json->depth++;
    json->needs_comma = 0;
}

static void end_group(struct json *json, char bracket)
{
    json->depth--;
    if (json->depth <= 1 && json->needs_comma)
        fprintf(json->out, "\n%*s", json->depth * 2, "");
    fputc(bracket, json->out);
    json->needs_comma = 1;
}

void json_begin(struct json *json, FILE *out, const char *command)
{
    *json = (struct json){.out = out};
    begin_group(json, NULL, '{');
    json_integer(json, "schema", 1);
    json_text(json, "command", command);
}

int json_end(struct json *json)
{
    end_group(json, '}');
    fputc('\n', json->out);
    return fflush(json->out) != 0 || ferror(json->out) ? -1 : 0;
}

void json_object(struct json *json, const char *key)
{
    begin_group(json, key, '{');
}

void json_object_end(struct json *json)
{
    end_group(json, '}');
}

void json_array(struct json *json, const char *key)
{
    begin_group(json, key, '[');
}

void json_array_end(struct json *json)
{
    end_group(json, ']');
}

void json_integer(struct json *json, const char *key, int64_t value)
{
    begin_value(json, key);
    fprintf(json->out, "%lld", (long long)value);
}

/* As few as tell the number from every other one. */
static int digits_of(double value)
{
    char text[32];
    for (int digits = 10; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return digits;
    }
    return 17;
}

void json_real(struct json *json, const char *key, double value)
{
    begin_value(json, key);
    if (isfinite(value))
        fprintf(json->out, "%.*g", digits_of(value), value);
    else
        fputs("null", json->out);
}

void json_boolean(struct json *json, const char *key, int value)
{
    begin_value(json, key);
    fputs(value ? "true" : "false", json->out);
}

void json_text(struct json *json, const char *key, const char *value)
{
    begin_value(json, key);
    if (value)
        write_text(json->out, value);
    else
        fputs("null", json->out);
}

void json_null(struct json *json, const char *key)
{
    json_text(json, key, NULL);
}
