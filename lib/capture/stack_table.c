/* Consumes frames, produces node ids and DEFINE_NODE records.
 *
 * Nodes lie in one array by id, whose addresses are reserved at the start and whose pages come as they are touched: it is copied only by a
 * program of millions of stacks. An open-addressing index holds ids by (parent, identity), each with some bits of its hash, so that other nodes,
 * which lie anywhere, needn't be looked at. A node is written before its id is put into the
 * index (release), so that a reader which sees an id (acquire) sees the whole node. Of a node only the prediction changes; the key before
 * the tag (release), so that who sees the tag (acquire) sees its key. */
#include "stack_table.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "definitions.h"
#include "pages.h"
#include "recorder.h"

#define FIRST_CAPACITY (2u << 20) /* of nodes: 64 MB of addresses */
#define LEAST_CAPACITY 4096u      /* where addresses are limited */
#define ID_BITS 23
#define MAX_NODES (1u << ID_BITS) /* 256 MB: whatever a program does, and another 64 MB to find them */
#define COMMIT_NODES 4096u        /* at a time: whole pages */
#define FIRST_SLOTS 4096u
#define NOBODY UINT32_MAX
/* Identities: code id above, instruction below; or this bit and an address, whose module is the tag's. */
#define NATIVE_IDENTITY (1ull << 63)
#define CUT_IDENTITY ((uint64_t)DEFINE_NODE_CUT << 32)
#define NATIVE_TAG 0x80000000u /* the sign: see stack_node_has_key */
#define GRAFTED_TAG 0xffffffffu /* of Python frames that are found by the key of a stack with native frames */

struct stack_index {
    uint32_t slot_count; /* a power of two */
    _Atomic uint32_t slots[]; /* index_entry; 0: free */
};

static struct stack_node no_nodes[1] = {{.parent = NOBODY}};
struct stack_node *_Atomic stack_nodes = no_nodes;

TLS_FAST uint32_t stack_root;

static struct stack_index no_index = {.slot_count = 1, .slots = {0}};
static struct stack_index *_Atomic current_index = &no_index;

/* Under the definition lock. */
static uint32_t node_count, node_capacity = 1, nodes_committed = 1;

static uint64_t hash_of(uint32_t parent, uint64_t identity)
{
    /* Multipliers of Fibonacci hashing and of splitmix64 (Steele, Lea, Flood 2014). */
    uint64_t x = parent * 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 29) ^ identity) * 0xBF58476D1CE4E5B9ull;
    return x ^ (x >> 32);
}

static uint32_t index_entry(uint64_t hash, uint32_t id)
{
    return (uint32_t)(hash >> (32 + ID_BITS)) << ID_BITS | id;
}

static int is_native(uint32_t tag)
{
    return (tag & NATIVE_TAG) != 0;
}

/* Where a node is, or would go. */
struct index_place {
    _Atomic uint32_t *slot;
    uint64_t hash;
    uint32_t node; /* 0: not there */
};

/* The nodes are looked at after the id is known: they are no older than it. */
static struct index_place find(struct stack_index *index, uint32_t parent, uint64_t identity, uint32_t tag)
{
    uint64_t hash = hash_of(parent, identity);
    uint32_t alike = index_entry(hash, 0);
    for (uint64_t at = hash;; at++) {
        _Atomic uint32_t *slot = &index->slots[at & (index->slot_count - 1)];
        uint32_t entry = atomic_load_explicit(slot, memory_order_acquire), id = entry ^ alike;
        if (!entry)
            return (struct index_place){slot, hash, 0};
        if (id >> ID_BITS)
            continue;
        const struct stack_node *node = &atomic_load_explicit(&stack_nodes, memory_order_acquire)[id];
        if (node->identity == identity && node->parent == parent &&
            (!is_native(tag) || atomic_load_explicit(&node->tag, memory_order_relaxed) == tag))
            return (struct index_place){slot, hash, id};
    }
}

/* Gives the whole pages of a range back and keeps the addresses: who still reads there finds nothing. */
static void forget(void *from, void *to)
{
    uintptr_t first = ((uintptr_t)from + 4095) & ~4095ul, end = (uintptr_t)to & ~4095ul;
    if (end > first)
        syscall(SYS_madvise, first, end - first, MADV_DONTNEED);
}

