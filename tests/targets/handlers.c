/* Signal handlers that copy and fork, wherever they interrupt the program. Usage: handlers HOW.
 *   register   handlers copy while threads begin
 *   copy       handlers fork while the program copies; the child goes on where the handler interrupted it
 *   fork       handlers fork while the program forks
 *   thread     a thread forks, and ends as the child's only one
 *   torn       handlers jump out of a thread that copies on ever new stacks, while others allocate on ever new ones
 *   stacks     handlers allocate and copy on ever new stacks, in threads that do
 *   crowd      more threads at once than there are rings for; each allocates and copies */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "target.h"

#define COPY_MICROSECONDS 20
#define FORK_MICROSECONDS 700
#define FORKS 200
#define CHILD_COPIES 40
#define CROWD 1200

static char from[8 * KIB], to[8 * KIB];
static volatile int forks, child_copies;

static void copy(size_t bytes)
{
    memcpy(to, from, opaque(bytes));
    keep(to);
}

/* Once: a handler sets it again at its end, so that the program gets on however long a handler takes. */
static void set_timer(int microseconds)
{
    struct itimerval timer = {{0, 0}, {0, microseconds}};
    require(!setitimer(ITIMER_REAL, &timer, NULL));
}

static void start_timer(void (*handler)(int), int microseconds)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    require(!sigaction(SIGALRM, &action, NULL));
    set_timer(microseconds);
}

static void copy_own(void)
{
    char own[600];
    memcpy(own, from, opaque(sizeof own));
    keep(own);
}

static void on_alarm_copy(int signal)
{
    copy_own();
    set_timer(COPY_MICROSECONDS);
}

static void *short_thread(void *unused)
{
    for (int i = 0; i < 5; i++)
        copy_own();
    return unused;
}

static void in_register(void)
{
    start_timer(on_alarm_copy, COPY_MICROSECONDS);
    for (int i = 0; i < 3000; i++) {
        pthread_t threads[4];
        for (int k = 0; k < 4; k++)
            require(!pthread_create(&threads[k], NULL, short_thread, NULL));
        for (int k = 0; k < 4; k++)
            require(!pthread_join(threads[k], NULL));
    }
}

static void on_alarm_fork(int signal)
{
    int saved_errno = errno, status;
    if (child_copies)
        return;
    pid_t child = fork();
    require(child >= 0);
    if (child) {
        require(waitpid(child, &status, 0) == child);
        require(status == 0);
        forks++;
        set_timer(FORK_MICROSECONDS);
    } else {
        child_copies = 1;
    }
    errno = saved_errno;
}

static NOINLINE void copy_at_depth(int depth)
{
    if (depth) {
        copy_at_depth(depth - 1);
        keep(&depth);
        return;
    }
    for (int i = 0; i < 20; i++) {
        copy(600 + i);
        if (child_copies && child_copies++ > CHILD_COPIES)
            _exit(0);
    }
}

static void in_copy(void)
{
    start_timer(on_alarm_fork, FORK_MICROSECONDS);
    for (int depth = 0; forks < FORKS; depth++)
        copy_at_depth(depth % 200);
}

static void in_fork(void)
{
    start_timer(on_alarm_fork, FORK_MICROSECONDS);
    while (forks < FORKS) {
        pid_t child = fork();
        int waited = child > 0 && waitpid(child, NULL, 0) == child;
        if (!child || child_copies)
            _exit(0); /* the child of a handler may have got anywhere here */
        require(waited);
    }
}

static void *forking_thread(void *unused)
{
    int status;
    copy(600);
    pid_t child = fork();
    if (!child) {
        copy(600);
        pthread_exit(NULL);
    }
    require(waitpid(child, &status, 0) == child);
    require(status == 0);
    return unused;
}

static void in_thread(void)
{
    pthread_t thread;
    copy(600);
    require(!pthread_create(&thread, NULL, forking_thread, NULL));
    require(!pthread_join(thread, NULL));
}

/* ---- ever new stacks ---- */

#define STACK_DEPTH 14
#define STACK_ROUNDS 4000
#define STACK_THREADS 3
#define TORN_MICROSECONDS 50

static NOINLINE void to_the_left(unsigned path, int depth, void (*at_the_end)(void));

static NOINLINE void to_the_right(unsigned path, int depth, void (*at_the_end)(void))
{
    if (!depth)
        at_the_end();
    else if (path & 1)
        to_the_left(path >> 1, depth - 1, at_the_end);
    else
        to_the_right(path >> 1, depth - 1, at_the_end);
    keep(&path);
}

