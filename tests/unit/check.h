/* Assertions of the unit tests: print the place and the values, and exit with status 1. Each test is a program of its own. */
#ifndef HEAPLINE_TESTS_CHECK_H
#define HEAPLINE_TESTS_CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);            \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

/* Integers of any type: compared and shown as 64-bit numbers. */
#define CHECK_EQUAL(actual, expected)                                                          \
    do {                                                                                       \
        uint64_t check_actual = (uint64_t)(actual), check_expected = (uint64_t)(expected);     \
        if (check_actual != check_expected) {                                                  \
            fprintf(stderr, "%s:%d: %s is %" PRIu64 " (%" PRId64 "), expected %" PRIu64 " (%" PRId64 ")\n", __FILE__, __LINE__, #actual, \
                    check_actual, (int64_t)check_actual, check_expected, (int64_t)check_expected); \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

#define CHECK_STRING(actual, expected)                                                         \
    do {                                                                                       \
        const char *check_actual = (actual), *check_expected = (expected);                     \
        if (strcmp(check_actual, check_expected) != 0) {                                       \
            fprintf(stderr, "%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #actual, check_actual, check_expected); \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

#define CHECK_BYTES(actual, expected, count)                                                   \
    do {                                                                                       \
        if (memcmp((actual), (expected), (count)) != 0) {                                      \
            fprintf(stderr, "%s:%d: %s differs from %s\n", __FILE__, __LINE__, #actual, #expected); \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

/* xorshift64*: the same numbers everywhere. */
static inline uint64_t check_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

#endif
