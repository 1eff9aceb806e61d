/* A busy server of several threads, to be attached to and detached from while it answers. A child process asks it all the time and checks each
 * answer; other threads wait in every way there is and check that nothing but what they wait for ends their waiting: no EINTR, no early end.
 *
 * server [CLIENTS]: says "ready PID" and goes on until its standard input ends; then "answers=N wrong=N interruptions=N", status 0 when none
 * was wrong and none interrupted. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "target.h"

#define MAX_CLIENTS 8
#define BLOCKS 20

static _Atomic int stopping;
static _Atomic long interruptions;

struct question {
    uint32_t seed, count;
};

/* What both sides compute: the server by way of memory that it allocates, copies and frees. */
static uint32_t mix(uint32_t value)
{
    value ^= value << 13;
    value ^= value >> 17;
    return value ^ value << 5;
}

static uint32_t expected(struct question question)
{
    uint32_t sum = 0, value = question.seed;
    for (uint32_t i = 0; i < question.count; i++)
        sum += value = mix(value);
    return sum;
}

static NOINLINE uint32_t *allocate_answer(uint32_t count)
{
    return malloc(count * sizeof(uint32_t));
}

static uint32_t answer(struct question question)
{
    uint32_t *blocks[BLOCKS], sum = 0, value = question.seed;
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = allocate_answer(question.count);
    for (uint32_t i = 0; i < question.count; i++)
        blocks[0][i] = value = mix(value);
    for (int i = 1; i < BLOCKS; i++) {
        memcpy(blocks[i], blocks[i - 1], question.count * sizeof(uint32_t));
        free(blocks[i - 1]);
    }
    blocks[BLOCKS - 1] = realloc(blocks[BLOCKS - 1], opaque(question.count * 8));
    for (uint32_t i = 0; i < question.count; i++)
        sum += blocks[BLOCKS - 1][i];
    free(blocks[BLOCKS - 1]);
    return sum;
}

/* ---- threads that serve: one that blocks in recv, one in epoll_wait ---- */

static void note(const char *call, int is_right)
{
    if (is_right || stopping)
        return;
    interruptions++;
    dprintf(2, "%s: errno %d\n", call, errno);
}

static int serve_one(int connection)
{
    struct question question;
    ssize_t got = recv(connection, &question, sizeof question, 0);
    if (got == 0)
        return 0;
    note("recv", got == sizeof question);
    uint32_t sum = answer(question);
    note("send", send(connection, &sum, sizeof sum, MSG_NOSIGNAL) == sizeof sum);
    return 1;
}

static void *serve_blocking(void *connection)
{
    while (serve_one((int)(intptr_t)connection))
        ;
    return NULL;
}

static void *serve_by_epoll(void *connection)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, (int)(intptr_t)connection, &event);
    for (;;) {
        int count = epoll_wait(epoll, &event, 1, -1);
        note("epoll_wait", count == 1);
        if (count == 1 && !serve_one((int)(intptr_t)connection))
            return NULL;
    }
}

/* ---- threads that wait ---- */

