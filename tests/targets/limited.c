/* Takes a resource away from itself before it allocates, or before another image of itself runs. Usage: limited WHAT [exec] */
#include <sys/resource.h>

#include "target.h"

int main(int argc, char **argv)
{
    require(argc >= 2);
    const char *what = argv[1];
    struct rlimit limit = {0, 0};
    int resource = -1;
    if (!strcmp(what, "files"))
        resource = RLIMIT_NOFILE, limit.rlim_cur = limit.rlim_max = 4;
    if (!strcmp(what, "file_size"))
        resource = RLIMIT_FSIZE;
    if (!strcmp(what, "address_space"))
        resource = RLIMIT_AS, limit.rlim_cur = limit.rlim_max = 256 * MIB;
    if (!strcmp(what, "data"))
        resource = RLIMIT_DATA, limit.rlim_cur = limit.rlim_max = 64 * MIB;
    if (!strcmp(what, "processes"))
        resource = RLIMIT_NPROC, limit.rlim_cur = limit.rlim_max = 1;
    require(resource >= 0 || !strcmp(what, "nothing"));
    if (resource >= 0)
        require(!setrlimit(resource, &limit));
    if (argc > 2) {
        char *next[] = {argv[0], "nothing", NULL};
        execv("/proc/self/exe", next);
        return 94;
    }
    for (int i = 0; i < 2000; i++) {
        void *block = malloc(2500); // ALLOC block bytes=5000000 count=2000 live_count=0
        require(block);
        memset(block, 1, 2500);
        free(block);
    }
    static const char said[] = "limited: done\n";
    require(write(1, said, sizeof said - 1) == sizeof said - 1);
    return 12;
}
