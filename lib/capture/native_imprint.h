/* Imprints: whole stacks as they once were. Plain programs make the same few dozen stacks in the same order; for each of them there is here what
 * its way from the innermost place to the end depended on, return addresses and cells, and the node that it led to. Where all of that is
 * what it was, so is the stack; no level is looked at, and hardly anything written.
 *
 * From one place there may be several stacks. What tells them apart is learned: where two of them met at one entry, the innermost word that
 * differs becomes a fork of the place, and what that word is then leads on to an entry. As all frames inside of it are the same, it is a return
 * address in both.
 * A program whose stacks don't come again in time (a recursion over a large tree) pays for imprints and has no use of them: each stack that was found
 * earns trust, each that wasn't or that was kept costs some, and when all is gone they rest for a while.
 * Of threads that run no Python code: there it is the Python frames that change (native_shortcut.h). */
#ifndef HEAPLINE_CAPTURE_NATIVE_IMPRINT_H
#define HEAPLINE_CAPTURE_NATIVE_IMPRINT_H

#include "native_unwinder.h"
#include "stack_table.h"

/* Of this module epoch and the thread's tag. */
HOT_INLINE uint64_t native_imprint_key(const struct native_unwinder *unwinder)
{
    return (uint64_t)unwinder->imprint_version << 32 | stack_root;
}

HOT_INLINE unsigned native_imprint_hash(uint64_t word)
{
    return (unsigned)(word * 0x9E3779B97F4A7C15ull >> (64 - NATIVE_IMPRINT_BITS));
}

HOT_INLINE unsigned native_imprint_first(const struct native_place *place)
{
    return native_imprint_hash(place->address ^ place->stack << 20);
}

/* Where this fork leads. Places that share an entry share its fork: then the word says nothing of this stack, or is beyond it. */
HOT_INLINE unsigned native_imprint_next(const struct native_unwinder *unwinder, const struct native_place *place, unsigned at)
{
    uint64_t fork = unwinder->forks[at], room = unwinder->stack.high - place->stack - 7;
    uint64_t word = *(const uint64_t *)(uintptr_t)(place->stack + (fork < room ? fork : 0));
    return at ^ (fork ? native_imprint_hash(word) : 0);
}

/* Where an imprint of the stack that begins here would be. */
HOT_INLINE unsigned native_imprint_at(const struct native_unwinder *unwinder, const struct native_place *place)
{
    unsigned at = native_imprint_first(place);
    for (int i = 0; i < NATIVE_IMPRINT_FORKS; i++)
        at = native_imprint_next(unwinder, place, at);
    return at;
}

HOT_INLINE int native_imprint_begins_at(const struct native_imprint *imprint, const struct native_place *place, uint64_t key)
{
    return !((imprint->place.stack ^ place->stack) | (imprint->place.address ^ place->address) | (imprint->key ^ key) |
             ((imprint->place.frame_pointer ^ place->frame_pointer) & -(uint64_t)imprint->needs_frame_pointer));
}

HOT_INLINE uint64_t native_imprint_difference(const struct native_imprint_four *four, int at, uint64_t stack)
{
    return *(const uint64_t *)(uintptr_t)(stack + four->offsets[at]) ^ four->values[at];
}

/* Of an imprint that begins where this stack does. */
HOT_INLINE int native_imprint_holds(const struct native_imprint *imprint, uint64_t stack)
{
    uint64_t difference = 0;
    for (const struct native_imprint_four *four = imprint->fours, *end = four + imprint->four_count; four < end; four++)
        difference |= (native_imprint_difference(four, 0, stack) | native_imprint_difference(four, 1, stack)) |
                      (native_imprint_difference(four, 2, stack) | native_imprint_difference(four, 3, stack));
    return !difference;
}

COLD void native_imprint_rest(struct native_unwinder *unwinder);

/* Don't they rest? To be asked once for each stack. */
HOT_INLINE int native_imprint_may_help(struct native_unwinder *unwinder)
{
    if (!unwinder->imprint_rest)
        return 1;
    unwinder->imprint_rest--;
    return 0;
}

/* The node of the stack that begins here. 0: it is none of those that are kept. */
HOT_INLINE uint32_t native_imprint_find(struct native_unwinder *unwinder, const struct native_place *place)
{
    struct native_imprint *imprint = &unwinder->imprints[native_imprint_at(unwinder, place)];
    if (likely(native_imprint_begins_at(imprint, place, native_imprint_key(unwinder))) && likely(native_imprint_holds(imprint, place->stack))) {
        imprint->was_taken = 1;
        unwinder->imprint_trust++;
        return imprint->node;
    }
    unwinder->imprint_is_missed = 1;
    if (unlikely(--unwinder->imprint_trust < 0))
        native_imprint_rest(unwinder);
    return 0;
}

/* Keeps, perhaps, a stack that was just captured: it begins at `place` … */
/* … its levels are the first ones, up to this. */
void native_imprint_make(struct native_unwinder *unwinder, const struct native_place *place, int level, uint32_t node);
/* … it went by this shortcut. */
void native_imprint_make_from_shortcut(struct native_unwinder *unwinder, const struct native_shortcut *shortcut, uint32_t node);

/* The same, where one was missed. Both return the node. */
HOT_INLINE uint32_t native_imprint_keep(struct native_unwinder *unwinder, const struct native_place *place, int level, uint32_t node)
{
    if (unlikely(unwinder->imprint_is_missed))
        native_imprint_make(unwinder, place, level, node);
    return node;
}

HOT_INLINE uint32_t native_imprint_keep_shortcut(struct native_unwinder *unwinder, const struct native_shortcut *shortcut, uint32_t node)
{
    if (unlikely(unwinder->imprint_is_missed))
        native_imprint_make_from_shortcut(unwinder, shortcut, node);
    return node;
}

#endif
