/* How much memory a process may have: the limit of its cgroup, version 2 or 1 (cgroups(7)). One thread; never allocates. */
#ifndef HEAPLINE_COLLECTOR_CGROUP_LIMIT_H
#define HEAPLINE_COLLECTOR_CGROUP_LIMIT_H

#include <stdint.h>

#define CGROUP_MOUNT "/sys/fs/cgroup"

/* membership: the contents of /proc/PID/cgroup. mount: where the cgroups' files are, CGROUP_MOUNT but in tests. The smallest limit of the cgroup
 * and of those above it; 0: there is none, or it can't be read. In a container the folder may be named as the host sees it, and is not there: the
 * container's own is the root then, which is looked at, too. */
uint64_t cgroup_limit_find(const char *membership, const char *mount);

#endif
