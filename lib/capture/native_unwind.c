/* See native_unwind.h. */
#include "native_unwind.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "cfi.h"
#include "module_table.h"
#include "pages.h"
#include "own_code.h"
#include "recorder.h"
#include "stack_table.h"

#define ROW_BITS 11
#define FIRST_CAPACITY 256u
/* No stack is larger; beyond it an address belongs to something else. */
#define STACK_MAX_BYTES (1ull << 32)

struct frame {
    uint64_t address; /* return address */
    uint32_t module_id;
    uint32_t node;    /* in the last stack: its id */
};

struct native_unwinder {
    uint32_t module_epoch; /* rows and the last stack are valid for it */
    uint32_t last_count, last_base;
    uint32_t capacity;
    struct frame *frames; /* this walk's, innermost first */
    struct frame *last;   /* the last stack's, outermost first */
    struct cfi_row rows[1 << ROW_BITS];
};

/* Where a walk has come to: code at `address`, its stack pointer, its frame pointer. */
struct place {
    uint64_t address, stack, frame_pointer;
};

struct walk {
    struct native_unwinder *unwinder;
    uint64_t low, high; /* the thread's own stack from here outward; equal: unknown */
    uint32_t count;
    int is_cut;
};

extern void *__libc_stack_end __attribute__((weak)); /* of the dynamic linker: where the main thread's stack began */

/* ---- what a thread keeps ---- */

static void forget(struct native_unwinder *unwinder, uint32_t epoch)
{
    memset(unwinder->rows, 0, sizeof unwinder->rows);
    unwinder->last_count = 0;
    unwinder->module_epoch = epoch;
}

static struct native_unwinder *unwinder_of(struct thread_state *thread)
{
    struct native_unwinder *unwinder = thread->unwinder;
    if (unlikely(!unwinder)) {
        unwinder = pages_map(sizeof *unwinder);
        if (!unwinder)
            return NULL;
        unwinder->frames = pages_map(FIRST_CAPACITY * sizeof *unwinder->frames);
        unwinder->last = pages_map(FIRST_CAPACITY * sizeof *unwinder->last);
        unwinder->capacity = unwinder->frames && unwinder->last ? FIRST_CAPACITY : 0;
        thread->unwinder = unwinder;
    }
    uint32_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_acquire);
    if (unlikely(unwinder->module_epoch != epoch))
        forget(unwinder, epoch);
    return unwinder;
}

COLD static int grow(struct native_unwinder *unwinder)
{
    size_t old_bytes = unwinder->capacity * sizeof(struct frame);
    if (!old_bytes || unwinder->capacity >= NATIVE_STACK_MAX_DEPTH)
        return 0;
    struct frame *frames = pages_remap(unwinder->frames, old_bytes, 2 * old_bytes);
    if (frames)
        unwinder->frames = frames;
    struct frame *last = pages_remap(unwinder->last, old_bytes, 2 * old_bytes);
    if (last)
        unwinder->last = last;
    if (!frames || !last)
        return 0;
    unwinder->capacity *= 2;
    return 1;
}

COLD static void fill_row(struct cfi_row *row, uint64_t address)
{
    cfi_find(address, row);
    row->module_id = module_table_find(address - 1);
}

HOT_INLINE const struct cfi_row *row_of(struct native_unwinder *unwinder, uint64_t address)
{
    struct cfi_row *row = &unwinder->rows[address * 0x9E3779B97F4A7C15ull >> (64 - ROW_BITS)];
    if (unlikely(row->address != address))
        fill_row(row, address);
    return row;
}

/* ---- reading the stack ---- */

static void find_own_stack(struct walk *walk, const struct thread_state *thread, uint64_t here)
{
    /* glibc puts a thread's descriptor, whose address is its pthread_t, at the top of its stack. */
    uint64_t ends[2] = {thread->pthread_id, &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0};
    int is_main = thread->kernel_id == recorder_session->pid;
    uint64_t end = ends[is_main];
    walk->low = walk->high = here;
    if (end > here && end - here < STACK_MAX_BYTES)
        walk->high = end;
}

COLD static int read_elsewhere(uint64_t address, uint64_t *ret_word)
{
    struct iovec to = {ret_word, sizeof *ret_word}, from = {(void *)(uintptr_t)address, sizeof *ret_word};
    return syscall(SYS_process_vm_readv, syscall(SYS_getpid), &to, 1, &from, 1, 0) == sizeof *ret_word;
}

HOT_INLINE int read_word(const struct walk *walk, uint64_t address, uint64_t *ret_word)
{
    if (unlikely(address & 7))
        return 0;
    if (unlikely(address - walk->low >= walk->high - walk->low))
        return read_elsewhere(address, ret_word);
    *ret_word = *(const uint64_t *)(uintptr_t)address;
    return 1;
}

/* ---- one step ---- */

enum step { STEP_TAKEN, STEP_OUTERMOST, STEP_FAILED };

