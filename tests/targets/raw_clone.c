/* A child made by a raw system call, which libc and so the recorder know nothing of: it allocates, and none of that may show in the
 * parent's trace. */
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

int main(void)
{
    for (int round = 0; round < 20; round++) {
        void *own = malloc(1500); // ALLOC parent bytes=30000 count=20 live=30000 live_count=20
        keep(own);
        /* Longer than the collector leaves the order of events as it is. */
        usleep(5000);
        long child = syscall(SYS_clone, 17 /* SIGCHLD */, 0, 0, 0, 0);
        if (child == 0) {
            for (int i = 0; i < 2000; i++) {
                void *block = malloc(100); // ALLOC child bytes=0 count=0 live_count=0
                keep(block);
                free(block);
            }
            syscall(SYS_exit_group, 0);
        }
        int status;
        require(waitpid((pid_t)child, &status, 0) == child && status == 0);
    }
    return 0;
}
