/* The JSON writer: see json.h. Streams, allocates nothing. */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* How many bytes from here on stand for themselves? */
static size_t plain_length(const char *text)
{
    size_t length = 0;
    while (text[length] >= 0x20 && text[length] < 0x7f && text[length] != '"' && text[length] != '\\')
        length++;
    return length;
}

static void write_text(FILE *out, const char *text)
{
    putc_unlocked('"', out);
    while (*text) {
        size_t plain = plain_length(text);
        if (plain) {
            fwrite_unlocked(text, 1, plain, out);
            text += plain;
            continue;
        }
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
    putc_unlocked('"', out);
}

static void write_integer(FILE *out, int64_t value)
{
    char digits[24], *first = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        *--first = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *--first = '-';
    fwrite_unlocked(first, 1, (size_t)(digits + sizeof digits - first), out);
}

/* What stands before any value: comma, line break, key. */
static void begin_value(struct json *json, const char *key)
{
    if (json->needs_comma)
        putc_unlocked(',', json->out);
    if (json->depth <= 2 && json->depth > 0)
        fprintf(json->out, "\n%*s", json->depth * 2, "");
    else if (json->needs_comma)
        putc_unlocked(' ', json->out);
    if (key) {
        write_text(json->out, key);
        fputs_unlocked(": ", json->out);
    }
    json->needs_comma = 1;
}

static void begin_group(struct json *json, const char *key, char bracket)
{
    begin_value(json, key);
    putc_unlocked(bracket, json->out);
    json->depth++;
    json->needs_comma = 0;
}

static void end_group(struct json *json, char bracket)
{
    json->depth--;
    if (json->depth <= 1 && json->needs_comma)
        fprintf(json->out, "\n%*s", json->depth * 2, "");
    putc_unlocked(bracket, json->out);
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
    putc_unlocked('\n', json->out);
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
    write_integer(json->out, value);
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

void json_line(struct json *json, const char *key, int64_t line)
{
    if (line > 0)
        json_integer(json, key, line);
    else
        json_null(json, key);
}
