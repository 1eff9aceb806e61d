/* Consumes return addresses, produces node ids. */
#include "native_stack.h"

#include <string.h>

#include "module_table.h"
#include "pages.h"
#include "stack_table.h"

#define SLOT_BITS 8

struct native_walk {
    uint32_t module_epoch; /* the slots are valid for */
    struct {
        uint64_t address;
        uint32_t node;
    } slots[1 << SLOT_BITS];
};

static uint32_t resolve(uint64_t address)
{
    return stack_table_native(stack_root, module_table_find(address), address, 0);
}

void native_stack_forget(struct native_walk *walk)
{
    memset(walk->slots, 0, sizeof walk->slots);
}

/* The walk, ready for this epoch; NULL: no memory. */
static struct native_walk *walk_of(struct thread_state *thread)
{
    struct native_walk *walk = thread->native;
    if (unlikely(!walk))
        walk = thread->native = pages_map(sizeof *walk);
    uint32_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_acquire);
    if (likely(walk && walk->module_epoch == epoch))
        return walk;
    if (walk) {
        memset(walk->slots, 0, sizeof walk->slots);
        walk->module_epoch = epoch;
    }
    return walk;
}

uint32_t native_stack_of_caller(struct thread_state *thread, const void *return_address)
{
    uint64_t address = (uintptr_t)return_address;
    struct native_walk *walk = walk_of(thread);
    if (unlikely(!walk))
        return resolve(address);
    unsigned at = (unsigned)(address * 0x9E3779B97F4A7C15ull >> (64 - SLOT_BITS));
    if (unlikely(walk->slots[at].address != address || !walk->slots[at].node)) {
        walk->slots[at].address = address;
        walk->slots[at].node = resolve(address);
    }
    return walk->slots[at].node;
}
