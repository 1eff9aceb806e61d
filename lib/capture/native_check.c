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

#include "own_code.h"
#include "stack_table.h"

#define TEXT_OF(name) #name
#define SYMBOL(name) TEXT_OF(name)
#define MAX_FRAMES 4096

/* By address: linked, libunwind would stand in front of the program's own _Unwind_ functions. */
static struct {
    __typeof__(&unw_init_local) init_local;
    __typeof__(&unw_step) step;
    __typeof__(&unw_get_reg) get_reg;
    __typeof__(&unw_is_signal_frame) is_signal_frame;
    __typeof__(&unw_get_proc_name) get_proc_name;
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
    unwind.get_proc_name = (__typeof__(unwind.get_proc_name))symbol(library, SYMBOL(UNW_OBJ(get_proc_name)));
#if defined(__x86_64__)
    unwind.getcontext = (__typeof__(unwind.getcontext))symbol(library, SYMBOL(unw_tdep_getcontext));
    if (!unwind.getcontext)
        return;
#endif
    if (unwind.init_local && unwind.step && unwind.get_reg && unwind.is_signal_frame && unwind.get_proc_name)
        native_check_interval = recorder_session->native_check_interval;
}

/* The next frame outward that isn't ours; an interrupted instruction counts as the one behind it, as if it were a return address. 0: none. */
static uint64_t next_address(unw_cursor_t *cursor)
{
    unw_word_t address = 0;
    do {
        if (unwind.step(cursor) <= 0 || unwind.get_reg(cursor, UNW_REG_IP, &address) != 0 || !address)
            return 0;
    } while (own_code_holds((const void *)(uintptr_t)address));
    return address + (unwind.is_signal_frame(cursor) > 0);
}

/* 0: it is a Python frame, or the cut. */
static uint64_t address_of(uint32_t node)
{
    uint64_t identity = stack_nodes[node].identity;
    return (identity >> 63 && (uint32_t)(identity >> 32) != UINT32_MAX) ? identity & ~(1ull << 63) : 0;
}

static int is_python(uint32_t node)
{
    return node && !(stack_nodes[node].identity >> 63);
}

/* Python frames in a row stand for one or more activations of the interpreter's loop, no more than there are. Returns the frame further out,
 * and goes there. */
static uint32_t pass_python(uint32_t stack, unw_cursor_t *cursor, uint64_t *address)
{
    int most = 0;
    for (; is_python(stack); stack = stack_nodes[stack].parent)
        most++;
    do
        *address = next_address(cursor);
    while (--most > 0 && *address != address_of(stack));
    return stack;
}

/* The interpreter's loop runs a frame that isn't there yet: where a call makes its cells, or a generator. No Python frame stands for it. */
static int is_empty_loop(unw_cursor_t *cursor)
{
    static const char loop[] = "_PyEval_EvalFrameDefault";
    char name[sizeof loop];
    unw_word_t offset;
    int result = unwind.get_proc_name(cursor, name, sizeof name, &offset);
    return (result == 0 || result == -UNW_ENOMEM) && !memcmp(name, loop, sizeof loop - 1); /* also its cold part, whose name is longer */
}

/* Frame by frame; ours may begin further out (operator new is left out), and ends at the cut, if there is one, or with a greenlet. */
static int differs(uint32_t stack, unw_cursor_t *cursor)
{
    uint64_t address = next_address(cursor);
    for (int skipped = 0; address != address_of(stack) && skipped < 3; skipped++)
        address = next_address(cursor);
    for (int frames = 0; address_of(stack) || is_python(stack); frames++) {
        if (frames == MAX_FRAMES)
            return 0;
        if (is_python(stack) && !(stack = pass_python(stack, cursor, &address)))
            return 0; /* Python frames whose place isn't known stand outermost */
        if (address != address_of(stack) && address && is_empty_loop(cursor))
            address = next_address(cursor);
        if (address != address_of(stack))
            return 1;
        stack = stack_nodes[stack].parent;
        address = address ? next_address(cursor) : 0;
    }
    return 0;
}

void native_check_stack(struct thread_state *thread, uint32_t stack)
{
    unw_context_t context;
    unw_cursor_t cursor;
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
    if (unwind.init_local(&cursor, &context) == 0) {
        atomic_fetch_add_explicit(&recorder_session->native_checks, 1, memory_order_relaxed);
        if (differs(stack, &cursor))
            atomic_fetch_add_explicit(&recorder_session->native_differences, 1, memory_order_relaxed);
    }
    thread->busy = was_busy;
    errno = saved_errno;
}

#else

void native_check_start(void *(*open)(const char *, int), void *(*symbol)(void *, const char *))
{
}

void native_check_stack(struct thread_state *thread, uint32_t stack)
{
}

#endif
