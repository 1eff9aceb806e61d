/* Between a fuzz target, what makes its seeds, and fuzz_main.c, which runs it without libFuzzer. */
#ifndef HEAPLINE_TESTS_FUZZ_H
#define HEAPLINE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The target. Ends the program (abort, exit with another status than 0, a sanitizer) where it finds something wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs to begin with, each given to fuzz_add_seed, which copies it. */
void fuzz_make_seeds(void);
void fuzz_add_seed(const uint8_t *bytes, size_t count);

#endif
