/* cgroup_limit.c: which limit holds for a process, of cgroups made by hand in a folder. */
#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_limit.h"
#include "check.h"

static char mount[] = "/tmp/heapline-cgroup-XXXXXX";

/* Makes the folders on the way, too. */
static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", mount, name);
    for (char *slash = path + strlen(mount) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void test_version_2(void)
{
    put("system.slice/web.service/memory.max", "536870912\n");
    put("system.slice/memory.max", "max\n");
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice/web.service\n", mount), 512 << 20);
    /* Deeper ones, without a limit or without the file, have that of those above. */
    put("system.slice/web.service/workers/memory.max", "max\n");
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice/web.service/workers\n", mount), 512 << 20);
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice/web.service/absent/deeper\n", mount), 512 << 20);
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice\n", mount), 0);
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice/web.service", mount), 512 << 20); /* no line's end */
    /* The smallest, wherever it is. */
    put("system.slice/memory.max", "1000000\n");
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice/web.service\n", mount), 1000000);
    put("system.slice/web.service/memory.max", "4096\n");
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice/web.service\n", mount), 4096);
    CHECK_EQUAL(cgroup_limit_find("0::/\n", mount), 0);
    /* A name that begins like another. */
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice/web\n", mount), 1000000);
}

static void test_version_1(void)
{
    put("memory/docker/abc/memory.limit_in_bytes", "268435456\n");
    put("memory/docker/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    CHECK_EQUAL(cgroup_limit_find("12:cpu,cpuacct:/docker/x\n5:memory:/docker/abc\n1:name=systemd:/docker/abc\n", mount), 256 << 20);
    CHECK_EQUAL(cgroup_limit_find("5:memory:/docker\n", mount), 0);
    CHECK_EQUAL(cgroup_limit_find("3:hugetlb,memory:/docker/abc\n", mount), 256 << 20);
    CHECK_EQUAL(cgroup_limit_find("3:notmemory,memory2:/docker/abc\n", mount), 0);
    /* In a container its own folder is the root of what is mounted. */
    put("memory/memory.limit_in_bytes", "134217728\n");
    CHECK_EQUAL(cgroup_limit_find("5:memory:/kubepods/pod1/elsewhere\n", mount), 128 << 20);
}

static void test_both(void)
{
    /* Both versions are mounted: the limit is where the controller is. */
    put("unlimited/memory.max", "max\n");
    CHECK_EQUAL(cgroup_limit_find("5:memory:/docker/abc\n0::/unlimited\n", mount), 128 << 20);
    CHECK_EQUAL(cgroup_limit_find("0::/system.slice\n5:memory:/docker/abc\n", mount), 1000000);
    /* No limit, for whatever reason. */
    CHECK_EQUAL(cgroup_limit_find("", mount), 0);
    CHECK_EQUAL(cgroup_limit_find("nonsense\n::\n0:\n", mount), 0);
    CHECK_EQUAL(cgroup_limit_find("0::/unlimited\n", "/nowhere"), 0);
    put("odd/memory.max", "many\n");
    CHECK_EQUAL(cgroup_limit_find("0::/odd\n", mount), 0);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}

int main(void)
{
    CHECK(mkdtemp(mount));
    test_version_2();
    test_version_1();
    test_both();
    CHECK_EQUAL(nftw(mount, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    return 0;
}
