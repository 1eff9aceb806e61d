/* See environment.h. */
#include "environment.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pages.h"
#include "session.h"

int environment_read(struct environment *environment)
{
    environment->bytes = 0;
    environment->text = pages_map(ENVIRONMENT_MAX_BYTES);
    if (!environment->text)
        return 0;
    int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/environ", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    long got;
    /* One byte less, so that the text always ends with a NUL. */
    while ((got = syscall(SYS_read, file, environment->text + environment->bytes,
                          ENVIRONMENT_MAX_BYTES - 1 - environment->bytes)) > 0)
        environment->bytes += (size_t)got;
    syscall(SYS_close, file);
    return 1;
}

void environment_done(struct environment *environment)
{
    if (environment->text)
        pages_unmap(environment->text, ENVIRONMENT_MAX_BYTES);
    environment->text = NULL;
}

const char *environment_get(const struct environment *environment, const char *name)
{
    size_t name_bytes = strlen(name);
    for (size_t at = 0; at < environment->bytes; at += strlen(environment->text + at) + 1) {
        const char *entry = environment->text + at;
        if (strncmp(entry, name, name_bytes) == 0 && entry[name_bytes] == '=')
            return entry + name_bytes + 1;
    }
    return NULL;
}

static uint64_t parse_number(const char **text)
{
    uint64_t number = 0;
    while (**text >= '0' && **text <= '9')
        number = number * 10 + (uint64_t)(*(*text)++ - '0');
    return number;
}

static uint64_t parse_size(const char *text)
{
    uint64_t size = parse_number(&text);
    switch (*text | 0x20) {
    case 'k': return size << 10;
    case 'm': return size << 20;
    case 'g': return size << 30;
    case 't': return size << 40;
    default: return size;
    }
}

/* A size, or a time: a number and ms, s, min, h or d. */
static void parse_rotation(const char *text, size_t bytes, struct capture_options *options)
{
    static const struct {
        const char *word;
        uint64_t ns;
    } units[] = {{"ms", 1000000}, {"s", 1000000000}, {"min", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}};
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < ARRAY_LENGTH(units) && digits < bytes; i++)
        if (strlen(units[i].word) == bytes - digits && strncmp(text + digits, units[i].word, bytes - digits) == 0) {
            options->rotate_ns = parse_number(&text) * units[i].ns; /* m is no mebi here */
            return;
        }
    options->rotate_bytes = parse_size(text);
}

struct option_word {
    const char *word;
    uint32_t set, clear;
};

static const struct option_word option_words[] = {
    {"native", SESSION_NATIVE, 0},   {"no-native", 0, SESSION_NATIVE}, {"copies", SESSION_COPIES, 0},
    {"no-copies", 0, SESSION_COPIES}, {"follow", SESSION_FOLLOW, 0},   {"no-follow", 0, SESSION_FOLLOW},
    {"paused", SESSION_PAUSED, 0},   {"force", SESSION_FORCE, 0},
};

/* Does text begin with the whole word, and what follows it? */
static const char *after_word(const char *text, size_t bytes, const char *word)
{
    size_t word_bytes = strlen(word);
    return bytes >= word_bytes && strncmp(text, word, word_bytes) == 0 ? text + word_bytes : NULL;
}

static void parse_one(const char *text, size_t bytes, struct capture_options *options)
{
    for (size_t i = 0; i < ARRAY_LENGTH(option_words); i++)
        if (strlen(option_words[i].word) == bytes && after_word(text, bytes, option_words[i].word)) {
            options->flags = (options->flags | option_words[i].set) & ~option_words[i].clear;
            return;
        }
    const char *value;
    if ((value = after_word(text, bytes, "sample=")))
        options->sampling_interval_bytes = parse_size(value);
    else if ((value = after_word(text, bytes, "seed=")))
        options->sampling_seed = parse_size(value);
    else if ((value = after_word(text, bytes, "copy-threshold=")))
        options->copy_threshold_bytes = parse_size(value);
    else if ((value = after_word(text, bytes, "check-native=")))
        options->native_check_interval = (uint32_t)parse_size(value);
    else if ((value = after_word(text, bytes, "max-trace-size=")))
        options->max_trace_bytes = parse_size(value);
    else if ((value = after_word(text, bytes, "rotate=")))
        parse_rotation(value, bytes - (size_t)(value - text), options);
}

void capture_options_parse(const char *text, struct capture_options *options)
{
    *options = (struct capture_options){.flags = SESSION_COPIES | SESSION_FOLLOW, .copy_threshold_bytes = SESSION_COPY_THRESHOLD_BYTES};
    while (text && *text) {
        const char *comma = strchrnul(text, ',');
        parse_one(text, (size_t)(comma - text), options);
        text = *comma ? comma + 1 : comma;
    }
}
