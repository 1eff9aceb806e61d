/* mmap and its kin, brk and sbrk: anonymous memory that the program asks the kernel for itself. Mappings of files are not heap and are not
 * recorded; nor is what an allocator maps to serve malloc with. The mapping call comes first, then its event; an unmapping's event
 * comes before the call: in between, another thread may be given the range. */
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hook.h"
#include "thread_registry.h"

int brk(void *end);
void *sbrk(intptr_t increment);

#define PAGE_MASK 4095ul

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE_MASK) & ~PAGE_MASK;
}

/* pymalloc's arenas are 256 KiB (up to 3.9), 1 MiB or 2 MiB. Its other choice, mimalloc, reserves a gigabyte that nobody uses. */
#define ARENA_MAX_BYTES (4ul << 20)

/* Asked for by CPython's object allocator, whose objects are recorded by their own hooks? */
static int serves_objects(void)
{
    return thread_registry_own()->object_request != OBJECT_NONE;
}

static void record_map(const void *address, uint64_t length, uint32_t flags, const void *return_address)
{
    struct thread_state *thread = recorder_enter();
    if (!thread)
        return;
    uint32_t stack = stack_of_native_hook(thread, return_address);
    struct recorder_place place = recorder_begin(thread);
    uint64_t *words = place.words;
    if (words) {
        words[0] = EVENT_WORD(EVENT_MAP, (uintptr_t)address);
        words[1] = EVENT_SIZE_STACK(flags, stack);
        words[2] = length;
        recorder_commit(thread, place, 3);
    }
    recorder_leave(thread);
}

static void record_unmap(const void *address, uint64_t length)
{
    struct thread_state *thread = recorder_enter();
    if (!thread)
        return;
    thread_registry_forget(address, length);
    struct recorder_place place = recorder_begin(thread);
    uint64_t *words = place.words;
    if (words) {
        words[0] = EVENT_WORD(EVENT_UNMAP, (uintptr_t)address);
        words[1] = length;
        recorder_commit(thread, place, 2);
    }
    recorder_leave(thread);
}

static void record_remap(const void *old, uint64_t old_length, const void *new, uint64_t new_length, const void *return_address)
{
    struct thread_state *thread = recorder_enter();
    if (!thread)
        return;
    uint32_t stack = stack_of_native_hook(thread, return_address);
    struct recorder_place place = recorder_begin(thread);
    uint64_t *words = place.words;
    if (words) {
        words[0] = EVENT_WORD(EVENT_REMAP, (uintptr_t)old);
        words[1] = old_length;
        words[2] = (uintptr_t)new;
        words[3] = EVENT_SIZE_STACK(0, stack);
        words[4] = new_length;
        recorder_commit(thread, place, 5);
    }
    recorder_leave(thread);
}

static void *map(void *address, size_t length, int protection, int flags, int file, off_t offset, const void *return_address)
{
    if (!real_available())
        return (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
    void *mapped = real.mmap(address, length, protection, flags, file, offset);
    if (mapped == MAP_FAILED || real_is_allocator(return_address))
        return mapped;
    int anonymous = (flags & MAP_ANONYMOUS) != 0;
    if (anonymous && !serves_objects())
        record_map(mapped, whole_pages(length), 0, return_address);
    else if (anonymous && length <= ARENA_MAX_BYTES)
        record_map(mapped, whole_pages(length), EVENT_MAP_ARENA, return_address);
    else if (!anonymous && flags & MAP_FIXED)
        record_unmap(mapped, whole_pages(length)); /* a file over what was anonymous memory */
    return mapped;
}

EXPORT void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset)
{
    return map(address, length, protection, flags, file, offset, RETURN_ADDRESS);
}

/* The same function where off_t has 64 bits. */
EXPORT void *mmap64(void *address, size_t length, int protection, int flags, int file, off64_t offset)
{
    return map(address, length, protection, flags, file, offset, RETURN_ADDRESS);
}

EXPORT int munmap(void *address, size_t length)
{
    if (!real_available())
        return (int)syscall(SYS_munmap, address, length);
    /* A call that the kernel will refuse must not be recorded. */
    if (length && !((uintptr_t)address & PAGE_MASK) && !real_is_allocator(RETURN_ADDRESS))
        record_unmap(address, whole_pages(length));
    return real.munmap(address, length);
}

EXPORT void *mremap(void *old, size_t old_length, size_t new_length, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    void *wanted = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    if (!real_available())
        return (void *)syscall(SYS_mremap, old, old_length, new_length, flags, wanted);
    void *mapped = real.mremap(old, old_length, new_length, flags, wanted);
    if (mapped != MAP_FAILED && !real_is_allocator(RETURN_ADDRESS))
        record_remap(old, whole_pages(old_length), mapped, whole_pages(new_length), RETURN_ADDRESS);
    return mapped;
}

static void record_break(const char *old, const char *new, const void *return_address)
{
    if (new > old)
        record_map(old, (uint64_t)(new - old), EVENT_MAP_BRK, return_address);
    else if (new < old)
        record_unmap(new, (uint64_t)(old - new));
}

EXPORT void *sbrk(intptr_t increment)
{
    if (!real_available())
        return (errno = ENOMEM, (void *)-1);
    char *old = real.sbrk(increment);
    if (old != (void *)-1 && !real_is_allocator(RETURN_ADDRESS))
        record_break(old, old + increment, RETURN_ADDRESS);
    return old;
}

EXPORT int brk(void *end)
{
    if (!real_available())
        return (errno = ENOMEM, -1);
    char *old = real.sbrk(0);
    int result = real.brk(end);
    if (result == 0 && !real_is_allocator(RETURN_ADDRESS))
        record_break(old, end, RETURN_ADDRESS);
    return result;
}
