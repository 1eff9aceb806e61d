/* memcpy and its kin: how much the program only copies. The copy itself is always libc's own routine.
 *
 * Copies of at least the threshold are events with a stack; smaller ones are two additions to counters of their thread. x86-64 and aarch64 libcs
 * have one routine for memcpy and memmove, so memmove serves both, also programs that were linked against the memcpy of before 2.14, which
 * allowed overlaps. memcpy may be called before anything is set up: then bytes are copied by hand. */
#include <stdlib.h>
#include <string.h>

#include "copy_hooks.h"
#include "hook.h"
#include "own_code.h"
#include "module_table.h"
#include "native_stack.h"
#include "python_api.h"

void *__memcpy_chk(void *to, const void *from, size_t bytes, size_t room);
void *__memmove_chk(void *to, const void *from, size_t bytes, size_t room);
void *__mempcpy_chk(void *to, const void *from, size_t bytes, size_t room);
char *__strcpy_chk(char *to, const char *from, size_t room);
char *__stpcpy_chk(char *to, const char *from, size_t room);
char *__strncpy_chk(char *to, const char *from, size_t bytes, size_t room);
char *__stpncpy_chk(char *to, const char *from, size_t bytes, size_t room);
char *__strcat_chk(char *to, const char *from, size_t room);
char *__strncat_chk(char *to, const char *from, size_t bytes, size_t room);
void __chk_fail(void) __attribute__((noreturn));

/* ~0 until a session that wants copies is there: every copy is a small one then, and not counted. */
static uint64_t threshold_bytes = ~0ull;

void copy_hooks_init(uint64_t copy_threshold_bytes)
{
    threshold_bytes = copy_threshold_bytes;
}

static void copy_by_hand(char *to, const char *from, size_t bytes)
{
    if (to <= from || to >= from + bytes)
        for (size_t i = 0; i < bytes; i++)
            __atomic_store_n(to + i, from[i], __ATOMIC_RELAXED); /* so that the compiler makes no memcpy of it */
    else
        while (bytes--)
            __atomic_store_n(to + bytes, from[bytes], __ATOMIC_RELAXED);
}

/* Greenlet puts a saved stack back with memcpy, and calls it where that stack is to be: what was there may be overwritten already, by this very
 * hook, and what is to be there isn't yet. On it are native frames, the structs in which the way to Python's frames begins (cframe, up to 3.12),
 * and frames of that way (from 3.12 on). */
static int stack_is_moving(const void *return_address)
{
    int needs_stack = python_api.version >= 0x030b || (python_api.version && recorder_session->flags & SESSION_NATIVE);
    return needs_stack && module_table_may_be((uintptr_t)return_address, "greenlet");
}

/* What is asked of each place that copies is the same each time while the modules stay: the answers for those that ask for nothing special. An
 * entry holds the place and the low bits of the module epoch. */
#define PLAIN_SITE_BITS 8
#define SITE_EPOCH_BITS 16
static _Atomic uint64_t plain_sites[1 << PLAIN_SITE_BITS];

HOT_INLINE uint64_t site_entry(const void *return_address)
{
    uint64_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_relaxed);
    return (uint64_t)(uintptr_t)return_address << SITE_EPOCH_BITS | (epoch & ((1 << SITE_EPOCH_BITS) - 1));
}

HOT_INLINE _Atomic uint64_t *site_slot(const void *return_address)
{
    return &plain_sites[(uintptr_t)return_address * 0x9E3779B97F4A7C15ull >> (64 - PLAIN_SITE_BITS)];
}

static uint32_t stack_of_copy(struct thread_state *thread, uint64_t site, const void *return_address)
{
    if (unlikely(stack_is_moving(return_address)))
        return native_stack_of_caller(thread, return_address);
    atomic_store_explicit(site_slot(return_address), site, memory_order_relaxed);
    return stack_of_native_hook(thread, return_address);
}

/* Inside CPython's object allocator, which copies when a realloc moves: that counts with the realloc. */
HOT_INLINE int moves_object(const struct thread_state *thread)
{
    return thread->object_request != OBJECT_NONE;
}

/* The recorder's own copies, and those of an allocator that moves a block: the realloc counts them. */
static int is_counted_elsewhere(const void *return_address)
{
    return own_code_holds(return_address) || real_is_allocator(return_address);
}

