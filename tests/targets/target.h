/* What the targets share: programs whose allocations are known exactly, recorded and checked by tests/integration.
 *
 * A comment marks a line and says what the reports must show for it (tests/integration/marks.py reads it):
 *     ... // ALLOC name bytes=1000 count=1 live=1000 peak=1000
 * bytes, count: all there ever were; live, live_count: at the end; peak, peak_count: at the high-water mark; copied, copies,
 * temporary. Values are expressions over the facts that the running program gave with fact(). live and copied are 0 where absent.
 *
 * Nothing here allocates. */
#ifndef HEAPLINE_TARGETS_TARGET_H
#define HEAPLINE_TARGETS_TARGET_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define KIB 1024ul
#define MIB (1024ul * KIB)

/* Keeps the optimiser from dropping an allocation, and makes the memory count as used. */
#define keep(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

/* A size the compiler knows nothing of. */
static inline size_t opaque(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

/* Tell the test a number that only the running program knows. */
static inline void fact(const char *name, long value)
{
    static const char *path;
    if (!path && !(path = getenv("HEAPLINE_TEST_FACTS")))
        return;
    char text[128];
    int length = snprintf(text, sizeof text, "%s=%ld\n", name, value);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0)
        return;
    if (write(file, text, (size_t)length) != length)
        _exit(99);
    close(file);
}

/* A failed expectation inside a target ends it with a status no test asks for. */
#define require(condition) \
    do { \
        if (!(condition)) { \
            dprintf(2, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            _exit(98); \
        } \
    } while (0)

#endif
