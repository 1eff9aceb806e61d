/* Parsers of both manglings (demangle_rust.h).
 * v0: https://doc.rust-lang.org/rustc/symbol-mangling/v0.html */
#include "demangle_rust.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 200
#define MAX_BYTES 8192 /* back references can repeat without end */

struct demangler {
    const char *start, *at, *end;
    FILE *out;
    size_t written;
    int silent, depth, failed;
};

static void put_bytes(struct demangler *d, const char *text, size_t length)
{
    if (d->silent || d->failed)
        return;
    d->written += length;
    d->failed |= d->written > MAX_BYTES || fwrite(text, 1, length, d->out) != length;
}

static void put(struct demangler *d, const char *text)
{
    put_bytes(d, text, strlen(text));
}

static void put_number(struct demangler *d, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    put(d, text);
}

static int take(struct demangler *d, char wanted)
{
    if (d->at == d->end || *d->at != wanted)
        return 0;
    d->at++;
    return 1;
}

static char take_any(struct demangler *d)
{
    if (d->at < d->end)
        return *d->at++;
    d->failed = 1;
    return 0;
}

static uint64_t decimal(struct demangler *d)
{
    uint64_t value = 0;
    if (d->at == d->end || !isdigit((unsigned char)*d->at))
        d->failed = 1;
    while (d->at < d->end && isdigit((unsigned char)*d->at) && value < UINT32_MAX)
        value = value * 10 + (uint64_t)(*d->at++ - '0');
    return value;
}

/* ---- v0 ---- */

/* Only back references need the value; crates' disambiguators fill 64 bits. */
static uint64_t base_62(struct demangler *d)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint64_t value = 0;
    if (take(d, '_'))
        return 0;
    while (!d->failed && !take(d, '_')) {
        char digit = take_any(d);
        const char *found = digit ? strchr(digits, digit) : NULL;
        d->failed |= !found;
        value = value * 62 + (uint64_t)(found ? found - digits : 0);
    }
    return value + 1;
}

static uint64_t disambiguator(struct demangler *d)
{
    return take(d, 's') ? base_62(d) + 1 : 0;
}

struct identifier {
    const char *text;
    size_t length;
};

static struct identifier plain_identifier(struct demangler *d)
{
    take(d, 'u'); /* Punycode stays as it is */
    uint64_t length = decimal(d);
    take(d, '_');
    if (d->failed || length > (uint64_t)(d->end - d->at)) {
        d->failed = 1;
        return (struct identifier){"", 0};
    }
    struct identifier identifier = {d->at, (size_t)length};
    d->at += length;
    return identifier;
}

static void type(struct demangler *d);
static void path(struct demangler *d, int in_value);
static void constant(struct demangler *d);

/* Goes on at an earlier place of the name, and returns here. */
static void back_reference(struct demangler *d, void (*parse)(struct demangler *))
{
    const char *from = d->at - 1;
    uint64_t offset = base_62(d);
    const char *back = d->at;
    if (d->failed || offset >= (uint64_t)(from - d->start)) {
        d->failed = 1;
        return;
    }
    if (d->silent)
        return;
    d->at = d->start + offset;
    parse(d);
    d->at = back;
}

static void value_path(struct demangler *d)
{
    path(d, 1);
}

static void type_path(struct demangler *d)
{
    path(d, 0);
}

static void generic_argument(struct demangler *d)
{
    if (take(d, 'L')) {
        base_62(d);
        put(d, "'_");
    } else if (take(d, 'K')) {
        constant(d);
    } else {
        type(d);
    }
}

static void generic_arguments(struct demangler *d)
{
    for (int i = 0; !d->failed && !take(d, 'E'); i++) {
        put(d, i ? ", " : "");
        generic_argument(d);
    }
}

/* Where an impl stands is not part of its name. */
static void impl_path(struct demangler *d)
{
    int silent = d->silent;
    d->silent = 1;
    disambiguator(d);
    path(d, 0);
    d->silent = silent;
}

static void impl_type(struct demangler *d, char kind)
{
    if (kind != 'Y')
        impl_path(d);
    put(d, "<");
    type(d);
    if (kind != 'M') {
        put(d, " as ");
        path(d, 0);
    }
    put(d, ">");
}

