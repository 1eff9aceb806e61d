/* Processes that make processes. Usage: children HOW. What a child allocates is marked with the group of its role:
 * HOW/parent lines belong to the first process, HOW/child lines to the child's own trace. */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "target.h"

extern char **environ;
static void *inherited[10];

static int wait_for(pid_t child)
{
    int status;
    require(waitpid(child, &status, 0) == child);
    return status;
}

static NOINLINE void before_fork(void)
{
    for (int i = 0; i < 10; i++)
        inherited[i] = malloc(10000); // ALLOC parent/inherited bytes=100000 count=10 live=100000 live_count=10
}

static NOINLINE void child_work(void)
{
    for (int i = 0; i < 4; i++)
        free(inherited[i]);
    inherited[4] = realloc(inherited[4], 3000); // ALLOC child/resized bytes=3000 count=1 live=3000 live_count=1 copied=?
    for (int i = 0; i < 100; i++) {
        void *block = malloc(500); // ALLOC child/own bytes=50000 count=100 live=25000 live_count=50
        keep(block);
        if (i % 2)
            free(block);
    }
}

static NOINLINE void parent_work(void)
{
    void *block = malloc(7000); // ALLOC parent/after bytes=7000 count=1 live=7000 live_count=1
    keep(block);
    free(inherited[9]);
    inherited[9] = malloc(1); // ALLOC parent/last bytes=1 count=1 live=1 live_count=1
}

static void by_fork(void)
{
    before_fork();
    pid_t child = fork();
    if (!child) {
        child_work();
        exit(5);
    }
    fact("child", child);
    require(wait_for(child) == 5 << 8);
    parent_work();
}

static void by_grandchildren(void)
{
    before_fork();
    pid_t child = fork();
    if (!child) {
        void *middle = malloc(800); // ALLOC middle/own bytes=800 count=1 live=800 live_count=1
        keep(middle);
        pid_t grandchild = fork();
        if (!grandchild) {
            child_work();
            _exit(6);
        }
        fact("grandchild", grandchild);
        require(wait_for(grandchild) == 6 << 8);
        exit(7);
    }
    fact("child", child);
    require(wait_for(child) == 7 << 8);
    parent_work();
}

static _Atomic int stop;
static _Atomic long churned;

static void *churn(void *unused)
{
    long rounds = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        void *block = malloc(64); // ALLOC threads/churn bytes=64*churned count=churned live_count=0
        keep(block);
        free(block);
        rounds++;
    }
    atomic_fetch_add(&churned, rounds);
    return unused;
}

static void by_fork_with_threads(void)
{
    before_fork();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        require(!pthread_create(&threads[i], NULL, churn, NULL));
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (!child) {
            child_work();
            _exit(8);
        }
        char name[32];
        snprintf(name, sizeof name, "child%d", round);
        fact(name, child);
        require(wait_for(child) == 8 << 8);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    fact("churned", atomic_load(&churned));
    parent_work();
}

static int then_exec(char **argv)
{
    before_fork();
    int left = argv[2] ? atoi(argv[2]) : 0;
    if (left > 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", left - 1);
        char *next[] = {argv[0], argv[1], number, NULL};
        execv("/proc/self/exe", next);
        return 96;
    }
    return 9;
}

int main(int argc, char **argv)
{
    require(argc >= 2);
    const char *how = argv[1];
    pid_t child;
    if (!strcmp(how, "fork")) {
        by_fork();
    } else if (!strcmp(how, "grandchildren")) {
        by_grandchildren();
    } else if (!strcmp(how, "threads")) {
        by_fork_with_threads();
    } else if (!strcmp(how, "exec")) {
        return then_exec(argv);
    } else if (!strcmp(how, "exec_failed")) {
        before_fork();
        require(execl("/nonexistent/program", "program", NULL) == -1 && errno == ENOENT);
        parent_work();
    } else if (!strcmp(how, "work")) {
        before_fork();
        child_work();
        return 4;
    } else if (!strcmp(how, "vfork")) {
        before_fork();
        child = vfork();
        if (!child) {
            execl("/proc/self/exe", argv[0], "work", NULL);
            _exit(95);
        }
        fact("child", child);
        require(wait_for(child) == 4 << 8);
        child = vfork();
        if (!child)
            _exit(3);
        require(wait_for(child) == 3 << 8);
        parent_work();
    } else if (!strcmp(how, "spawn")) {
        before_fork();
        char *next[] = {argv[0], "work", NULL};
        require(!posix_spawn(&child, "/proc/self/exe", NULL, NULL, next, environ));
        fact("child", child);
        require(wait_for(child) == 4 << 8);
        parent_work();
    } else if (!strcmp(how, "system")) {
        before_fork();
        char command[4200];
        snprintf(command, sizeof command, "'%s' work", argv[2]);
        require(system(command) == 4 << 8);
        parent_work();
    } else if (!strcmp(how, "popen")) {
        before_fork();
        FILE *reader = popen("echo out of the pipe", "r"); // ALLOC popen/stream live_count=0 live=?
        char line[64];
        require(reader && fgets(line, sizeof line, reader) && !strcmp(line, "out of the pipe\n"));
        require(!pclose(reader));
        parent_work();
    } else if (!strcmp(how, "orphan")) {
        /* A daemon's way: the first process ends before its grandchild does. */
        before_fork();
        int ready[2];
        require(!pipe(ready));
        child = fork();
        if (!child) {
            if (fork())
                _exit(0);
            char byte;
            close(ready[1]);
            /* Returns when the first process is gone. */
            require(read(ready[0], &byte, 1) == 0);
            child_work();
            fact("orphan", getpid());
            _exit(0);
        }
        require(!wait_for(child));
        parent_work();
    } else {
        return 2;
    }
    return 0;
}
