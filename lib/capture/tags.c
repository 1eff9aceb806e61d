/* See tags.h. Names are kept in a table of fixed slots under the definition lock: whoever asks for a tag often keeps its node. */
#include "tags.h"

#include <errno.h>
#include <string.h>

#include "code_table.h"
#include "definitions.h"
#include "native_stack.h"
#include "native_unwinder.h"
#include "pages.h"
#include "python_walk.h"
#include "recorder.h"
#include "stack_table.h"
#include "tag_file.h"

#define SLOTS (2 * TAGS_MAX) /* a power of two */

struct tag_name {
    uint32_t hash;
    uint32_t code_id; /* 0: a free slot */
    uint32_t bytes;
    char text[TAGS_NAME_BYTES];
};

static struct tag_name *names;
static uint32_t name_count;

/* FNV-1a: Fowler, Noll, Vo. */
static uint32_t hash_of(const char *text, uint32_t bytes)
{
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    return hash;
}

/* Cut between two characters. */
static uint32_t cut_bytes(const char *name, uint32_t bytes)
{
    if (bytes <= TAGS_NAME_BYTES)
        return bytes;
    bytes = TAGS_NAME_BYTES;
    while (bytes && ((uint8_t)name[bytes] & 0xc0) == 0x80)
        bytes--;
    return bytes;
}

static struct tag_name *find_slot(const char *name, uint32_t bytes, uint32_t hash)
{
    for (uint32_t at = hash;; at++) {
        struct tag_name *slot = &names[at & (SLOTS - 1)];
        if (!slot->code_id || (slot->hash == hash && slot->bytes == bytes && !memcmp(slot->text, name, bytes)))
            return slot;
    }
}

/* Under the definition lock. 0: no memory, or definitions are lost. */
static uint32_t code_of(const char *name, uint32_t bytes, uint32_t max_count)
{
    if (!names && !(names = pages_map(SLOTS * sizeof *names)))
        return 0;
    uint32_t hash = hash_of(name, bytes);
    struct tag_name *slot = find_slot(name, bytes, hash);
    if (slot->code_id)
        return slot->code_id;
    if (name_count >= max_count)
        return code_of(TAGS_OTHER, sizeof TAGS_OTHER - 1, TAGS_MAX + 1);
    uint32_t code_id = code_table_name(TAG_FILE, name, bytes);
    if (!code_id)
        return 0;
    name_count++;
    memcpy(slot->text, name, bytes);
    slot->bytes = bytes;
    slot->hash = hash;
    slot->code_id = code_id;
    return code_id;
}

static uint32_t depth_of(const struct stack_node *nodes, uint32_t node)
{
    uint32_t depth = 0;
    for (; node; node = nodes[node].parent)
        depth++;
    return depth;
}

static uint32_t find_inside(uint32_t outer, const char *name, uint32_t name_bytes)
{
    if (!definitions_lock())
        return outer;
    uint32_t code_id = code_of(name, cut_bytes(name, name_bytes), TAGS_MAX);
    definitions_unlock();
    const struct stack_node *nodes = atomic_load_explicit(&stack_nodes, memory_order_acquire);
    if (!code_id || nodes[outer].identity == (uint64_t)code_id << 32 || depth_of(nodes, outer) >= TAGS_MAX_DEPTH)
        return outer;
    uint32_t node = stack_table_python(outer, code_id, 0);
    return node ? node : outer;
}

uint32_t tags_find(uint32_t outer, const char *name, uint32_t name_bytes)
{
    struct thread_state *thread = current_thread;
    uintptr_t busy = thread->busy;
    int saved_errno = errno;
    if (!recorder_session || !*recorder_mark || outer > stack_table_count() || busy >= THREAD_BUSY_FRAMES)
        return outer;
    if (busy == THREAD_READY)
        thread->busy = THREAD_INTERNAL;
    uint32_t node = find_inside(outer, name, name_bytes);
    if (busy == THREAD_READY)
        thread->busy = THREAD_READY;
    errno = saved_errno;
    return node;
}

void tags_forget_stacks(struct thread_state *thread)
{
    if (thread->python)
        python_walk_change_root(thread->python);
    if (thread->native)
        native_stack_forget(thread->native);
    if (thread->unwinder)
        native_unwinder_forget_nodes(thread->unwinder);
}

void tags_set(uint32_t node)
{
    struct thread_state *thread = current_thread;
    if (node == stack_root || thread->busy >= THREAD_BUSY_FRAMES || node > stack_table_count())
        return;
    stack_root = node;
    if (thread_is_registered(thread))
        tags_forget_stacks(thread);
}
