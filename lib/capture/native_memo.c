/* See native_memo.h. The table is direct-mapped: a new stack takes the place of an old one. Its entries need no care, as keys tell. */
#include "native_memo.h"

#define TABLE_BITS 16

static _Atomic uint32_t table[1 << TABLE_BITS];

static void note_next(uint32_t *last_node, uint32_t node)
{
    struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_acquire);
    atomic_store_explicit(&nodes[*last_node].next, node, memory_order_relaxed);
    *last_node = node;
}

uint32_t native_memo_look_up(uint32_t *last_node, uint64_t hash)
{
    const struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_acquire);
    uint32_t node = atomic_load_explicit(&table[hash >> (64 - TABLE_BITS)], memory_order_acquire);
    if (!stack_node_has_key(&nodes[node], hash))
        return 0;
    note_next(last_node, node);
    return node;
}

uint32_t native_memo_keep(uint32_t *last_node, uint64_t hash, uint32_t node)
{
    atomic_store_explicit(&table[hash >> (64 - TABLE_BITS)], node, memory_order_release);
    note_next(last_node, node);
    return node;
}
