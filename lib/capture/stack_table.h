/* Stacks as nodes: (caller's node, frame) -> node id, each pair once for the whole process.
 *
 * Two ways to a node. The sure one hashes (stack_table_python, stack_table_native); its insertions take the definition lock and write the
 * node's definition before anybody can see its id. The quick one predicts: programs call the same things in the same order, so each node
 * remembers which of its siblings was asked for after it, and each caller which callee it was asked for last. As ids are given in the order
 * of calls, a prediction that holds reads memory that was read a moment ago or lies next to it; a hash reads a cache line from anywhere.
 *
 * A predicted node is checked by its key, what the frame looks like in memory, and by the tag that says in which code epoch the key was good.
 * The table grows by publishing a larger copy; old ones read as empty from then on, which only sends their readers the sure way.
 * Ids survive a fork. Any thread, with busy set; memory straight from the kernel; keeps errno. */
#ifndef HEAPLINE_CAPTURE_STACK_TABLE_H
#define HEAPLINE_CAPTURE_STACK_TABLE_H

#include <stdatomic.h>
#include <stdint.h>

#include "compiler.h"

struct stack_node {
    uint64_t identity; /* what the frame is (stack_table.c); never changes */
    uint64_t key;      /* what it looked like when it was last resolved, in the epoch of the tag; of native frames a hash of the stack */
    _Atomic uint32_t tag;
    uint32_t parent;
    _Atomic uint32_t next;  /* asked for after this one: of the same parent, after native frames any */
    _Atomic uint32_t child; /* asked for last, of those that have this one for their parent */
};

/* By node id. Entry 0, the empty stack, is nobody's child; it is there from the start. */
INTERNAL struct stack_node *_Atomic stack_nodes;

/* What the calling thread's stacks begin with: the node of its tag (tags.h), or the empty stack. */
INTERNAL TLS_FAST uint32_t stack_root;

/* The tag of Python keys in this code epoch. */
HOT_INLINE uint32_t stack_tag_of_epoch(uint64_t code_epoch)
{
    return 0x40000000u | (uint32_t)(code_epoch & 0x3fffffff);
}

/* The tag of addresses in this module, which don't change. */
HOT_INLINE uint32_t stack_tag_of_module(uint32_t module_id)
{
    return 0x80000000u | module_id;
}

HOT_INLINE int stack_node_is(const struct stack_node *node, uint32_t parent, uint64_t key, uint32_t tag)
{
    return atomic_load_explicit(&node->tag, memory_order_acquire) == tag && node->key == key && node->parent == parent;
}

/* The sibling asked for last: `hint`, any node, when it is one, else what the parent remembers. */
HOT_INLINE uint32_t stack_node_before(const struct stack_node *nodes, uint32_t parent, uint32_t hint)
{
    return nodes[hint].parent == parent ? hint : atomic_load_explicit(&nodes[parent].child, memory_order_acquire);
}

/* The node of this key below `parent`, if it is what was expected; 0: not known this way. */
HOT_INLINE uint32_t stack_table_predict(uint32_t parent, uint32_t hint, uint64_t key, uint32_t tag)
{
    const struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_acquire);
    uint32_t before = stack_node_before(nodes, parent, hint);
    uint32_t expected = atomic_load_explicit(&nodes[before].next, memory_order_acquire);
    if (likely(stack_node_is(&nodes[expected], parent, key, tag)))
        return expected;
    return stack_node_is(&nodes[before], parent, key, tag) ? before : 0;
}

/* A Python frame: code id and the offset that its line table wants. 0 where the node can't be defined (no memory, definitions lost). */
uint32_t stack_table_python(uint32_t parent_id, uint32_t code_id, int32_t instruction);

/* So that the next prediction with this key finds the node that the sure way has found. */
void stack_table_remember(uint32_t node_id, uint32_t parent_id, uint32_t hint, uint64_t key, uint32_t tag);

/* A native frame: return address, and the module that holds it (0: none). `key`, a hash of the whole stack, or 0: what to find it by. */
uint32_t stack_table_native(uint32_t parent_id, uint32_t module_id, uint64_t address, uint64_t key);

/* The frame of this node, called from another parent, where Python frames stand among native ones; `key` as above. */
uint32_t stack_table_graft(uint32_t parent_id, uint32_t node_id, uint64_t key);

/* Is this the stack with native frames of this key? */
HOT_INLINE int stack_node_has_key(const struct stack_node *node, uint64_t key)
{
    return node->key == key && (int32_t)atomic_load_explicit(&node->tag, memory_order_acquire) < 0;
}

/* On top of this root, the place of outer frames that are unknown. */
uint32_t stack_table_cut(uint32_t root_id);

/* Nodes defined so far: the highest id. */
uint32_t stack_table_count(void);

#endif