static NOINLINE void to_the_left(unsigned path, int depth, void (*at_the_end)(void))
{
    if (!depth)
        at_the_end();
    else if (path & 1)
        to_the_left(path >> 1, depth - 1, at_the_end);
    else
        to_the_right(path >> 1, depth - 1, at_the_end);
    keep(&path);
}

static void change_alarms(int how)
{
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    require(!pthread_sigmask(how, &alarms, NULL));
}

static void block_alarms(void)
{
    change_alarms(SIG_BLOCK);
}

static void unblock_alarms(void)
{
    change_alarms(SIG_UNBLOCK);
}

static NOINLINE void allocate_there(void)
{
    void *block = malloc(opaque(40));
    keep(block);
    free(block);
}

static _Thread_local sigjmp_buf out;
static volatile int others_are_done;

static void on_alarm_jump(int signal)
{
    siglongjmp(out, 1);
}

/* The only thread that gets alarms. */
static void *copy_until_torn(void *unused)
{
    unblock_alarms();
    for (volatile unsigned path = 0; !others_are_done; path++)
        if (!sigsetjmp(out, 1)) {
            set_timer(TORN_MICROSECONDS);
            for (;; path++)
                to_the_left(path * 2654435761u, STACK_DEPTH, copy_own);
        }
    return unused;
}

static void *allocate_on_new_stacks(void *argument)
{
    for (unsigned round = 0; round < STACK_ROUNDS; round++)
        to_the_right((round * STACK_THREADS + (unsigned)(long)argument) * 2246822519u, STACK_DEPTH, allocate_there);
    return NULL;
}

static void with_threads(void *(*work)(void *))
{
    pthread_t threads[STACK_THREADS];
    for (long i = 0; i < STACK_THREADS; i++)
        require(!pthread_create(&threads[i], NULL, work, (void *)i));
    for (int i = 0; i < STACK_THREADS; i++)
        require(!pthread_join(threads[i], NULL));
}

static void in_torn(void)
{
    pthread_t torn;
    struct sigaction action = {.sa_handler = on_alarm_jump};
    require(!sigaction(SIGALRM, &action, NULL));
    block_alarms();
    require(!pthread_create(&torn, NULL, copy_until_torn, NULL));
    with_threads(allocate_on_new_stacks);
    others_are_done = 1;
    require(!pthread_join(torn, NULL));
}

static _Atomic long handlers_run;
static _Atomic unsigned handler_path;

static void allocate_and_copy(void)
{
    allocate_there();
    copy_own();
}

/* In a thread that only copies: malloc is not what it interrupts. */
static void on_alarm_allocate(int signal)
{
    int saved_errno = errno;
    handlers_run++;
    to_the_left(handler_path++ * 3266489917u, STACK_DEPTH, allocate_and_copy);
    set_timer(COPY_MICROSECONDS);
    errno = saved_errno;
}

static void *copy_on_new_stacks(void *argument)
{
    unblock_alarms();
    for (unsigned round = 0; round < STACK_ROUNDS; round++)
        to_the_right((round * STACK_THREADS + (unsigned)(long)argument) * 2246822519u, STACK_DEPTH, copy_own);
    block_alarms();
    return NULL;
}

static void in_stacks(void)
{
    block_alarms();
    start_timer(on_alarm_allocate, COPY_MICROSECONDS);
    with_threads(copy_on_new_stacks);
    fact("handlers", handlers_run);
    fact("rounds", STACK_THREADS * STACK_ROUNDS);
}

static pthread_barrier_t all_here;

static void *crowd_member(void *unused)
{
    char own[300];
    for (int i = 0; i < 1000; i++) {
        if (i == 500)
            pthread_barrier_wait(&all_here);
        void *block = malloc(opaque(40));
        keep(block);
        free(block);
        memcpy(own, from, opaque(sizeof own));
        keep(own);
    }
    return unused;
}

static void in_crowd(void)
{
    static pthread_t threads[CROWD];
    pthread_attr_t attributes;
    require(!pthread_barrier_init(&all_here, NULL, CROWD));
    require(!pthread_attr_init(&attributes) && !pthread_attr_setstacksize(&attributes, 64 * KIB));
    for (int i = 0; i < CROWD; i++)
        require(!pthread_create(&threads[i], &attributes, crowd_member, NULL));
    for (int i = 0; i < CROWD; i++)
        require(!pthread_join(threads[i], NULL));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } ways[] = {{"register", in_register}, {"copy", in_copy}, {"fork", in_fork}, {"thread", in_thread}, {"crowd", in_crowd}, {"torn", in_torn},
        {"stacks", in_stacks}};
    require(argc == 2);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(argv[1], ways[i].name)) {
            ways[i].run();
            return 0;
        }
    return 2;
}
