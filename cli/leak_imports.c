/* See leak_imports.h. */
#include "leak_imports.h"

#include <stdlib.h>
#include <string.h>

/* runpy, too, is of this origin, and is on all stacks of a program that was started with -m. */
static int imports(const struct set_frame *frame)
{
    return frame->origin && !strcmp(frame->origin, "import") && frame->file && strstr(frame->file, "importlib");
}

uint8_t *leak_find_imports(const struct stack_set *set)
{
    uint8_t *found = calloc((size_t)set->stack_count + 1, 1);
    if (!found)
        abort();
    for (uint32_t index = SET_EMPTY + 1; index < set->stack_count; index++) {
        const struct set_stack *stack = &set->stacks[index];
        found[index] = found[stack->caller] || imports(&set->frames[stack->frame]);
    }
    return found;
}
