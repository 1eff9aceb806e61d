/* What imports leave behind: the code, classes and constants of modules, which come once and stay.
 *
 * In a run that imports for most of its time such lines grow from window to window like leaks, each module by a stack of its own: what tells them
 * apart is that no single one of those stacks grows for long. */
#ifndef HEAPLINE_CLI_LEAK_IMPORTS_H
#define HEAPLINE_CLI_LEAK_IMPORTS_H

#include <stdint.h>

#include "stack_set.h"

/* A stack that grew in more windows than this is no import that happened once. */
#define LEAK_IMPORT_RISES 2

/* By index: 1 where a module is being imported somewhere on the stack. malloc'ed. */
uint8_t *leak_find_imports(const struct stack_set *set);

#endif
