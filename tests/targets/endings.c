/* The ways a process can end, each after the same known allocations. Usage: endings HOW */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "target.h"

static void *exit_from_thread(void *unused)
{
    (void)unused;
    void *block = malloc(1700); // ALLOC thread/in_thread bytes=1700 count=1 live=1700 live_count=1
    keep(block);
    exit(23);
}

static void at_quick(void)
{
    void *block = malloc(1800); // ALLOC quick_exit/at_quick_exit bytes=1800 count=1 live=1800 live_count=1
    keep(block);
}

static void on_signal(int number)
{
    (void)number;
    _exit(31);
}

static NOINLINE void allocate(void)
{
    for (int i = 0; i < 1000; i++) {
        void *block = malloc(1000); // ALLOC kept bytes=1000000 count=1000 live=500000 live_count=500 peak=500000 peak_count=500
        keep(block);
        if (i % 2)
            free(block);
    }
    void *mapped = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // ALLOC mapped bytes=8192 count=1 live=8192 live_count=1
    require(mapped != MAP_FAILED);
}

static NOINLINE long recurse(long depth)
{
    volatile char frame[1 << 12];
    frame[depth % sizeof frame] = 1;
    return depth < 0 ? 0 : recurse(depth + 1) + frame[0];
}

int main(int argc, char **argv)
{
    require(argc == 2);
    const char *how = argv[1];
    allocate();
    if (!strcmp(how, "return"))
        return 21;
    if (!strcmp(how, "exit"))
        exit(22);
    if (!strcmp(how, "thread")) {
        pthread_t thread;
        require(!pthread_create(&thread, NULL, exit_from_thread, NULL));
        pthread_join(thread, NULL);
    }
    if (!strcmp(how, "pthread_exit"))
        pthread_exit(NULL);
    if (!strcmp(how, "_exit"))
        _exit(24);
    if (!strcmp(how, "_Exit"))
        _Exit(25);
    if (!strcmp(how, "exit_group"))
        syscall(SYS_exit_group, 26);
    if (!strcmp(how, "quick_exit")) {
        at_quick_exit(at_quick);
        quick_exit(27);
    }
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "segv"))
        *(volatile int *)opaque(8) = 1;
    if (!strcmp(how, "fpe"))
        raise(SIGFPE);
    if (!strcmp(how, "overflow"))
        return (int)recurse(0);
    if (!strcmp(how, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(how, "term"))
        kill(getpid(), SIGTERM);
    if (!strcmp(how, "handled")) {
        signal(SIGTERM, on_signal);
        kill(getpid(), SIGTERM);
    }
    if (!strcmp(how, "stop")) {
        /* Stopped and continued by the test. */
        raise(SIGSTOP);
        return 28;
    }
    return 97;
}
