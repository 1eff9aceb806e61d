/* Walks a stack outward to its owner: see leak_owner.h. */
#include "leak_owner.h"

#include <ctype.h>
#include <string.h>

#include "compiler.h"

/* Frames of the standard library between a line and its call of it: json.dumps has 3, re.compile 8. Farther out, or so near to the root
 * as a module's own code, stands what runs the program. */
#define LIBRARY_FRAMES 12
#define LIBRARY_FRAMES_BELOW_MODULE 4

static int has_text(const char *text, const char *expected)
{
    return text && !strcmp(text, expected);
}

static int contains_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == word[i])
            i++;
        if (i == length)
            return 1;
    }
    return 0;
}

static int is_helper(const struct set_frame *frame)
{
    static const char *const words[] = {"alloc", "strdup", "memdup", "strndup"};
    if (!has_text(frame->kind, "native") || !frame->function || !has_text(frame->origin, "native"))
        return 0;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (contains_word(frame->function, words[i]))
            return 1;
    return 0;
}

/* The stack, or one of its callers', whose frame is credited; SET_EMPTY: none. */
static uint32_t find_credited(const struct stack_set *set, uint32_t stack_index)
{
    uint32_t line_frame = set->stacks[stack_index].line_frame, index = stack_index;
    while (index > SET_EMPTY && set->stacks[index].frame != line_frame)
        index = set->stacks[index].caller;
    return index;
}

static uint32_t leave_library(const struct stack_set *set, uint32_t index)
{
    uint32_t outer = index;
    int steps = 0;
    while (outer > SET_EMPTY && steps <= LIBRARY_FRAMES && has_text(set->frames[set->stacks[outer].frame].origin, "stdlib")) {
        outer = set->stacks[outer].caller;
        steps++;
    }
    const struct set_frame *frame = &set->frames[set->stacks[outer].frame];
    if (outer <= SET_EMPTY || !has_text(frame->kind, "python") || steps > LIBRARY_FRAMES || has_text(frame->origin, "import") ||
        (has_text(frame->function, "<module>") && steps > LIBRARY_FRAMES_BELOW_MODULE))
        return index;
    return outer;
}

static uint32_t leave_helpers(const struct stack_set *set, uint32_t index)
{
    uint32_t outer = index;
    while (outer > SET_EMPTY && is_helper(&set->frames[set->stacks[outer].frame]))
        outer = set->stacks[outer].caller;
    const struct set_frame *frame = &set->frames[set->stacks[outer].frame];
    return outer > SET_EMPTY && has_text(frame->origin, "native") && (frame->line || !set->frames[set->stacks[index].frame].line) ? outer : index;
}

uint32_t leak_owner_stack(const struct stack_set *set, uint32_t stack_index)
{
    uint32_t index = find_credited(set, stack_index);
    if (index <= SET_EMPTY)
        return SET_EMPTY;
    const struct set_frame *frame = &set->frames[set->stacks[index].frame];
    if (has_text(frame->origin, "stdlib"))
        index = leave_library(set, index);
    else if (has_text(frame->kind, "native"))
        index = leave_helpers(set, index);
    return index;
}

uint32_t leak_owner(const struct stack_set *set, uint32_t stack_index)
{
    uint32_t index = leak_owner_stack(set, stack_index);
    return index <= SET_EMPTY ? set->stacks[stack_index].line_frame : set->stacks[index].frame;
}
