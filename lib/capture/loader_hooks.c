/* dlsym: a pointer to malloc that a program looks up in libc itself (ctypes.CDLL("libc.so.6")) must lead through our hooks as well.
 * It is also when an interpreter that was loaded late is noticed. dlclose: addresses of code may mean something else afterwards. pthread_setname_np: thread names as they are given.
 *
 * dlsym(RTLD_NEXT) and dlsym(RTLD_DEFAULT) depend on who calls: they are passed on as a jump, so that libc sees the caller's own address. dlopen
 * depends on its caller too (RPATH) and is not hooked at all. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hook.h"
#include "late_redirect.h"
#include "late_start.h"
#include "module_table.h"
#include "thread_registry.h"

/* Functions that a handle may lead to, and what to hand out in their stead. */
#define LOOKED_UP(X)                                                                                                          \
    X(malloc) X(free) X(calloc) X(realloc) X(reallocarray) X(posix_memalign) X(aligned_alloc) X(memalign) X(valloc) X(pvalloc) \
    X(mmap) X(munmap) X(mremap) X(brk) X(sbrk) X(memmove) X(memcpy) X(stpcpy) X(stpncpy) X(strcat) X(strncat)                           \
    X(fork) X(execve) X(execvpe) X(fexecve) X(execveat) X(_exit) X(quick_exit)

static void *our_function_for(void *found)
{
#define REPLACE(function)                                \
    if (found == (void *)(uintptr_t)real.function)       \
        return (void *)(uintptr_t)&function;
    LOOKED_UP(REPLACE)
#undef REPLACE
    return found;
}

void *heapline_dlsym_in_handle(void *handle, const char *name);
void *heapline_real_dlsym(void);

/* An interpreter that came by dlopen is about to be started through a pointer like this one. */
static void look_for_python(void)
{
    struct thread_state *thread = recorder_enter();
    if (!thread)
        return;
    python_attach_find();
    recorder_leave(thread);
}

__attribute__((noinline, used)) void *heapline_dlsym_in_handle(void *handle, const char *name)
{
    if (!real_available())
        return NULL;
    if (unlikely(late_started))
        late_redirect_news();
    void *found = real.dlsym(handle, name);
    if (unlikely(!python_attached))
        look_for_python();
    return found ? our_function_for(found) : NULL;
}

/* The address to jump to for look-ups that depend on the caller. */
__attribute__((noinline, used)) void *heapline_real_dlsym(void)
{
    real_available();
    return (void *)(uintptr_t)real.dlsym;
}

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl dlsym\n"
        ".type dlsym, @function\n"
        "dlsym:\n"
        ".cfi_startproc\n"
        "    lea 1(%rdi), %rax\n" /* RTLD_NEXT is -1, RTLD_DEFAULT is 0 */
        "    cmp $1, %rax\n"
        "    ja heapline_dlsym_in_handle\n"
        "    push %rdi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    push %rsi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    sub $8, %rsp\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    call heapline_real_dlsym\n"
        "    add $8, %rsp\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    pop %rsi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    pop %rdi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    jmp *%rax\n"
        ".cfi_endproc\n"
        ".size dlsym, .-dlsym\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl dlsym\n"
        ".type dlsym, %function\n"
        "dlsym:\n"
        ".cfi_startproc\n"
        "    add x9, x0, #1\n"
        "    cmp x9, #1\n"
        "    b.hi heapline_dlsym_in_handle\n"
        "    stp x0, x1, [sp, #-32]!\n"
        ".cfi_adjust_cfa_offset 32\n"
        "    str x30, [sp, #16]\n"
        "    bl heapline_real_dlsym\n"
        "    mov x9, x0\n"
        "    ldr x30, [sp, #16]\n"
        "    ldp x0, x1, [sp], #32\n"
        ".cfi_adjust_cfa_offset -32\n"
        "    br x9\n"
        ".cfi_endproc\n"
        ".size dlsym, .-dlsym\n");
#endif

EXPORT int dlclose(void *handle)
{
    if (!real_available())
        return -1;
    int result = real.dlclose(handle);
    module_table_changed();
    return result;
}

EXPORT int pthread_setname_np(pthread_t which, const char *name)
{
    if (!real_available())
        return ESRCH;
    int result = real.pthread_setname_np(which, name);
    struct thread_state *thread = result == 0 && pthread_equal(which, pthread_self()) ? recorder_enter() : NULL;
    if (thread) {
        thread_registry_name(thread, name);
        recorder_leave(thread);
    }
    return result;
}
