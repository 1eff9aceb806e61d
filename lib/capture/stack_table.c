/* Consumes frames, produces node ids and DEFINE_NODE records.
 *
 * One mapping holds the nodes by id, and behind them an open-addressing index of ids by (parent, identity). A node is written before its
 * id is put into the index (release), so that a reader which sees an id (acquire) sees the whole node. Of a node only the prediction
 * changes; the key before the tag (release), so that who sees the tag (acquire) sees its key. */
#include "stack_table.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "definitions.h"
#include "pages.h"
#include "recorder.h"

#define FIRST_CAPACITY 4096u
#define NOBODY UINT32_MAX
/* Identities: code id above, instruction below; or this bit and an address, whose module is the tag's. */
#define NATIVE_IDENTITY (1ull << 63)
#define CUT_IDENTITY ((uint64_t)DEFINE_NODE_CUT << 32)
#define NATIVE_TAG 0x80000000u

struct stack_table {
    uint32_t capacity; /* of nodes; twice as many slots */
    _Atomic uint32_t *slots;
    struct stack_node nodes[];
};

static _Atomic uint32_t no_slots[2];
static struct stack_table no_table = {.capacity = 1, .slots = no_slots, .nodes = {{.parent = NOBODY}}};

/* The only way to the current table: who has seen an id in it never sees an older one. */
struct stack_node *_Atomic stack_nodes = no_table.nodes;
static uint32_t node_count; /* under the definition lock */

static struct stack_table *current_table(void)
{
    struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_acquire);
    return (struct stack_table *)((char *)nodes - offsetof(struct stack_table, nodes));
}

static uint64_t hash_of(uint32_t parent, uint64_t identity)
{
    /* Multipliers of Fibonacci hashing and of splitmix64 (Steele, Lea, Flood 2014). */
    uint64_t x = parent * 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 29) ^ identity) * 0xBF58476D1CE4E5B9ull;
    return x ^ (x >> 32);
}

static int is_native(uint32_t tag)
{
    return (tag & NATIVE_TAG) != 0;
}

/* The slot of this node, or the empty one where it belongs. */
static _Atomic uint32_t *find(struct stack_table *table, uint32_t parent, uint64_t identity, uint32_t tag, uint32_t *ret_node)
{
    for (uint64_t at = hash_of(parent, identity);; at++) {
        _Atomic uint32_t *slot = &table->slots[at & (table->capacity * 2ull - 1)];
        uint32_t id = atomic_load_explicit(slot, memory_order_acquire);
        const struct stack_node *node = &table->nodes[id];
        *ret_node = id;
        if (!id || (node->identity == identity && node->parent == parent &&
                    (!is_native(tag) || atomic_load_explicit(&node->tag, memory_order_relaxed) == tag)))
            return slot;
    }
}

static size_t table_bytes(uint32_t capacity)
{
    return sizeof(struct stack_table) + capacity * (sizeof(struct stack_node) + 2 * sizeof(uint32_t));
}

static struct stack_table *table_make(uint32_t capacity)
{
    struct stack_table *table = pages_map(table_bytes(capacity));
    if (!table)
        return NULL;
    table->capacity = capacity;
    table->slots = (_Atomic uint32_t *)(table->nodes + capacity);
    table->nodes[0].parent = NOBODY;
    return table;
}

static void copy_nodes(struct stack_table *to, const struct stack_table *from)
{
    memcpy(to->nodes, from->nodes, (node_count + 1ul) * sizeof to->nodes[0]);
    for (uint32_t id = 1, none; id <= node_count; id++) {
        const struct stack_node *node = &to->nodes[id];
        atomic_store_explicit(find(to, node->parent, node->identity, node->tag, &none), id, memory_order_relaxed);
    }
}

/* Gives the pages of a table back and keeps the addresses: who still reads there finds nothing. */
static void forget(struct stack_table *table)
{
    uintptr_t first = ((uintptr_t)table->nodes + 4095) & ~4095ul, end = ((uintptr_t)table + table_bytes(table->capacity)) & ~4095ul;
    if (end > first)
        syscall(SYS_madvise, first, end - first, MADV_DONTNEED);
}

