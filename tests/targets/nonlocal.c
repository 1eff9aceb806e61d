/* Stacks that don't return: longjmp out of deep calls and out of signal handlers; handlers that allocate at known points, on the
 * normal and on an alternate stack. */
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "target.h"

static jmp_buf out;
static sigjmp_buf interrupted;
static volatile sig_atomic_t ticks;

static NOINLINE void dive(int depth)
{
    void *block = malloc(100); // ALLOC dive bytes=100*51*200 count=51*200 live_count=0
    keep(block);
    free(block);
    if (depth == 0)
        longjmp(out, 1);
    dive(depth - 1);
    keep(&depth);
}

static void on_user_signal(int number)
{
    (void)number;
    void *block = malloc(1300); // ALLOC in_handler bytes=1300*300 count=300 live_count=0
    keep(block);
    free(block);
}

static void on_alarm(int number)
{
    (void)number;
    ticks++;
    siglongjmp(interrupted, 1);
}

static NOINLINE void jumps(void)
{
    for (volatile int i = 0; i < 200; i++)
        if (!setjmp(out))
            dive(50);
    void *after = malloc(210); // ALLOC after_jumps bytes=210 count=1 live=210 live_count=1
    keep(after);
}

static NOINLINE void handlers(void)
{
    static char alternate[64 * 1024];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_handler = on_user_signal};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 150; i++)
        raise(SIGUSR1);
    sigaltstack(&stack, NULL);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 150; i++)
        raise(SIGUSR1);
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
}

/* An alarm jumps out of a loop of copies, at any instruction: also out of the recorder's own. Afterwards everything must
 * be recorded as ever. */
static NOINLINE void torn_copies(void)
{
    static char from[8192], to[8192];
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    while (ticks < 200) {
        if (!sigsetjmp(interrupted, 1)) {
            struct itimerval soon = {.it_value.tv_usec = 300};
            setitimer(ITIMER_REAL, &soon, NULL);
            for (;;) {
                memcpy(to, from, opaque(sizeof to));
                keep(to);
            }
        }
        void *after = malloc(330); // ALLOC after_alarm bytes=330*alarms count=alarms live_count=0
        keep(after);
        free(after);
    }
    fact("alarms", ticks);
}

int main(void)
{
    jumps();
    handlers();
    torn_copies();
    for (int i = 0; i < 1000; i++) {
        void *block = malloc(10); // ALLOC at_the_end bytes=10000 count=1000 live=10000 live_count=1000
        keep(block);
    }
    return 0;
}
