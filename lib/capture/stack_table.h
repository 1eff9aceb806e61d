/* Stacks as nodes: (caller's node, frame) -> node id, each pair once for the whole process.
 *
 * Lookup is lock-free; insertion takes the definition lock and writes the node's definition before anybody can see its id.
 * The table grows by publishing a larger copy; old ones stay readable for lookups under way. Ids survive a fork.
 * Any thread, with busy set; memory straight from the kernel; keeps errno. */
#ifndef HEAPLINE_CAPTURE_STACK_TABLE_H
#define HEAPLINE_CAPTURE_STACK_TABLE_H

#include <stdint.h>

/* A Python frame: code id and the offset that its line table wants. 0 where the node can't be defined (no memory, definitions lost). */
uint32_t stack_table_python(uint32_t parent_id, uint32_t code_id, int32_t instruction);

/* A native frame: return address, and the module that holds it (0: none). */
uint32_t stack_table_native(uint32_t parent_id, uint32_t module_id, uint64_t address);

/* The root of stacks whose outer frames are unknown. */
uint32_t stack_table_cut(void);

/* Nodes defined so far: the highest id. */
uint32_t stack_table_count(void);

#endif
