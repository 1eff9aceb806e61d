/* The environment and options that this process was started with, read before libc is up.
 * /proc/self/environ rather than getenv: environ may not be set yet when the first malloc comes. One thread, at start. */
#ifndef HEAPLINE_CAPTURE_ENVIRONMENT_H
#define HEAPLINE_CAPTURE_ENVIRONMENT_H

#include <stddef.h>
#include <stdint.h>

#define ENVIRONMENT_MAX_BYTES (256u << 10)

struct environment {
    char *text;       /* NAME=VALUE\0 …, from pages_map */
    size_t bytes;
};

/* 1, or 0 when it can't be read. */
int environment_read(struct environment *environment);
void environment_done(struct environment *environment);

/* The value of a variable, or NULL. */
const char *environment_get(const struct environment *environment, const char *name);

/* What HEAPLINE_OPTIONS="native,sample=512K,no-copies" says. */
struct capture_options {
    uint32_t flags;                   /* enum session_flag */
    uint64_t sampling_interval_bytes;
    uint64_t sampling_seed;           /* 0: any; for tests */
    uint64_t copy_threshold_bytes;
    uint64_t max_trace_bytes;
    uint64_t rotate_bytes, rotate_ns;
    uint32_t native_check_interval;
};

/* Unknown words are skipped: the CLI checks what users type, and a newer one may pass more. */
void capture_options_parse(const char *text, struct capture_options *options);

#endif
