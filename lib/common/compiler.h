/* Spellings shared by every folder: branch hints, visibility, section hints.
 * Depends on nothing; may be included from any thread of any process. */
#ifndef HEAPLINE_COMMON_COMPILER_H
#define HEAPLINE_COMMON_COMPILER_H

#include <stdalign.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Runs on the path of every event: worth inlining even at -Os. */
#define HOT_INLINE static inline __attribute__((always_inline))
/* Runs rarely: keep it out of the hot functions' cache lines. */
#define COLD __attribute__((cold, noinline))
/* Too large for the hot functions, but not rare. */
#define OUTLINED static __attribute__((noinline))
/* The only symbols that libheapline.so shows to the target. */
#define EXPORT __attribute__((visibility("default")))
/* A variable of this library that other files of it use. With plain extern the compiler, which can't know where it is, asks for its address
 * first: an instruction more at each use. */
#define INTERNAL extern __attribute__((visibility("hidden")))
/* Initial-exec TLS costs one load; the general model costs a call per access
 * (measured: 10 ns more a malloc and free pair). Keep the total under 100 bytes, so that a
 * late dlopen still finds room in the static TLS block. */
#define TLS_FAST __thread __attribute__((tls_model("initial-exec")))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define CACHE_LINE_BYTES 64

#endif
