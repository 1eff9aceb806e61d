/* Stacks by hash: which node a native stack is, without asking frame by frame. What the stack table knows for sure, this keeps at hand.
 *
 * A hash says all return addresses of a stack, what they are on top of and the module epoch; the stack's node has it for its key. It has 64
 * bits: that any two of a million stacks have the same one happens once in 37 million runs.
 * Programs make the same stacks in the same order: each node remembers which one was asked for after it. As ids are given in the order of first
 * calls, such a guess reads memory next to what was read a moment ago; the table that is asked when it was wrong reads a line from anywhere.
 * Any thread, without a lock; keeps errno. */
#ifndef HEAPLINE_CAPTURE_NATIVE_MEMO_H
#define HEAPLINE_CAPTURE_NATIVE_MEMO_H

#include <stdatomic.h>
#include <stdint.h>

#include "compiler.h"
#include "python_stack.h"
#include "stack_table.h"

/* Of a stack that has one more frame. A bijection of either argument: only chance makes two stacks equal. Multiplier: Steele, Lea, Flood 2014. */
HOT_INLINE uint64_t native_memo_hash(uint64_t hash, uint64_t address)
{
    hash = (hash ^ address) * 0xBF58476D1CE4E5B9ull;
    return hash ^ hash >> 32;
}

/* Of a stack that has these Python frames more. Node ids are no addresses. */
HOT_INLINE uint64_t native_segment_hash(uint64_t hash, const struct python_segment *segment)
{
    return segment->node ? native_memo_hash(hash, (uint64_t)1 << 63 | segment->node) : hash;
}

/* The same, where the guess was wrong. */
uint32_t native_memo_look_up(uint32_t *last_node, uint64_t hash);

/* 0: not known. *last_node: what this thread asked for before, and now. */
HOT_INLINE uint32_t native_memo_find(uint32_t *last_node, uint64_t hash)
{
    const struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_acquire);
    uint32_t expected = atomic_load_explicit(&nodes[*last_node].next, memory_order_relaxed);
    if (unlikely(!stack_node_has_key(&nodes[expected], hash)))
        return native_memo_look_up(last_node, hash);
    *last_node = expected;
    return expected;
}

/* Returns the node. */
uint32_t native_memo_keep(uint32_t *last_node, uint64_t hash, uint32_t node);

#endif
