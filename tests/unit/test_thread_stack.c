/* thread_stack.c: a thread's own stack, and no other that it runs on. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "check.h"
#include "thread_stack.h"

extern void *__libc_stack_end;

static uint64_t here(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

static void check_own(int is_first)
{
    struct thread_stack stack = {0, 0};
    CHECK(thread_stack_find(is_first, (uint64_t)pthread_self(), here(), &stack));
    CHECK(stack.low < here() && here() < stack.high);
    CHECK_EQUAL(stack.high, is_first ? (uintptr_t)__libc_stack_end : (uint64_t)pthread_self());
}

static void check_foreign(int is_first, uint64_t stack_pointer)
{
    struct thread_stack stack = {1, 2};
    CHECK(!thread_stack_find(is_first, (uint64_t)pthread_self(), stack_pointer, &stack));
    CHECK_EQUAL(stack.low, 1);
    CHECK_EQUAL(stack.high, 2);
}

static void check_all(int is_first)
{
    static char static_memory[4096];
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check_own(is_first);
    check_foreign(is_first, (uintptr_t)static_memory);
    check_foreign(is_first, (uintptr_t)mapped);
    CHECK_EQUAL(munmap(mapped, 4096), 0);
    check_foreign(is_first, (uintptr_t)mapped);
    check_foreign(is_first, 0);
}

static void *in_thread(void *stack)
{
    check_all(0);
    if (stack) {
        struct thread_stack own;
        CHECK(thread_stack_find(0, (uint64_t)pthread_self(), here(), &own));
        CHECK(own.low <= (uintptr_t)stack);
    }
    return NULL;
}

static void test_thread(size_t bytes, void *stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    CHECK_EQUAL(stack ? pthread_attr_setstack(&attributes, stack, bytes) : pthread_attr_setstacksize(&attributes, bytes), 0);
    CHECK_EQUAL(pthread_create(&thread, &attributes, in_thread, stack), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

int main(void)
{
    check_all(1);
    test_thread(64 << 10, NULL);
    test_thread(16 << 20, NULL);
    test_thread(256 << 10, mmap(NULL, 256 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    return 0;
}