/* Where addresses are limited they are the target's. */
static uint32_t first_capacity(void)
{
    struct rlimit limit;
    int is_limited = syscall(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY;
    return is_limited ? LEAST_CAPACITY : FIRST_CAPACITY;
}

static int commit_nodes(struct stack_node *nodes, uint32_t from, uint32_t count)
{
    if (!pages_commit(nodes + from, count * sizeof *nodes))
        return 0;
    nodes_committed = from + count;
    return 1;
}

static int is_full(void)
{
    return definitions_are_closed() || node_count + 1 >= MAX_NODES;
}

/* Room for one more node. 0: no memory, or there are to be no more. Under the lock. */
static int make_room_for_node(void)
{
    if (is_full())
        return 0;
    if (node_count + 1 < nodes_committed)
        return 1;
    struct stack_node *old = atomic_load_explicit(&stack_nodes, memory_order_relaxed);
    if (nodes_committed < node_capacity)
        return commit_nodes(old, nodes_committed, COMMIT_NODES);
    uint32_t capacity = old == no_nodes ? first_capacity() : node_capacity * 2;
    struct stack_node *nodes = capacity ? pages_reserve(capacity * sizeof *nodes) : NULL;
    if (!nodes)
        return 0;
    if (!commit_nodes(nodes, 0, ((node_count + 1) / COMMIT_NODES + 1) * COMMIT_NODES)) {
        pages_unmap(nodes, capacity * sizeof *nodes);
        return 0;
    }
    memcpy(nodes, old, (node_count + 1ul) * sizeof *nodes);
    atomic_store_explicit(&stack_nodes, nodes, memory_order_release);
    if (old != no_nodes)
        forget(old + 1, old + node_capacity);
    node_capacity = capacity;
    return 1;
}

static size_t index_bytes(uint32_t slot_count)
{
    return sizeof(struct stack_index) + slot_count * sizeof(uint32_t);
}

/* An index with room for one more id, at most three quarters full, or NULL. Under the lock. */
static struct stack_index *index_with_room(void)
{
    struct stack_index *index = atomic_load_explicit(&current_index, memory_order_relaxed);
    if (node_count < index->slot_count / 4 * 3)
        return index;
    uint32_t slot_count = index == &no_index ? FIRST_SLOTS : index->slot_count * 2;
    struct stack_index *grown = slot_count ? pages_map(index_bytes(slot_count)) : NULL;
    if (!grown)
        return NULL;
    const struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_relaxed);
    grown->slot_count = slot_count;
    for (uint32_t id = 1; id <= node_count; id++) {
        struct index_place place = find(grown, nodes[id].parent, nodes[id].identity, nodes[id].tag);
        atomic_store_explicit(place.slot, index_entry(place.hash, id), memory_order_relaxed);
    }
    atomic_store_explicit(&current_index, grown, memory_order_release);
    if (index != &no_index)
        forget(index->slots, (char *)index + index_bytes(index->slot_count));
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
    int is_locked = definitions_lock();
    struct stack_index *index = is_locked && make_room_for_node() ? index_with_room() : NULL;
    struct index_place place = index ? find(index, parent, identity, tag) : (struct index_place){0};
    uint32_t node = place.node;
    if (place.slot && !node && define(node_count + 1, parent, identity, tag)) {
        struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_relaxed);
        node = ++node_count;
        nodes[node].identity = identity;
        nodes[node].parent = parent;
        nodes[node].key = key;
        atomic_store_explicit(&nodes[node].tag, tag, memory_order_release);
        atomic_store_explicit(place.slot, index_entry(place.hash, node), memory_order_release);
    }
    if (is_locked)
        definitions_unlock();
    if (!node)
        atomic_fetch_add_explicit(is_full() ? &recorder_session->lost_definitions : &recorder_session->unsafe_stacks, 1, memory_order_relaxed);
    return node;
}

static uint32_t intern(uint32_t parent, uint64_t identity, uint64_t key, uint32_t tag)
{
    uint32_t node = find(atomic_load_explicit(&current_index, memory_order_acquire), parent, identity, tag).node;
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

uint32_t stack_table_native(uint32_t parent_id, uint32_t module_id, uint64_t address, uint64_t key)
{
    uint32_t node = intern(parent_id, NATIVE_IDENTITY | address, key, stack_tag_of_module(module_id));
    if (node && key)
        atomic_load_explicit(&stack_nodes, memory_order_acquire)[node].key = key;
    return node;
}

uint32_t stack_table_graft(uint32_t parent_id, uint32_t node_id, uint64_t key)
{
    uint32_t node = intern(parent_id, atomic_load_explicit(&stack_nodes, memory_order_acquire)[node_id].identity, 0, 0);
    /* Without a parent it may be the very node, whose key is a frame's. */
    if (node && key && parent_id) {
        struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_acquire);
        nodes[node].key = key;
        atomic_store_explicit(&nodes[node].tag, GRAFTED_TAG, memory_order_release);
    }
    return node;
}

uint32_t stack_table_cut(uint32_t root_id)
{
    return intern(root_id, CUT_IDENTITY, 0, 0);
}

uint32_t stack_table_count(void)
{
    return __atomic_load_n(&node_count, __ATOMIC_RELAXED);
}
