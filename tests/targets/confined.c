/* Shuts itself off from the system before it allocates. Usage: confined strict | refused COUNT
 * strict: read, write and exit are all that is left, anything else kills. refused: everything else fails with EPERM. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "target.h"

static void refuse(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    require(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    require(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
}

int main(int argc, char **argv)
{
    require(argc == 3);
    int count = atoi(argv[2]);
    fact("count", count);
    void *reserve = malloc(100000);
    keep(reserve);
    free(reserve);
    if (!strcmp(argv[1], "strict"))
        require(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
    else
        refuse();
    for (int i = 0; i < count; i++) {
        void *block = malloc((size_t)i % 500 + 1); // ALLOC block bytes=count//500*125250 count=count live_count=0
        keep(block);
        free(block);
    }
    static const char said[] = "confined: done\n";
    require(write(1, said, sizeof said - 1) == sizeof said - 1);
    syscall(SYS_exit, 15);
}
