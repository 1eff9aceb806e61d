/* See native_check.h. */
#include "native_check.h"

#include <errno.h>
#include <string.h>

#include "recorder.h"

uint32_t native_check_interval;

#ifdef HAVE_LIBUNWIND
#include <dlfcn.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "module_table.h"
#include "native_machine.h"
#include "own_code.h"
#include "stack_table.h"

#define TEXT_OF(name) #name
#define SYMBOL(name) TEXT_OF(name)
#define MAX_FRAMES 4096
#define KNOWN_FUNCTIONS 4096u
#define NOT_SO UINT32_MAX

/* By address: linked, libunwind would stand in front of the program's own _Unwind_ functions. */
static struct {
    __typeof__(&unw_init_local) init_local;
    __typeof__(&unw_step) step;
    __typeof__(&unw_get_reg) get_reg;
    __typeof__(&unw_is_signal_frame) is_signal_frame;
    __typeof__(&unw_get_proc_name) get_proc_name;
    __typeof__(&unw_get_proc_info) get_proc_info;
    int (*getcontext)(unw_context_t *); /* on x86-64; elsewhere it is a macro that needs no library */
} unwind;

void native_check_start(void *(*open)(const char *, int), void *(*symbol)(void *, const char *))
{
    void *library = recorder_session->native_check_interval ? open("libunwind.so.8", RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        return;
    unwind.init_local = (__typeof__(unwind.init_local))symbol(library, SYMBOL(UNW_OBJ(init_local)));
    unwind.step = (__typeof__(unwind.step))symbol(library, SYMBOL(UNW_OBJ(step)));
    unwind.get_reg = (__typeof__(unwind.get_reg))symbol(library, SYMBOL(UNW_OBJ(get_reg)));
    unwind.is_signal_frame = (__typeof__(unwind.is_signal_frame))symbol(library, SYMBOL(UNW_OBJ(is_signal_frame)));
    unwind.get_proc_info = (__typeof__(unwind.get_proc_info))symbol(library, SYMBOL(UNW_OBJ(get_proc_info)));
    unwind.get_proc_name = (__typeof__(unwind.get_proc_name))symbol(library, SYMBOL(UNW_OBJ(get_proc_name)));
#if defined(__x86_64__)
    unwind.getcontext = (__typeof__(unwind.getcontext))symbol(library, SYMBOL(unw_tdep_getcontext));
    if (!unwind.getcontext)
        return;
#endif
    if (unwind.init_local && unwind.step && unwind.get_reg && unwind.is_signal_frame && unwind.get_proc_name && unwind.get_proc_info)
        native_check_interval = recorder_session->native_check_interval;
}

/* ---- libunwind's frames ---- */

/* What its name says of a frame's function. Parts of stripped functions have none. */
enum function { FUNCTION_UNKNOWN, FUNCTION_LOOP, FUNCTION_OTHER };

/* Its walk, a frame ahead of what is compared. */
struct oracle {
    unw_cursor_t cursor;
    uint64_t address;                   /* of the frame that is compared; 0: there is none */
    uint64_t low, high;                 /* its extent on the stack */
    uint64_t next_address, next_stack;  /* of its caller, to which the cursor points */
    enum function function;
};

/* On to the next frame outward that isn't ours; an interrupted instruction counts as the one behind it, as if it were a return address. */
static void read_ahead(struct oracle *oracle)
{
    unw_word_t address = 0, stack = 0;
    int was_signal;
    do {
        was_signal = unwind.is_signal_frame(&oracle->cursor) > 0;
        if (unwind.step(&oracle->cursor) <= 0 || unwind.get_reg(&oracle->cursor, UNW_REG_IP, &address) != 0 || !address ||
            unwind.get_reg(&oracle->cursor, UNW_REG_SP, &stack) != 0) {
            oracle->next_address = 0;
            oracle->next_stack = UINT64_MAX;
            return;
        }
    } while (own_code_holds((const void *)(uintptr_t)address));
    oracle->next_address = address + (NATIVE_MACHINE_SIGNAL_FRAME_IS_TRAMPOLINE ? was_signal : unwind.is_signal_frame(&oracle->cursor) > 0);
    oracle->next_stack = stack;
}

/* ---- the interpreter's loop ---- */

/* A name costs libunwind a search: what return addresses turned out to be, in any thread. */
static _Atomic uint64_t known_functions[KNOWN_FUNCTIONS]; /* address and module epoch << 2 | enum function */

/* Names are those of the nearest symbol below: it counts only where the function begins with it. */
static enum function find_function(unw_cursor_t *cursor)
{
    static const char loop[] = "_PyEval_EvalFrameDefault";
    char name[sizeof loop];
    unw_word_t offset, address;
    unw_proc_info_t info;
    int result = unwind.get_proc_name(cursor, name, sizeof name, &offset);
    if ((result != 0 && result != -UNW_ENOMEM) || unwind.get_proc_info(cursor, &info) != 0 ||
        unwind.get_reg(cursor, UNW_REG_IP, &address) != 0 || info.start_ip != address - offset)
        return FUNCTION_UNKNOWN;
    return memcmp(name, loop, sizeof loop - 1) ? FUNCTION_OTHER : FUNCTION_LOOP; /* also its cold part, whose name is longer */
}

/* Of the frame that the cursor points to. */
static enum function function_of(unw_cursor_t *cursor, uint64_t address)
{
    uint64_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_relaxed), key = (address ^ epoch << 48) << 2;
    _Atomic uint64_t *known = &known_functions[(address ^ address >> 12) % KNOWN_FUNCTIONS];
    uint64_t found = atomic_load_explicit(known, memory_order_relaxed);
    if ((found & ~3ull) != key) {
        found = key | find_function(cursor);
        atomic_store_explicit(known, found, memory_order_relaxed);
    }
    return (enum function)(found & 3);
}