/* A table with room for one more node, or NULL. Under the lock. */
static struct stack_table *table_with_room(void)
{
    struct stack_table *table = current_table();
    if (node_count + 1 < table->capacity)
        return table;
    uint32_t capacity = table == &no_table ? FIRST_CAPACITY : table->capacity * 2;
    struct stack_table *grown = capacity ? table_make(capacity) : NULL;
    if (!grown)
        return NULL;
    copy_nodes(grown, table);
    atomic_store_explicit(&stack_nodes, grown->nodes, memory_order_release);
    if (table != &no_table)
        forget(table);
    return grown;
}

static int define(uint32_t node_id, uint32_t parent, uint64_t identity, uint32_t tag)
{
    struct define_node node = {.node_id = node_id, .parent_id = parent};
    if (is_native(tag)) {
        node.address = identity & ~NATIVE_IDENTITY;
        node.module_id = tag & ~NATIVE_TAG;
    } else {
        node.code_id = (uint32_t)(identity >> 32);
        node.instruction = (int32_t)identity;
    }
    return definitions_append(DEFINE_NODE, &node, sizeof node, NULL, 0, NULL, 0);
}

COLD static uint32_t insert(uint32_t parent, uint64_t identity, uint64_t key, uint32_t tag)
{
    uint32_t node = 0;
    definitions_lock();
    struct stack_table *table = table_with_room();
    _Atomic uint32_t *slot = table ? find(table, parent, identity, tag, &node) : NULL;
    if (slot && !node && define(node_count + 1, parent, identity, tag)) {
        node = ++node_count;
        table->nodes[node].identity = identity;
        table->nodes[node].parent = parent;
        table->nodes[node].key = key;
        atomic_store_explicit(&table->nodes[node].tag, tag, memory_order_release);
        atomic_store_explicit(slot, node, memory_order_release);
    }
    definitions_unlock();
    if (!node)
        atomic_fetch_add_explicit(&recorder_session->unsafe_stacks, 1, memory_order_relaxed);
    return node;
}

static uint32_t intern(uint32_t parent, uint64_t identity, uint64_t key, uint32_t tag)
{
    uint32_t node = 0;
    find(current_table(), parent, identity, tag, &node);
    return likely(node) ? node : insert(parent, identity, key, tag);
}

/* A new node has no tag yet: its first key is remembered when it has been found. */
uint32_t stack_table_python(uint32_t parent_id, uint32_t code_id, int32_t instruction)
{
    return intern(parent_id, (uint64_t)code_id << 32 | (uint32_t)instruction, 0, 0);
}

static void link_prediction(struct stack_node *nodes, uint32_t node_id, uint32_t parent_id, uint32_t hint)
{
    uint32_t before = stack_node_before(nodes, parent_id, hint);
    if (before)
        atomic_store_explicit(&nodes[before].next, node_id, memory_order_release);
    atomic_store_explicit(&nodes[parent_id].child, node_id, memory_order_release);
}

void stack_table_remember(uint32_t node_id, uint32_t parent_id, uint32_t hint, uint64_t key, uint32_t tag)
{
    struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_acquire);
    nodes[node_id].key = key;
    atomic_store_explicit(&nodes[node_id].tag, tag, memory_order_release);
    link_prediction(nodes, node_id, parent_id, hint);
}

uint32_t stack_table_native(uint32_t parent_id, uint32_t module_id, uint64_t address)
{
    uint32_t tag = NATIVE_TAG | module_id, node = stack_table_predict(parent_id, 0, address, tag);
    if (likely(node))
        return node;
    node = intern(parent_id, NATIVE_IDENTITY | address, address, tag);
    if (node)
        link_prediction(atomic_load_explicit(&stack_nodes, memory_order_acquire), node, parent_id, 0);
    return node;
}

uint32_t stack_table_cut(void)
{
    return intern(0, CUT_IDENTITY, 0, 0);
}

uint32_t stack_table_count(void)
{
    return __atomic_load_n(&node_count, __ATOMIC_RELAXED);
}