/* Inlined, so that the frame that calls recorder_enter is the one below the program's: the quick way to a native stack begins there. */
HOT_INLINE void record_large(uint64_t bytes, const void *return_address)
{
    uint64_t site = site_entry(return_address);
    int is_plain = likely(atomic_load_explicit(site_slot(return_address), memory_order_relaxed) == site);
    if (!is_plain && is_counted_elsewhere(return_address))
        return;
    struct thread_state *thread = recorder_enter();
    if (!thread)
        return;
    struct recorder_place place = {NULL, 0};
    uint32_t stack = 0;
    if (sampling_takes(thread, &thread->copy_left, bytes) && !moves_object(thread)) {
        stack = is_plain ? stack_of_native_hook(thread, return_address) : stack_of_copy(thread, site, return_address);
        place = recorder_begin(thread);
    }
    if (place.words) {
        place.words[0] = EVENT_WORD(EVENT_COPY, bytes);
        place.words[1] = stack;
        recorder_commit(thread, place, 2);
    }
    recorder_leave(thread);
}

HOT_INLINE void add_to(_Atomic uint64_t *counter, uint64_t more)
{
    /* Only its own thread writes it: no locked instruction. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

/* A copy below the threshold: two additions. Returns 0: it is more than that. */
HOT_INLINE int count_small(uint64_t bytes)
{
    struct thread_state *thread = current_thread;
    if (unlikely(bytes >= threshold_bytes || thread->busy))
        return 0;
    if (likely(!moves_object(thread))) {
        add_to(&thread->shared->small_copies, 1);
        add_to(&thread->shared->small_copied_bytes, bytes);
    }
    return 1;
}

static __attribute__((noinline)) void record_copy(uint64_t bytes, const void *return_address)
{
    if (bytes >= threshold_bytes) {
        record_large(bytes, return_address);
        return;
    }
    /* A thread's first: its state isn't there yet. Copies from within the recorder end here too. */
    struct thread_state *thread = threshold_bytes == ~0ull || own_code_holds(return_address) ? NULL : recorder_enter();
    if (!thread)
        return;
    recorder_leave(thread);
    count_small(bytes);
}

/* Is there nothing to record of a copy of so many bytes? */
HOT_INLINE int copy_passes(uint64_t bytes)
{
    struct thread_state *thread = current_thread;
    if (likely(bytes >= thread->copy_left))
        return 0;
    if (unlikely(thread->busy))
        return recorder_rests(thread);
    thread->copy_left -= bytes;
    return 1;
}

HOT_INLINE void count_copy(uint64_t bytes, const void *return_address)
{
    if (!copy_passes(bytes) && !count_small(bytes))
        record_copy(bytes, return_address);
}

static __attribute__((noinline)) void *copy_recorded(void *to, const void *from, size_t bytes, const void *return_address)
{
    if (unlikely(!real.memmove)) {
        copy_by_hand(to, from, bytes);
        return to;
    }
    if (likely(bytes >= threshold_bytes))
        record_large(bytes, return_address);
    else
        record_copy(bytes, return_address);
    return real.memmove(to, from, bytes);
}

/* Both ways out are tail calls, and the hook's return address is looked at on the rarer one only, so that nothing is saved on the way to the
 * real function. It is there once a thread has a state. */
HOT_INLINE void *copy(void *to, const void *from, size_t bytes)
{
    if (unlikely(atomic_load_explicit(&recorder_is_quiet, memory_order_relaxed)) || copy_passes(bytes) || count_small(bytes))
        return real.memmove(to, from, bytes);
    return copy_recorded(to, from, bytes, RETURN_ADDRESS); /* of the hook that this is inlined into */
}

EXPORT void *memcpy(void *to, const void *from, size_t bytes)
{
    return copy(to, from, bytes);
}

EXPORT void *memmove(void *to, const void *from, size_t bytes)
{
    return copy(to, from, bytes);
}

EXPORT void *mempcpy(void *to, const void *from, size_t bytes)
{
    return (char *)copy(to, from, bytes) + bytes;
}

void *__mempcpy(void *to, const void *from, size_t bytes);
EXPORT void *__mempcpy(void *to, const void *from, size_t bytes)
{
    return (char *)copy(to, from, bytes) + bytes;
}

HOT_INLINE void check_room(size_t bytes, size_t room)
{
    if (unlikely(bytes > room))
        __chk_fail();
}

EXPORT void *__memcpy_chk(void *to, const void *from, size_t bytes, size_t room)
{
    check_room(bytes, room);
    return copy(to, from, bytes);
}

EXPORT void *__memmove_chk(void *to, const void *from, size_t bytes, size_t room)
{
    check_room(bytes, room);
    return copy(to, from, bytes);
}

EXPORT void *__mempcpy_chk(void *to, const void *from, size_t bytes, size_t room)
{
    check_room(bytes, room);
    return (char *)copy(to, from, bytes) + bytes;
}

/* ---- strings: libc's stpcpy tells the length on the way ---- */

HOT_INLINE char *copy_string(char *to, const char *from, const void *return_address)
{
    if (unlikely(!real_available())) {
        size_t bytes = 0;
        while (from[bytes])
            bytes++;
        copy_by_hand(to, from, bytes + 1);
        return to + bytes;
    }
    char *end = real.stpcpy(to, from);
    count_copy((uint64_t)(end - to) + 1, return_address);
    return end;
}

HOT_INLINE char *copy_string_part(char *to, const char *from, size_t bytes, const void *return_address)
{
    if (unlikely(!real_available()))
        abort(); /* nothing before libc's own start uses it */
    char *end = real.stpncpy(to, from, bytes);
    count_copy((uint64_t)(end - to) + ((uint64_t)(end - to) < bytes), return_address);
    return end;
}

EXPORT char *strcpy(char *to, const char *from)
{
    copy_string(to, from, RETURN_ADDRESS);
    return to;
}

EXPORT char *stpcpy(char *to, const char *from)
{
    return copy_string(to, from, RETURN_ADDRESS);
}

EXPORT char *strncpy(char *to, const char *from, size_t bytes)
{
    copy_string_part(to, from, bytes, RETURN_ADDRESS);
    return to;
}

EXPORT char *stpncpy(char *to, const char *from, size_t bytes)
{
    return copy_string_part(to, from, bytes, RETURN_ADDRESS);
}

EXPORT char *strcat(char *to, const char *from)
{
    copy_string(to + (real_available() ? real.strlen(to) : 0), from, RETURN_ADDRESS);
    return to;
}

HOT_INLINE char *append_part(char *to, const char *from, size_t bytes, size_t room, const void *return_address)
{
    if (unlikely(!real_available()))
        abort();
    size_t old_bytes = real.strlen(to), more_bytes = real.strnlen(from, bytes);
    check_room(old_bytes + more_bytes, room - 1);
    count_copy(more_bytes + 1, return_address);
    real.memmove(to + old_bytes, from, more_bytes);
    to[old_bytes + more_bytes] = 0;
    return to;
}

EXPORT char *strncat(char *to, const char *from, size_t bytes)
{
    return append_part(to, from, bytes, ~(size_t)0, RETURN_ADDRESS);
}

EXPORT char *__strcpy_chk(char *to, const char *from, size_t room)
{
    check_room(real_available() ? real.strlen(from) + 1 : 0, room);
    copy_string(to, from, RETURN_ADDRESS);
    return to;
}

EXPORT char *__stpcpy_chk(char *to, const char *from, size_t room)
{
    check_room(real_available() ? real.strlen(from) + 1 : 0, room);
    return copy_string(to, from, RETURN_ADDRESS);
}

EXPORT char *__strncpy_chk(char *to, const char *from, size_t bytes, size_t room)
{
    check_room(bytes, room);
    copy_string_part(to, from, bytes, RETURN_ADDRESS);
    return to;
}

EXPORT char *__stpncpy_chk(char *to, const char *from, size_t bytes, size_t room)
{
    check_room(bytes, room);
    return copy_string_part(to, from, bytes, RETURN_ADDRESS);
}

EXPORT char *__strcat_chk(char *to, const char *from, size_t room)
{
    if (real_available())
        check_room(real.strlen(to) + real.strlen(from) + 1, room);
    copy_string(to + (real_available() ? real.strlen(to) : 0), from, RETURN_ADDRESS);
    return to;
}

EXPORT char *__strncat_chk(char *to, const char *from, size_t bytes, size_t room)
{
    return append_part(to, from, bytes, room, RETURN_ADDRESS);
}