static struct timespec in_30_ms(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += 30000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

static void *wait_asleep(void *unused)
{
    while (!stopping) {
        struct timespec time = {0, 30000000};
        note("nanosleep", nanosleep(&time, NULL) == 0);
        note("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL) == 0);
    }
    return unused;
}

static void *wait_for_files(void *unused)
{
    int ends[2], epoll = epoll_create1(EPOLL_CLOEXEC), pair[2];
    struct epoll_event event = {.events = EPOLLIN};
    struct timeval limit = {0, 30000};
    char byte;
    require(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while (!stopping) {
        struct pollfd file = {ends[0], POLLIN, 0};
        struct timespec time = {0, 30000000};
        fd_set set;
        FD_ZERO(&set);
        FD_SET(ends[0], &set);
        limit = (struct timeval){0, 30000};
        note("poll", poll(&file, 1, 30) == 0);
        note("ppoll", ppoll(&file, 1, &time, NULL) == 0);
        note("select", select(ends[0] + 1, &set, NULL, NULL, &limit) == 0);
        note("epoll_wait with a limit", epoll_wait(epoll, &event, 1, 30) == 0);
        note("recv with a limit", recv(pair[0], &byte, 1, 0) == -1 && errno == EAGAIN);
    }
    return unused;
}

static void *wait_for_others(void *unused)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    sem_t semaphore;
    sigset_t signals;
    sem_init(&semaphore, 0, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    while (!stopping) {
        struct timespec until = in_30_ms(CLOCK_REALTIME), limit = {0, 30000000};
        pthread_mutex_lock(&mutex);
        note("pthread_cond_timedwait", pthread_cond_timedwait(&condition, &mutex, &until) == ETIMEDOUT);
        pthread_mutex_unlock(&mutex);
        until = in_30_ms(CLOCK_REALTIME);
        note("sem_timedwait", sem_timedwait(&semaphore, &until) == -1 && errno == ETIMEDOUT);
        note("sigtimedwait", sigtimedwait(&signals, NULL, &limit) == -1 && errno == EAGAIN);
    }
    return unused;
}

/* Never waits. */
static void *compute(void *unused)
{
    uint32_t value = 1;
    while (!stopping)
        for (int i = 0; i < 100000; i++)
            value = mix(value);
    keep(&value);
    return unused;
}

/* Threads that come and go while others are being attached to. */
static void *come_and_go(void *unused)
{
    pthread_t thread;
    while (!stopping) {
        require(pthread_create(&thread, NULL, (void *(*)(void *))(void *)allocate_answer, (void *)10) == 0);
        void *block;
        pthread_join(thread, &block);
        free(block);
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    return unused;
}

/* ---- the other side ---- */

struct tally {
    long answers, wrong;
};

static int ask(const int *connections, int count, int control)
{
    struct tally tally = {0};
    struct pollfd end = {control, POLLIN, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint32_t i = 1; poll(&end, 1, 0) == 0; i++) {
        struct question questions[MAX_CLIENTS];
        for (int k = 0; k < count; k++) {
            questions[k] = (struct question){i * 8 + (uint32_t)k, 10 + i % 300};
            require(write(connections[k], &questions[k], sizeof *questions) == sizeof *questions);
        }
        for (int k = 0; k < count; k++) {
            uint32_t sum;
            require(read(connections[k], &sum, sizeof sum) == sizeof sum);
            tally.answers++;
            tally.wrong += sum != expected(questions[k]);
        }
        nanosleep(&(struct timespec){0, 500000}, NULL);
    }
    return write(control, &tally, sizeof tally) != sizeof tally;
}

int main(int argc, char **argv)
{
    static void *(*const others[])(void *) = {wait_asleep, wait_for_files, wait_for_others, come_and_go, compute};
    int client_count = argc > 1 ? atoi(argv[1]) : 4, with_computing = argc > 2;
    int servers[MAX_CLIENTS], clients[MAX_CLIENTS], control[2];
    pthread_t threads[MAX_CLIENTS + 5];
    struct tally tally;
    sigset_t signals;
    char byte;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, control) == 0);
    for (int i = 0; i < client_count; i++) {
        int pair[2];
        require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        servers[i] = pair[0];
        clients[i] = pair[1];
    }
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < client_count; i++)
            close(servers[i]);
        close(control[0]);
        _exit(ask(clients, client_count, control[1]));
    }
    close(control[1]);
    for (int i = 0; i < client_count; i++)
        close(clients[i]);
    for (int i = 0; i < client_count; i++)
        pthread_create(&threads[i], NULL, i % 2 ? serve_by_epoll : serve_blocking, (void *)(intptr_t)servers[i]);
    int other_count = 4 + with_computing;
    for (int i = 0; i < other_count; i++)
        pthread_create(&threads[client_count + i], NULL, others[i], NULL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    require(write(control[0], "", 1) == 1 && read(control[0], &tally, sizeof tally) == sizeof tally);
    stopping = 1;
    for (int i = 0; i < client_count + other_count; i++)
        pthread_join(threads[i], NULL);
    waitpid(child, NULL, 0);
    printf("answers=%ld wrong=%ld interruptions=%ld\n", tally.answers, tally.wrong, interruptions);
    return tally.wrong || interruptions || !tally.answers;
}
