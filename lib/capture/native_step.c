/* See native_step.h. */
#include "native_step.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "compiler.h"
#include "native_machine.h"

#define PAGE_BYTES 4096u

/* ---- memory ---- */

/* The kernel copies a word of it, or says that it can't. One without that call (or an emulator) reads a limit from there, for no resource. */
int native_page_is_readable(uint64_t page)
{
    int saved_errno = errno;
    uint64_t word;
    struct iovec to = {&word, sizeof word}, from = {(void *)(uintptr_t)page, sizeof word};
    int readable = syscall(SYS_process_vm_readv, syscall(SYS_getpid), &to, 1, &from, 1, 0) == sizeof word;
    if (!readable && errno == ENOSYS)
        readable = syscall(SYS_prlimit64, 0, ~0u, page, NULL) == -1 && errno == EINVAL;
    errno = saved_errno;
    return readable;
}

static int read_word(struct native_memory *memory, uint64_t address, uint64_t *ret_word)
{
    uint64_t page = address & ~(uint64_t)(PAGE_BYTES - 1);
    if (address & 7)
        return 0;
    if (address - memory->low >= memory->high - memory->low && page != memory->page) {
        if (!native_page_is_readable(page))
            return 0;
        memory->page = page;
        memory->is_elsewhere = 1;
    }
    *ret_word = *(const uint64_t *)(uintptr_t)address;
    return 1;
}

/* ---- signal frames ---- */

#if NATIVE_MACHINE_HAS_ROWS
enum { SAVED_ADDRESS = REG_RIP, SAVED_STACK = REG_RSP, SAVED_FRAME_POINTER = REG_RBP };

/* The handler's return address has been popped, the kernel's ucontext is next. */
static uint64_t saved_register(const struct native_place *place, int number)
{
    return place->stack + offsetof(ucontext_t, uc_mcontext.gregs) + 8 * (uint64_t)number;
}

static enum native_step step_over_signal(struct native_memory *memory, struct native_place *place)
{
    struct native_place caller;
    if (!read_word(memory, saved_register(place, SAVED_ADDRESS), &caller.address) ||
        !read_word(memory, saved_register(place, SAVED_STACK), &caller.stack) ||
        !read_word(memory, saved_register(place, SAVED_FRAME_POINTER), &caller.frame_pointer))
        return NATIVE_STEP_FAILED;
    /* The interrupted instruction itself, made to look like a return address. */
    caller.address++;
    *place = caller;
    return NATIVE_STEP_TAKEN;
}

static unsigned signal_cells(const struct native_place *from, const struct native_place *to, struct native_cell *ret_cells)
{
    ret_cells[0] = (struct native_cell){saved_register(from, SAVED_ADDRESS), to->address - 1};
    ret_cells[1] = (struct native_cell){saved_register(from, SAVED_STACK), to->stack};
    ret_cells[2] = (struct native_cell){saved_register(from, SAVED_FRAME_POINTER), to->frame_pointer};
    return 3;
}
#else
static enum native_step step_over_signal(struct native_memory *memory, struct native_place *place)
{
    return NATIVE_STEP_FAILED;
}

static unsigned signal_cells(const struct native_place *from, const struct native_place *to, struct native_cell *ret_cells)
{
    return 0;
}
#endif

/* ---- calls ---- */

static int caller_cfa(struct native_memory *memory, const struct cfi_row *row, const struct native_place *place, uint64_t *ret_cfa)
{
    uint64_t offset = (uint64_t)cfi_row_offset(row);
    switch (cfi_row_kind(row)) {
    case CFI_FROM_STACK: *ret_cfa = place->stack + offset; return 1;
    case CFI_FROM_FRAME: *ret_cfa = place->frame_pointer + offset; return 1;
    case CFI_FROM_MEMORY: return read_word(memory, place->frame_pointer + offset, ret_cfa);
    case CFI_PLT: *ret_cfa = place->stack + 8 + ((place->address & 15) >= offset / 8 ? 8 : 0); return 1;
    default: return 0;
    }
}

static uint64_t frame_pointer_cell(const struct cfi_row *row, const struct native_place *place, uint64_t cfa)
{
    return row->frame_pointer_offset == CFI_FRAME_POINTER_AT_ITSELF ? place->frame_pointer : cfa + (uint64_t)(int64_t)row->frame_pointer_offset;
}

enum native_step native_step(struct native_memory *memory, const struct cfi_row *row, struct native_place *place)
{
    struct native_place caller = {.frame_pointer = place->frame_pointer};
    if (cfi_row_kind(row) == CFI_SIGNAL)
        return step_over_signal(memory, place);
    if (cfi_row_kind(row) == CFI_OUTERMOST)
        return NATIVE_STEP_OUTERMOST;
    if (!caller_cfa(memory, row, place, &caller.stack) || caller.stack <= place->stack ||
        !read_word(memory, caller.stack - 8, &caller.address))
        return NATIVE_STEP_FAILED;
    if (row->frame_pointer_offset && !read_word(memory, frame_pointer_cell(row, place, caller.stack), &caller.frame_pointer))
        return NATIVE_STEP_FAILED;
    *place = caller;
    return caller.address ? NATIVE_STEP_TAKEN : NATIVE_STEP_OUTERMOST;
}

unsigned native_step_cells(const struct cfi_row *row, const struct native_place *from, const struct native_place *to,
                           int needs_frame_pointer, struct native_cell *ret_cells)
{
    unsigned count = 0;
    if (cfi_row_kind(row) == CFI_SIGNAL)
        return signal_cells(from, to, ret_cells);
    if (cfi_row_kind(row) == CFI_FROM_MEMORY)
        ret_cells[count++] = (struct native_cell){from->frame_pointer + (uint64_t)cfi_row_offset(row), to->stack};
    ret_cells[count++] = (struct native_cell){to->stack - 8, to->address};
    if (row->frame_pointer_offset && needs_frame_pointer)
        ret_cells[count++] = (struct native_cell){frame_pointer_cell(row, from, to->stack), to->frame_pointer};
    return count;
}
