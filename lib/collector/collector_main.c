/* The collector's program: file 3 is the memory of the session it is to drain, file 4, where the session speaks of a
 * slot table, the target's own; everything else it must know stands in there.
 * Started by libheapline.so in a grandchild of the target. It lives in a session of its own and outlives signals that are meant for the
 * target's terminal or group; only the end of the target ends it. */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector.h"
#include "epilogue.h"

#define SESSION_FILE 3
#define MEMORY_FILE 4

/* Read by jemalloc when it starts: one arena (there is one thread), memory given back soon. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,background_thread:false,dirty_decay_ms:1000,muzzy_decay_ms:0";

static struct collector collector;

/* A fault of our own: at least the target must not wait for us. */
static void die(int number)
{
    if (collector.session)
        collector_give_up(collector.session);
    signal(number, SIG_DFL);
    raise(number);
}

static void ignore_signals(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGXFSZ, SIGALRM, SIGVTALRM, SIGPROF, SIGUSR1, SIGUSR2,
                                  SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU, SIGCHLD, SIGIO, SIGPWR};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
        signal(ignored[i], SIG_IGN);
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++)
        signal(faults[i], die);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The target's soft limits and real-time scheduling are meant for the target. */
static void lift_limits(void)
{
    static const int limits[] = {RLIMIT_AS, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_STACK};
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        struct rlimit limit;
        if (getrlimit(limits[i], &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            setrlimit(limits[i], &limit);
        }
    }
    int policy = sched_getscheduler(0);
    if (policy == SCHED_FIFO || policy == SCHED_RR)
        sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
}

int main(void)
{
    ignore_signals();
    lift_limits();
    setsid();
    prctl(PR_SET_NAME, "heapline-collec");
    struct stat about;
    if (fstat(SESSION_FILE, &about) != 0)
        return 1;
    if (about.st_size == sizeof(struct epilogue))
        return collector_write_epilogue(SESSION_FILE) != 0;
    struct session_header *session = session_map(SESSION_FILE);
    if (!session)
        return 1;
    if (collector_start(&collector, session, SESSION_FILE, about.st_ino, session->slots_address ? MEMORY_FILE : -1) != 0) {
        collector_give_up(session);
        return 1;
    }
    collector_run(&collector);
    return 0;
}