static void nested_path(struct demangler *d, int in_value)
{
    char space = take_any(d);
    path(d, in_value);
    uint64_t number = disambiguator(d);
    struct identifier name = plain_identifier(d);
    if (islower((unsigned char)space)) {
        put(d, name.length ? "::" : "");
        put_bytes(d, name.text, name.length);
        return;
    }
    put(d, "::{");
    put(d, space == 'C' ? "closure" : space == 'S' ? "shim" : "");
    put(d, name.length ? ":" : "");
    put_bytes(d, name.text, name.length);
    put(d, "#");
    put_number(d, number);
    put(d, "}");
}

static void path(struct demangler *d, int in_value)
{
    char kind = d->depth++ < MAX_DEPTH ? take_any(d) : 0;
    struct identifier name;
    switch (kind) {
    case 'C':
        disambiguator(d);
        name = plain_identifier(d);
        put_bytes(d, name.text, name.length);
        break;
    case 'M':
    case 'X':
    case 'Y':
        impl_type(d, kind);
        break;
    case 'N':
        nested_path(d, in_value);
        break;
    case 'I':
        path(d, in_value);
        put(d, in_value ? "::<" : "<");
        generic_arguments(d);
        put(d, ">");
        break;
    case 'B':
        back_reference(d, in_value ? value_path : type_path);
        break;
    default:
        d->failed = 1;
    }
    d->depth--;
}

static const char *basic_type(char letter)
{
    static const char *const names[26] = {
        "i8", "bool", "char", "f64", "str", "f32", NULL, "u8", "isize", "usize", NULL, "i32", "u32",
        "i128", "u128", "_", NULL, NULL, "i16", "u16", "()", "...", NULL, "i64", "u64", "!",
    };
    return letter >= 'a' && letter <= 'z' ? names[letter - 'a'] : NULL;
}

static void function_type(struct demangler *d)
{
    if (take(d, 'G'))
        base_62(d);
    put(d, take(d, 'U') ? "unsafe " : "");
    if (take(d, 'K') && !take(d, 'C'))
        plain_identifier(d);
    put(d, "fn(");
    for (int i = 0; !d->failed && !take(d, 'E'); i++) {
        put(d, i ? ", " : "");
        type(d);
    }
    put(d, ")");
    if (take(d, 'u'))
        return;
    put(d, " -> ");
    type(d);
}

static void dyn_type(struct demangler *d)
{
    put(d, "dyn ");
    if (take(d, 'G'))
        base_62(d);
    for (int i = 0; !d->failed && !take(d, 'E'); i++) {
        put(d, i ? " + " : "");
        path(d, 0);
        while (!d->failed && take(d, 'p')) {
            struct identifier name = plain_identifier(d);
            put(d, "<");
            put_bytes(d, name.text, name.length);
            put(d, " = ");
            type(d);
            put(d, ">");
        }
    }
    if (take(d, 'L'))
        base_62(d);
}

static void array_type(struct demangler *d, char kind)
{
    put(d, "[");
    type(d);
    if (kind == 'A') {
        put(d, "; ");
        constant(d);
    }
    put(d, "]");
}

static void tuple_type(struct demangler *d)
{
    int count = 0;
    put(d, "(");
    for (; !d->failed && !take(d, 'E'); count++) {
        put(d, count ? ", " : "");
        type(d);
    }
    put(d, count == 1 ? ",)" : ")");
}

static void pointer_type(struct demangler *d, char kind)
{
    if ((kind == 'R' || kind == 'Q') && take(d, 'L'))
        base_62(d);
    put(d, kind == 'R' ? "&" : kind == 'Q' ? "&mut " : kind == 'P' ? "*const " : "*mut ");
    type(d);
}

