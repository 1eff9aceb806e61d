/* See target_process.h. */
#include "target_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* linux/pidfd.h of Linux 6.15: the exit status of a process that was already waited for. */
struct process_info {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t ids[11];
    int32_t exit_code;
};
#define PROCESS_GET_INFO _IOWR(0xff, 11, struct process_info)
#define PROCESS_INFO_EXIT (1u << 3)

/* Between the end of a process and its parent's wait call neither source may have the status for an instant. */
#define STATUS_ATTEMPTS 20
#define STATUS_PAUSE_NS 1000000

static void close_if_open(int file)
{
    if (file >= 0)
        close(file);
}

/* 1: the image whose memory `maps_file` shows has not mapped that memfd. 0: it has, or has no memory left (the process ends). */
static int is_another_image(int maps_file, uint64_t inode)
{
    char *line = NULL;
    size_t line_capacity = 0;
    int lines = 0, found = 0, copy = fcntl(maps_file, F_DUPFD_CLOEXEC, 0);
    FILE *maps = copy < 0 ? NULL : fdopen(copy, "r");
    if (!maps)
        return 0;
    for (; !found && getline(&line, &line_capacity, maps) > 0; lines++) {
        uint64_t line_inode;
        found = strstr(line, "/memfd:") && sscanf(line, "%*s %*s %*s %*s %" SCNu64, &line_inode) == 1 && line_inode == inode;
    }
    free(line);
    fclose(maps);
    return lines > 0 && !found;
}

/* Its number in /proc, which may be that of another PID namespace than ours: where the program is the first of a new one, /proc/1 is somebody
 * else. The file system tells (proc(5), pidfd_open(2)). Returns `pid` where it doesn't. */
static int number_in_proc(int pidfd, int pid)
{
    char path[48], line[128];
    int number = pid;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    FILE *info = pidfd < 0 ? NULL : fopen(path, "re");
    while (info && fgets(line, sizeof line, info))
        if (sscanf(line, "Pid: %d", &number) == 1)
            break;
    if (info)
        fclose(info);
    return number;
}

void target_process_open(struct target_process *target, int pid, int pidfd, uint64_t session_inode)
{
    char path[32];
    *target = (struct target_process){.pid = pid, .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE)};
    target->pidfd = pidfd >= 0 ? pidfd : (int)syscall(SYS_pidfd_open, pid, 0);
    snprintf(path, sizeof path, "/proc/%d", number_in_proc(target->pidfd, pid));
    target->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    target->maps_file = openat(target->folder, "maps", O_RDONLY | O_CLOEXEC);
    target->statm_file = openat(target->folder, "statm", O_RDONLY | O_CLOEXEC);
    target->was_another = target->maps_file >= 0 && is_another_image(target->maps_file, session_inode);
}

void target_process_close(struct target_process *target)
{
    close_if_open(target->pidfd);
    close_if_open(target->folder);
    close_if_open(target->maps_file);
    close_if_open(target->statm_file);
}

int target_process_wait(const struct target_process *target, int timeout_ms)
{
    if (target->pidfd < 0)
        return kill(target->pid, 0) != 0 && errno == ESRCH;
    struct pollfd poll_pidfd = {.fd = target->pidfd, .events = POLLIN};
    return poll(&poll_pidfd, 1, timeout_ms) == 1;
}

static int has_memory(int maps_file)
{
    char byte;
    return pread(maps_file, &byte, 1, 0) == 1;
}

int target_process_has_execed(const struct target_process *target)
{
    if (target->was_another)
        return !target_process_wait(target, 0);
    /* The file belongs to the memory of one program image; once that is given up, it reads as empty. A process that ends has no memory
     * at all. */
    if (target->maps_file < 0 || has_memory(target->maps_file))
        return 0;
    int maps_now = openat(target->folder, "maps", O_RDONLY | O_CLOEXEC);
    int execed = maps_now >= 0 && has_memory(maps_now);
    close_if_open(maps_now);
    return execed;
}

/* Field 52 of /proc/PID/stat while it is a zombie. It reads as zero where we are not permitted to see it. */
static int status_of_zombie(const struct target_process *target, int *ret_status)
{
    char text[2048];
    if (target_process_read(target, "stat", text, sizeof text) <= 0)
        return 0;
    char *field = strrchr(text, ')');
    if (!field || (field[2] != 'Z' && field[2] != 'X'))
        return 0;
    for (int number = 2; number < 52 && field; number++)
        field = strchr(field + 1, ' ');
    if (!field)
        return 0;
    int status = atoi(field + 1);
    if (status == 0 && target->maps_file < 0)
        return 0;
    *ret_status = status;
    return 1;
}

static int status_after_wait(const struct target_process *target, int *ret_status)
{
    struct process_info info = {.mask = PROCESS_INFO_EXIT};
    if (target->pidfd < 0 || ioctl(target->pidfd, PROCESS_GET_INFO, &info) != 0 || !(info.mask & PROCESS_INFO_EXIT))
        return 0;
    *ret_status = info.exit_code;
    return 1;
}

int target_process_status(const struct target_process *target, int *ret_status)
{
    for (int attempt = 0; attempt < STATUS_ATTEMPTS; attempt++) {
        if (status_after_wait(target, ret_status) || status_of_zombie(target, ret_status))
            return 1;
        if (target->folder < 0 || faccessat(target->folder, "stat", F_OK, 0) != 0)
            return status_after_wait(target, ret_status);
        nanosleep(&(struct timespec){0, STATUS_PAUSE_NS}, NULL);
    }
    return 0;
}

uint64_t target_process_rss_bytes(const struct target_process *target)
{
    char text[128];
    ssize_t bytes = target->statm_file < 0 ? -1 : pread(target->statm_file, text, sizeof text - 1, 0);
    if (bytes <= 0)
        return 0;
    text[bytes] = 0;
    char *second = strchr(text, ' ');
    return second ? strtoull(second + 1, NULL, 10) * target->page_bytes : 0;
}

long target_process_read(const struct target_process *target, const char *name, char *text, size_t capacity)
{
    int file = target->folder < 0 ? -1 : openat(target->folder, name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    size_t filled = 0;
    for (ssize_t bytes; filled < capacity - 1 && (bytes = read(file, text + filled, capacity - 1 - filled)) > 0;)
        filled += (size_t)bytes;
    close(file);
    text[filled] = 0;
    return (long)filled;
}

long target_process_link(const struct target_process *target, const char *name, char *text, size_t capacity)
{
    ssize_t bytes = target->folder < 0 ? -1 : readlinkat(target->folder, name, text, capacity - 1);
    if (bytes < 0)
        return -1;
    text[bytes] = 0;
    return bytes;
}
