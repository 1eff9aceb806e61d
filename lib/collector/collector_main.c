/* The collector's program: file 3 is the memory of the session it is to drain; everything else it must know stands in there.
 * Started by libheapline.so in a grandchild of the target. It lives in a session of its own and outlives signals that are meant for the
 * target's terminal or group; only the end of the target ends it. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector.h"

#define SESSION_FILE 3

/* Read by jemalloc when it starts: one arena (there is one thread), memory given back soon. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,background_thread:false,dirty_decay_ms:1000,muzzy_decay_ms:0";

static void leave_the_target_s_world(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGXFSZ, SIGALRM, SIGVTALRM, SIGPROF, SIGUSR1, SIGUSR2,
                                  SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU, SIGCHLD, SIGIO, SIGPWR};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    prctl(PR_SET_NAME, "heapline-collec");
}

int main(void)
{
    static struct collector collector;
    leave_the_target_s_world();
    struct stat about;
    struct session_header *session = fstat(SESSION_FILE, &about) == 0 ? session_map(SESSION_FILE) : NULL;
    if (!session)
        return 1;
    close(SESSION_FILE);
    if (collector_start(&collector, session, about.st_ino) != 0) {
        collector_give_up(session);
        return 1;
    }
    collector_run(&collector);
    return 0;
}