#if defined(__x86_64__)
/* The kernel's frame: the handler's return address has been popped, the ucontext is next. */
COLD static enum step step_over_signal(const struct walk *walk, struct place *place)
{
    uint64_t registers = place->stack + offsetof(ucontext_t, uc_mcontext.gregs), address, stack, frame_pointer;
    if (!read_word(walk, registers + 8 * REG_RIP, &address) || !read_word(walk, registers + 8 * REG_RSP, &stack) ||
        !read_word(walk, registers + 8 * REG_RBP, &frame_pointer))
        return STEP_FAILED;
    /* The interrupted instruction itself, made to look like a return address. */
    *place = (struct place){address + 1, stack, frame_pointer};
    return STEP_TAKEN;
}
#else
static enum step step_over_signal(const struct walk *walk, struct place *place)
{
    return STEP_FAILED;
}
#endif

static int caller_cfa(const struct walk *walk, const struct cfi_row *row, const struct place *place, uint64_t *ret_cfa)
{
    switch (row->kind) {
    case CFI_FROM_STACK: *ret_cfa = place->stack + (int64_t)row->cfa_offset; return 1;
    case CFI_FROM_FRAME: *ret_cfa = place->frame_pointer + (int64_t)row->cfa_offset; return 1;
    case CFI_FROM_MEMORY: return read_word(walk, place->frame_pointer + (int64_t)row->cfa_offset, ret_cfa);
    case CFI_PLT: *ret_cfa = place->stack + 8 + ((place->address & 15) >= (uint64_t)row->cfa_offset ? 8 : 0); return 1;
    default: return 0;
    }
}

static int caller_frame_pointer(const struct walk *walk, const struct cfi_row *row, uint64_t cfa, uint64_t *frame_pointer)
{
    if (!row->frame_pointer_offset)
        return 1;
    if (row->frame_pointer_offset == CFI_FRAME_POINTER_AT_ITSELF)
        return read_word(walk, *frame_pointer, frame_pointer);
    return read_word(walk, cfa + (int64_t)row->frame_pointer_offset, frame_pointer);
}

static enum step step(const struct walk *walk, const struct cfi_row *row, struct place *place)
{
    uint64_t cfa, address;
    if (unlikely(row->kind == CFI_SIGNAL))
        return step_over_signal(walk, place);
    if (row->kind == CFI_OUTERMOST)
        return STEP_OUTERMOST;
    if (!caller_cfa(walk, row, place, &cfa) || cfa <= place->stack || !read_word(walk, cfa - 8, &address) ||
        !caller_frame_pointer(walk, row, cfa, &place->frame_pointer))
        return STEP_FAILED;
    if (!address)
        return STEP_OUTERMOST;
    place->stack = cfa;
    place->address = address;
    return STEP_TAKEN;
}

/* ---- the walk ---- */

/* Our own functions have frame pointers: climb them until the return address is the target's. */
static int leave_heapline(struct place *place)
{
    const uint64_t *frame = __builtin_frame_address(0);
    for (int depth = 0; depth < 64; depth++, frame = (const uint64_t *)(uintptr_t)frame[0])
        if (!own_code_holds((const void *)(uintptr_t)frame[1])) {
            *place = (struct place){frame[1], (uintptr_t)(frame + 2), frame[0]};
            return 1;
        }
    return 0;
}

static void walk_outward(struct walk *walk, struct place place, uint64_t boundary)
{
    struct native_unwinder *unwinder = walk->unwinder;
    for (;;) {
        const struct cfi_row *row = row_of(unwinder, place.address);
        struct frame frame = {.address = place.address, .module_id = row->module_id};
        enum step result = step(walk, row, &place);
        if (boundary && result == STEP_TAKEN && place.stack > boundary)
            return; /* that was the interpreter's loop */
        if (!own_code_holds((const void *)(uintptr_t)frame.address)) {
            if (walk->count == unwinder->capacity && !grow(unwinder)) {
                walk->is_cut = 1;
                return;
            }
            unwinder->frames[walk->count++] = frame;
        }
        if (result != STEP_TAKEN) {
            walk->is_cut = result == STEP_FAILED;
            return;
        }
    }
}

/* Frames to nodes, from the outermost. Those that the last stack began with as well have their nodes. */
static uint32_t intern(struct walk *walk, uint32_t base)
{
    struct native_unwinder *unwinder = walk->unwinder;
    struct frame *last = unwinder->last;
    uint32_t count = walk->count, at = 0, node = base;
    if (unwinder->last_base == base)
        while (at < count && at < unwinder->last_count && last[at].address == unwinder->frames[count - 1 - at].address)
            node = last[at++].node;
    for (; at < count; at++) {
        last[at] = unwinder->frames[count - 1 - at];
        last[at].node = node = stack_table_native(node, last[at].module_id, last[at].address);
        if (unlikely(!node)) {
            unwinder->last_count = 0;
            return 0;
        }
    }
    unwinder->last_base = base;
    unwinder->last_count = count;
    return node;
}

uint32_t native_unwind(struct thread_state *thread, uint32_t base, uint64_t boundary)
{
    int saved_errno = errno;
    struct walk walk = {.unwinder = unwinder_of(thread)};
    struct place place;
    uint32_t node = 0;
    if (walk.unwinder && leave_heapline(&place)) {
        find_own_stack(&walk, thread, place.stack);
        walk_outward(&walk, place, boundary);
        node = intern(&walk, walk.is_cut && !base ? stack_table_cut() : base);
    }
    errno = saved_errno;
    return node;
}