static void type(struct demangler *d)
{
    char kind = d->depth++ < MAX_DEPTH ? take_any(d) : 0;
    const char *basic = basic_type(kind);
    if (basic) {
        put(d, basic);
    } else if (kind == 'A' || kind == 'S') {
        array_type(d, kind);
    } else if (kind == 'T') {
        tuple_type(d);
    } else if (kind && strchr("RQPO", kind)) {
        pointer_type(d, kind);
    } else if (kind == 'F') {
        function_type(d);
    } else if (kind == 'D') {
        dyn_type(d);
    } else if (kind == 'B') {
        back_reference(d, type);
    } else if (kind) {
        d->at--;
        path(d, 0);
    } else {
        d->failed = 1;
    }
    d->depth--;
}

static void constant(struct demangler *d)
{
    if (take(d, 'p')) {
        put(d, "_");
        return;
    }
    if (take(d, 'B')) {
        back_reference(d, constant);
        return;
    }
    char kind = take_any(d), *end;
    int is_negative = take(d, 'n');
    const char *digits = d->at;
    d->failed |= !basic_type(kind);
    while (!d->failed && isxdigit((unsigned char)*d->at))
        d->at++;
    uint64_t value = strtoull(digits, &end, 16);
    if (d->failed || !take(d, '_')) {
        d->failed = 1;
        return;
    }
    if (kind == 'b') {
        put(d, value ? "true" : "false");
        return;
    }
    put(d, is_negative ? "-" : "");
    put_number(d, value);
}

/* ---- legacy ---- */

static int is_hash(const char *text, size_t length)
{
    if (length != 17 || *text != 'h')
        return 0;
    for (size_t i = 1; i < length; i++)
        if (!isxdigit((unsigned char)text[i]))
            return 0;
    return 1;
}

/* "$LT$" and its kin. Returns how long it was, 0: none. */
static size_t legacy_escape(struct demangler *d, const char *text, const char *end)
{
    static const char *const escapes[][2] = {{"$SP$", "@"}, {"$BP$", "*"}, {"$RF$", "&"}, {"$LT$", "<"},
                                             {"$GT$", ">"}, {"$LP$", "("}, {"$RP$", ")"}, {"$C$", ","}};
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        size_t length = strlen(escapes[i][0]);
        if ((size_t)(end - text) >= length && !memcmp(text, escapes[i][0], length)) {
            put(d, escapes[i][1]);
            return length;
        }
    }
    char *after;
    unsigned long code = end - text > 3 && text[1] == 'u' ? strtoul(text + 2, &after, 16) : 0;
    if (code < 0x20 || code > 0x7e || after >= end || *after != '$')
        return 0;
    put_bytes(d, (const char[]){(char)code}, 1);
    return (size_t)(after + 1 - text);
}

static void legacy_part(struct demangler *d, const char *text, const char *end)
{
    if (end - text > 1 && text[0] == '_' && text[1] == '$')
        text++;
    while (text < end && !d->failed) {
        size_t escaped = *text == '$' ? legacy_escape(d, text, end) : 0;
        if (!escaped && end - text > 1 && text[0] == '.' && text[1] == '.') {
            put(d, "::");
            escaped = 2;
        }
        if (!escaped)
            put_bytes(d, text, 1);
        text += escaped ? escaped : 1;
    }
}

/* The parts up to the hash, which must be the last one. */
static void legacy_name(struct demangler *d)
{
    for (int i = 0; !d->failed; i++) {
        uint64_t length = decimal(d);
        if (d->failed || length > (uint64_t)(d->end - d->at))
            break;
        const char *text = d->at;
        d->at += length;
        if (take(d, 'E')) {
            d->failed |= !i || !is_hash(text, (size_t)length);
            return;
        }
        put(d, i ? "::" : "");
        legacy_part(d, text, text + length);
    }
    d->failed = 1;
}

char *demangle_rust(const char *name)
{
    int is_v0 = !strncmp(name, "_R", 2);
    if (!is_v0 && strncmp(name, "_ZN", 3))
        return NULL;
    const char *start = name + (is_v0 ? 2 : 3);
    char *text = NULL;
    size_t bytes;
    struct demangler d = {.start = start, .at = start, .end = start + strlen(start), .out = open_memstream(&text, &bytes)};
    if (!d.out)
        return NULL;
    if (is_v0)
        path(&d, 1);
    else
        legacy_name(&d);
    if (fclose(d.out) || d.failed) {
        free(text);
        return NULL;
    }
    return text;
}