static void go_outward(struct oracle *oracle)
{
    oracle->address = oracle->next_address;
    oracle->low = oracle->next_stack;
    oracle->function = oracle->address ? function_of(&oracle->cursor, oracle->address) : FUNCTION_UNKNOWN;
    if (oracle->address)
        read_ahead(oracle);
    oracle->high = oracle->next_stack;
}

/* ---- our frames ---- */

/* 0: it is a Python frame, or the cut. */
static uint64_t address_of(uint32_t node)
{
    uint64_t identity = stack_nodes[node].identity;
    return (identity >> 63 && (uint32_t)(identity >> 32) != UINT32_MAX) ? identity & ~(1ull << 63) : 0;
}

static int is_python(uint32_t node)
{
    return node && node != stack_root && !(stack_nodes[node].identity >> 63);
}

/* The Python frames of segment i, in this order, from `stack` outward? Returns what is further out; NOT_SO: no. */
static uint32_t pass_segment(const struct python_segments *segments, uint32_t i, uint32_t stack)
{
    uint32_t first = segments->list[i].first;
    for (uint32_t at = python_segment_end(segments, i); at-- > first;) {
        uint32_t frame = segments->nodes[at], outer = at > first ? segments->nodes[at - 1] : 0;
        if (!frame || frame == outer)
            continue; /* hidden */
        if (stack_nodes[stack].identity != stack_nodes[frame].identity)
            return NOT_SO;
        stack = stack_nodes[stack].parent;
    }
    return stack;
}

/* Are the outer `count` segments, whose place isn't known, all that is left, marked as cut? */
static int ends_with(const struct python_segments *segments, uint32_t count, uint32_t stack)
{
    while (count-- > 0 && stack != NOT_SO)
        stack = pass_segment(segments, count, stack);
    return stack == stack_table_cut(stack_root);
}

/* Is no Python frame's place known? Then all come first, marked as cut. */
static int is_unplaced(const struct python_segments *segments, uint32_t stack)
{
    while (stack && stack != stack_root && !is_python(stack))
        stack = stack_nodes[stack].parent;
    return is_python(stack) && ends_with(segments, segments->count, stack);
}

static int holds_segment(const struct oracle *oracle, const struct python_segments *segments, uint32_t i)
{
    if (python_segments_are_counted(segments))
        return oracle->function == FUNCTION_LOOP;
    return oracle->address && segments->list[i].address - oracle->low < oracle->high - oracle->low;
}

/* ---- the comparison ---- */

/* Ours may begin further out: operator new is left out. */
static void find_beginning(struct oracle *oracle, uint32_t stack)
{
    read_ahead(oracle);
    go_outward(oracle);
    for (int skipped = 0; oracle->address != address_of(stack) && skipped < 3; skipped++)
        go_outward(oracle);
}

/* Frame by frame: those of the loop that run a segment are that segment's Python frames, all others themselves. A loop may
 * run a frame that isn't there yet, where a call makes its cells: that one is native, too. Ours ends at the cut, or with a greenlet. */
static int differs(uint32_t stack, struct oracle *oracle, const struct python_segments *segments)
{
    uint32_t left = is_unplaced(segments, stack) ? 0 : segments->count, greenlet = atomic_load(&module_table_greenlet);
    uint64_t last = 0;
    find_beginning(oracle, stack);
    for (int frames = 0; stack && stack != stack_root; frames++) {
        if (frames == MAX_FRAMES)
            return 0;
        last = oracle->address ? oracle->address : last;
        if (left && holds_segment(oracle, segments, left - 1)) {
            stack = pass_segment(segments, --left, stack);
            if (stack == NOT_SO || oracle->function == FUNCTION_OTHER)
                return 1;
        } else if (is_python(stack) || !address_of(stack)) {
            return !ends_with(segments, is_python(stack) && !left ? segments->count : left, stack);
        } else if (oracle->address != address_of(stack)) {
            return 1;
        } else {
            stack = stack_nodes[stack].parent;
        }
        go_outward(oracle);
    }
    return left || (oracle->address && (greenlet == UINT32_MAX || module_table_find(last - 1) != greenlet));
}

void native_check_stack(struct thread_state *thread, uint32_t stack, const struct python_segments *segments)
{
    unw_context_t context;
    struct oracle oracle;
    int saved_errno = errno;
    uintptr_t was_busy = thread->busy;
    if (!address_of(stack))
        return; /* no native frames, or a Python frame that allocated: nothing to begin from */
    thread->stacks_until_check = native_check_interval - 1;
    thread->busy = THREAD_INTERNAL; /* what libunwind allocates is not the program's */
#if defined(__x86_64__)
    unwind.getcontext(&context);
#else
    unw_getcontext(&context);
#endif
    if (unwind.init_local(&oracle.cursor, &context) == 0) {
        atomic_fetch_add_explicit(&recorder_session->native_checks, 1, memory_order_relaxed);
        if (differs(stack, &oracle, segments)) 
            atomic_fetch_add_explicit(&recorder_session->native_differences, 1, memory_order_relaxed);
    }
    thread->busy = was_busy;
    errno = saved_errno;
}

#else

void native_check_start(void *(*open)(const char *, int), void *(*symbol)(void *, const char *))
{
}

void native_check_stack(struct thread_state *thread, uint32_t stack, const struct python_segments *segments)
{
}

#endif
