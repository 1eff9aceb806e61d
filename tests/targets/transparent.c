/* Prints what a program can see of itself: the test compares the output with and without the recorder, byte for byte.
 * No addresses, no process numbers. */
#include <dirent.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "target.h"

static void show_errno(const char *what, int expected)
{
    dprintf(1, "%s: errno %s\n", what, errno == expected ? "kept" : strerrorname_np(errno));
}

static void error_numbers(void)
{
    errno = EXDEV;
    void *block = malloc(100);
    show_errno("malloc", EXDEV);
    block = realloc(block, 100000);
    show_errno("realloc", EXDEV);
    free(block);
    show_errno("free", EXDEV);
    block = calloc(4, 4);
    show_errno("calloc", EXDEV);
    free(block);
    block = malloc(10 * MIB);
    show_errno("large malloc", EXDEV);
    free(block);
    show_errno("large free", EXDEV);
    int error = posix_memalign(&block, 3, 10);
    show_errno("posix_memalign", EXDEV);
    dprintf(1, "posix_memalign: %s\n", strerrorname_np(error));
    block = malloc(opaque(PTRDIFF_MAX));
    show_errno("failing malloc", ENOMEM);
    dprintf(1, "failing malloc: %s\n", block ? "block" : "NULL");
    errno = EXDEV;
    block = aligned_alloc(opaque(24), 10);
    dprintf(1, "aligned_alloc of 24: %s\n", block ? "block" : "NULL");
    show_errno("aligned_alloc of 24", EINVAL);
    free(block);
    errno = EXDEV;
    block = memalign(opaque(24), 10);
    show_errno("memalign of 24", EXDEV);
    free(block);
    errno = EXDEV;
    block = realloc(malloc(10), opaque(0));
    dprintf(1, "realloc to zero: %s\n", block ? "block" : "NULL");
    show_errno("realloc to zero", EXDEV);
    errno = EXDEV;
    require(munmap((void *)1, 1) == -1);
    show_errno("munmap", EINVAL);
    errno = EXDEV;
    require(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    show_errno("mmap", EINVAL);
    errno = EXDEV;
    static char from[100000], to[100000];
    memcpy(to, from, opaque(sizeof to));
    show_errno("memcpy", EXDEV);
}

static void descriptors(void)
{
    int first = open("/dev/null", O_RDONLY);
    int second = dup(first);
    int pair[2];
    require(!pipe(pair));
    dprintf(1, "first open %d, dup %d, pipe %d %d\n", first, second, pair[0], pair[1]);
    int many[200];
    for (int i = 0; i < 200; i++)
        many[i] = open("/dev/null", O_RDONLY);
    dprintf(1, "many: %d to %d\n", many[0], many[199]);
    for (int i = 0; i < 200; i++)
        close(many[i]);
    /* What daemons do. */
    for (int i = 3; i < 1024; i++)
        close(i);
    dprintf(1, "after closing all: %d\n", open("/dev/null", O_RDONLY));
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder));)
        count++;
    closedir(folder);
    dprintf(1, "entries in /proc/self/fd: %d\n", count);
}

static void signals(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (number == 32 || number == 33 || sigaction(number, NULL, &action))
            continue;
        if (action.sa_handler != SIG_DFL)
            dprintf(1, "signal %d: %s\n", number, action.sa_handler == SIG_IGN ? "ignored" : "handled");
    }
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&blocked, number) == 1)
            dprintf(1, "signal %d: blocked\n", number);
    stack_t stack;
    sigaltstack(NULL, &stack);
    dprintf(1, "alternate stack: %s\n", stack.ss_flags == SS_DISABLE ? "none" : "set");
}

static void limits(void)
{
    static const struct {
        const char *name;
        int resource;
    } all[] = {{"files", RLIMIT_NOFILE}, {"stack", RLIMIT_STACK}, {"core", RLIMIT_CORE}, {"file size", RLIMIT_FSIZE},
               {"address space", RLIMIT_AS}, {"data", RLIMIT_DATA}, {"locked", RLIMIT_MEMLOCK}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct rlimit limit;
        getrlimit(all[i].resource, &limit);
        dprintf(1, "%s: %ld %ld\n", all[i].name, (long)limit.rlim_cur, (long)limit.rlim_max);
    }
    mode_t mask = umask(0);
    umask(mask);
    errno = 0;
    dprintf(1, "umask %o, nice %d, locale %s\n", mask, getpriority(PRIO_PROCESS, 0), setlocale(LC_ALL, NULL));
}

static void children(void)
{
    siginfo_t info;
    errno = 0;
    int result = waitid(P_ALL, 0, &info, WEXITED | WNOHANG);
    dprintf(1, "waitid: %d %s\n", result, result ? strerrorname_np(errno) : "a child");
    dprintf(1, "session leader %d, group leader %d\n", getsid(0) == getpid(), getpgrp() == getpid());
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        dprintf(1, "argument %d: [%s]\n", i, argv[i]);
    error_numbers();
    descriptors();
    signals();
    limits();
    children();
    char folder[4096];
    require(getcwd(folder, sizeof folder));
    dprintf(1, "in %s\n", folder);
    char text[256];
    ssize_t got;
    while ((got = read(0, text, sizeof text)) > 0)
        require(write(1, text, (size_t)got) == got);
    dprintf(1, "end of input: %s\n", got < 0 ? strerrorname_np(errno) : "yes");
    dprintf(2, "to stderr\n");
    fact("ran", 1);
    return 77;
}
