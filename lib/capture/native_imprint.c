/* See native_imprint.h. */
#include "native_imprint.h"

#include <stdatomic.h>

#define MAKING_COSTS 8        /* in stacks that weren't found */
#define REST_STACKS 32768
#define TRUST_AFTER_REST 1024

COLD void native_imprint_rest(struct native_unwinder *unwinder)
{
    unwinder->imprint_is_missed = 0;
    unwinder->imprint_rest = REST_STACKS;
    unwinder->imprint_trust = TRUST_AFTER_REST;
}

/* ---- where ---- */

/* Two stacks meet at this imprint: from now on, the innermost word that tells them apart leads on from there. */
static void learn_fork(struct native_unwinder *unwinder, const struct native_imprint *imprint, const struct native_place *place)
{
    int word = 0, count = imprint->four_count * 4;
    while (word < count && !native_imprint_difference(&imprint->fours[word / 4], word % 4, place->stack))
        word++;
    unsigned at = native_imprint_first(place);
    for (int i = 0; i < NATIVE_IMPRINT_FORKS && word < count; i++) {
        if (!unwinder->forks[at]) {
            unwinder->forks[at] = imprint->fours[word / 4].offsets[word % 4];
            return;
        }
        at = native_imprint_next(unwinder, place, at);
    }
}

/* The one to be replaced. NULL: it has been of use since the last time. */
static struct native_imprint *victim_of(struct native_unwinder *unwinder, const struct native_place *place)
{
    uint64_t key = native_imprint_key(unwinder);
    struct native_imprint *imprint = &unwinder->imprints[native_imprint_at(unwinder, place)];
    if (native_imprint_begins_at(imprint, place, key)) {
        learn_fork(unwinder, imprint, place);
        imprint = &unwinder->imprints[native_imprint_at(unwinder, place)];
    }
    int is_of_use = imprint->was_taken && imprint->key == key;
    imprint->was_taken = 0;
    return is_of_use ? NULL : imprint;
}

/* ---- making them ---- */

/* An imprint in the making. */
struct press {
    struct native_imprint *imprint;
    uint64_t stack, high; /* between them are all its words */
    int count;            /* -1: they don't fit */
};

static void add_word(struct press *press, uint64_t address, uint64_t value)
{
    int at = press->count;
    if (at < 0 || at == 4 * NATIVE_IMPRINT_FOURS || address < press->stack || address + 8 > press->high || address - press->stack > UINT32_MAX) {
        press->count = -1;
        return;
    }
    press->imprint->fours[at / 4].offsets[at % 4] = (uint32_t)(address - press->stack);
    press->imprint->fours[at / 4].values[at % 4] = value;
    press->count++;
}

static void add_spot(struct press *press, const struct native_spot *spot)
{
    add_word(press, spot->stack - 8, spot->address);
}

/* What leads from this level to the end. */
static void add_levels(const struct native_unwinder *unwinder, struct press *press, int level)
{
    for (int at = level - 1; at >= 0; at--)
        add_spot(press, &unwinder->spots[at]);
    for (uint32_t cell = 0; cell < native_cell_count(&unwinder->levels[level]); cell++)
        add_word(press, unwinder->cells[cell].address, unwinder->cells[cell].value);
}

/* Where one may be made, it isn't there from now on. */
static struct press begin(struct native_unwinder *unwinder, const struct native_place *place, uint32_t node)
{
    struct press press = {.stack = place->stack, .high = unwinder->stack.high};
    int has_python = unwinder->segments->version != 0; /* the stack that was missed was an earlier one, and was captured otherwise */
    unwinder->imprint_is_missed = 0;
    if (has_python || !node)
        return press;
    if (unwinder->imprint_trust > NATIVE_IMPRINT_TRUST)
        unwinder->imprint_trust = NATIVE_IMPRINT_TRUST;
    unwinder->imprint_trust -= MAKING_COSTS;
    press.imprint = victim_of(unwinder, place);
    /* A handler that jumps away must leave none that isn't whole. */
    if (press.imprint)
        press.imprint->place.stack = 0;
    atomic_signal_fence(memory_order_seq_cst);
    return press;
}

static void end(const struct native_unwinder *unwinder, struct press *press, const struct native_place *place, int needs_frame_pointer, uint32_t node)
{
    if (press->count <= 0)
        return;
    /* Up to a multiple of four, the last word again. */
    const struct native_imprint_four *four = &press->imprint->fours[(press->count - 1) / 4];
    uint64_t address = press->stack + four->offsets[(press->count - 1) % 4], value = four->values[(press->count - 1) % 4];
    while (press->count % 4)
        add_word(press, address, value);
    press->imprint->four_count = (uint8_t)(press->count / 4);
    press->imprint->needs_frame_pointer = (uint8_t)needs_frame_pointer;
    press->imprint->was_taken = 0;
    press->imprint->key = native_imprint_key(unwinder);
    press->imprint->node = node;
    press->imprint->place.address = place->address;
    press->imprint->place.frame_pointer = place->frame_pointer;
    atomic_signal_fence(memory_order_seq_cst);
    press->imprint->place.stack = place->stack;
}

void native_imprint_make(struct native_unwinder *unwinder, const struct native_place *place, int level, uint32_t node)
{
    /* Over signal frames there is more to compare than words. */
    struct press press = begin(unwinder, place, node);
    if (!press.imprint || !unwinder->meetable)
        return;
    add_levels(unwinder, &press, level);
    end(unwinder, &press, place, native_needs_frame_pointer(&unwinder->levels[level]), node);
}

void native_imprint_make_from_shortcut(struct native_unwinder *unwinder, const struct native_shortcut *shortcut, uint32_t node)
{
    struct press press = begin(unwinder, &shortcut->place, node);
    if (!press.imprint)
        return;
    for (int at = shortcut->frame_count - 1; at > 0; at--)
        add_spot(&press, &shortcut->spots[at]);
    add_spot(&press, &unwinder->spots[shortcut->outer_at]);
    add_levels(unwinder, &press, shortcut->outer_at);
    for (int cell = shortcut->frame_count; cell < shortcut->spot_count; cell++)
        add_spot(&press, &shortcut->spots[cell]);
    end(unwinder, &press, &shortcut->place, shortcut->needs_frame_pointer, node);
}
