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

/* By index: LEAK_WHILE_IMPORTING where a module's own code runs because it is being imported; LEAK_BY_IMPORT for what the import system does itself, its
 * finders and loaders included: by the same stack for all modules that one line imports. The modules' own lines tell if they come again and
 * again. malloc'ed. */
enum { LEAK_WHILE_IMPORTING = 1, LEAK_BY_IMPORT };
uint8_t *leak_find_imports(const struct stack_set *set);

#endif
