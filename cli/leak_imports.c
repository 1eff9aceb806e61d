/* See leak_imports.h. */
#include "leak_imports.h"

#include <string.h>

#include "memory.h"

static int imports(const struct set_frame *frame)
{
    return frame->file && !strncmp(frame->file, "<frozen importlib.", strlen("<frozen importlib."));
}

/* What a module's own code does begins with its frame. */
static uint8_t of_frame(const struct set_frame *frame, uint8_t of_caller)
{
    if (imports(frame))
        return LEAK_BY_IMPORT;
    return of_caller && frame->function && !strcmp(frame->function, "<module>") ? LEAK_WHILE_IMPORTING : of_caller;
}

uint8_t *leak_find_imports(const struct stack_set *set)
{
    uint8_t *found = memory_new((size_t)set->stack_count + 1, 1);
    for (uint32_t index = SET_EMPTY + 1; index < set->stack_count; index++) {
        const struct set_stack *stack = &set->stacks[index];
        found[index] = of_frame(&set->frames[stack->frame], found[stack->caller]);
    }
    return found;
}
