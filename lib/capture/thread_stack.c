/* The main thread's stack grows down from __libc_stack_end; the kernel puts no mapping into the 128 MB below its top (mmap_base() in
 * arch/x86/mm/mmap.c: the gap is at least that wide). The stack of every other thread lies in one mapping with the thread's descriptor, whose
 * address is its pthread_self(), on top. */
#include "thread_stack.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compiler.h"

#define MAIN_STACK_BYTES (128ull << 20)
#define BUFFER_BYTES 1024

extern void *__libc_stack_end __attribute__((weak)); /* of the dynamic linker: the stack pointer that the program began with */

/* Reads "START-END PERMISSIONS ..." lines, whatever their length. */
struct map_parser {
    uint64_t numbers[2]; /* START, END */
    int field;           /* 0, 1: within that number; 2: in the rest of the line */
};

static unsigned digit_of(char letter)
{
    return letter >= 'a' ? (unsigned)(letter - 'a' + 10) : (unsigned)(letter - '0');
}

/* 1: both numbers of a line are known by now. */
static int parse(struct map_parser *parser, char letter)
{
    if (letter == '\n')
        *parser = (struct map_parser){.field = 0};
    else if (parser->field < 2 && (letter == '-' || letter == ' '))
        return ++parser->field == 2;
    else if (parser->field < 2)
        parser->numbers[parser->field] = parser->numbers[parser->field] << 4 | digit_of(letter);
    return 0;
}

/* The mapping that holds the address. */
static int find_mapping(uint64_t address, struct thread_stack *ret_mapping)
{
    char buffer[BUFFER_BYTES];
    struct map_parser parser = {.field = 0};
    int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC), found = 0;
    long bytes;
    while (file >= 0 && !found && (bytes = syscall(SYS_read, file, buffer, sizeof buffer)) > 0)
        for (long i = 0; i < bytes && !found; i++)
            found = parse(&parser, buffer[i]) && address - parser.numbers[0] < parser.numbers[1] - parser.numbers[0];
    if (file >= 0)
        syscall(SYS_close, file);
    if (found)
        *ret_mapping = (struct thread_stack){parser.numbers[0], parser.numbers[1]};
    return found;
}

int thread_stack_find(int is_first_thread, uint64_t pthread_id, uint64_t stack_pointer, struct thread_stack *ret_stack)
{
    uint64_t main_end = &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0;
    if (stack_pointer < main_end && main_end - stack_pointer <= MAIN_STACK_BYTES) {
        *ret_stack = (struct thread_stack){main_end - MAIN_STACK_BYTES, main_end};
        return 1;
    }
    if (is_first_thread)
        return 0;
    int saved_errno = errno;
    struct thread_stack mapping;
    int found = find_mapping(stack_pointer, &mapping) && pthread_id > stack_pointer && pthread_id < mapping.high;
    if (found)
        *ret_stack = (struct thread_stack){mapping.low, pthread_id};
    errno = saved_errno;
    return found;
}
