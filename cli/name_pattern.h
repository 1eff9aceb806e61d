/* Patterns as LeakSanitizer's suppressions have them: a text that is found anywhere in the name; '*' is any text, '^' at the beginning and
 * '$' at the end tie it there. https://clang.llvm.org/docs/AddressSanitizer.html#suppressing-memory-leaks */
#ifndef HEAPLINE_CLI_NAME_PATTERN_H
#define HEAPLINE_CLI_NAME_PATTERN_H

/* NULL matches nothing, nor does an empty pattern. */
int name_pattern_matches(const char *pattern, const char *name);

#endif
