#include "pages.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compiler.h"

static _Atomic size_t mapped_bytes;

static size_t whole_pages(size_t bytes)
{
    return (bytes + 4095) & ~(size_t)4095;
}

static void *result(long address)
{
    return address == -1 ? NULL : (void *)address;
}

static void *map(size_t bytes, int protection)
{
    int saved_errno = errno;
    void *pages = result(syscall(SYS_mmap, NULL, whole_pages(bytes), protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (pages)
        atomic_fetch_add_explicit(&mapped_bytes, whole_pages(bytes), memory_order_relaxed);
    errno = saved_errno;
    return pages;
}

void *pages_map(size_t bytes)
{
    return map(bytes, PROT_READ | PROT_WRITE);
}

void *pages_map_at(size_t place, size_t bytes)
{
    char *pages = pages_map(place + bytes);
    return pages ? pages + place : NULL;
}

void *pages_reserve(size_t bytes)
{
    return map(bytes, PROT_NONE);
}

int pages_commit(void *pages, size_t bytes)
{
    int saved_errno = errno;
    int done = syscall(SYS_mprotect, pages, whole_pages(bytes), PROT_READ | PROT_WRITE) == 0;
    errno = saved_errno;
    return done;
}

void *pages_remap(void *pages, size_t old_bytes, size_t new_bytes)
{
    int saved_errno = errno;
    void *moved = result(syscall(SYS_mremap, pages, whole_pages(old_bytes), whole_pages(new_bytes), MREMAP_MAYMOVE, NULL));
    if (moved)
        atomic_fetch_add_explicit(&mapped_bytes, whole_pages(new_bytes) - whole_pages(old_bytes), memory_order_relaxed);
    errno = saved_errno;
    return moved;
}

void pages_unmap(void *pages, size_t bytes)
{
    int saved_errno = errno;
    syscall(SYS_munmap, pages, whole_pages(bytes));
    atomic_fetch_sub_explicit(&mapped_bytes, whole_pages(bytes), memory_order_relaxed);
    errno = saved_errno;
}

size_t pages_mapped_bytes(void)
{
    return atomic_load_explicit(&mapped_bytes, memory_order_relaxed);
}

void *pages_remap_at(size_t place, void *memory, size_t old_bytes, size_t new_bytes)
{
    char *moved = pages_remap((char *)memory - place, place + old_bytes, place + new_bytes);
    return moved ? moved + place : NULL;
}

void pages_unmap_at(size_t place, void *memory, size_t bytes)
{
    pages_unmap((char *)memory - place, place + bytes);
}
