/* slots.c: a slot is written whatever its page may be, and the page is left as it was. */
#include "slots.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

/* Asked of the kernel, which does not fault. */
static int is_writable(uintptr_t *slot)
{
    uintptr_t value = *slot;
    struct iovec from = {&value, sizeof value}, to = {slot, sizeof value};
    return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == sizeof value;
}

int main(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), words = page_bytes / sizeof(uintptr_t);
    uintptr_t *slots = mmap(NULL, 3 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(slots != MAP_FAILED);
    uintptr_t *unsealed = &slots[words], *sealed = &slots[2 * words];
    CHECK_EQUAL(mprotect(sealed, page_bytes, PROT_READ), 0);
    if (!is_writable(slots))
        return 77; /* a kernel, or an emulated one, that has no process_vm_writev: such pages can't be told apart */
    struct slots_page page = {0};
    CHECK(slots_write(&page, (uintptr_t)&slots[3], 30, 0));
    CHECK(slots_write(&page, (uintptr_t)&unsealed[1], 11, 1));
    CHECK(slots_write(&page, (uintptr_t)&sealed[1], 21, 1));
    CHECK(slots_write(&page, (uintptr_t)&sealed[2], 22, 1));
    CHECK(slots_write(&page, (uintptr_t)&unsealed[2], 12, 1));
    CHECK(slots_write(&page, (uintptr_t)&sealed[3], 23, 1));
    slots_close(&page);
    CHECK_EQUAL(slots[3], 30);
    for (uintptr_t i = 1; i < 3; i++)
        CHECK_EQUAL(unsealed[i], 10 + i);
    for (uintptr_t i = 1; i < 4; i++)
        CHECK_EQUAL(sealed[i], 20 + i);
    CHECK(is_writable(slots) && is_writable(unsealed) && !is_writable(sealed));
    CHECK_EQUAL(mprotect(sealed, page_bytes, PROT_NONE), 0);
    CHECK_EQUAL(munmap(sealed, page_bytes), 0);
    CHECK(!slots_write(&page, (uintptr_t)sealed, 1, 1)); /* a module that has just been unloaded */
    return 0;
}
