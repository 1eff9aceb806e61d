/* See process_family.h. */
#include "process_family.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Not a zombie: its state stands behind its name, in parentheses, which may hold some (proc(5)). */
static int runs(pid_t pid)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    size_t bytes = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[bytes] = '\0';
    if (file)
        fclose(file);
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' && name_end[2] != 'Z' && name_end[2] != 'X';
}

static int children_of_thread(const char *folder, const char *thread, pid_t *pids, int room, int count)
{
    char path[320];
    int pid;
    snprintf(path, sizeof path, "%s/%s/children", folder, thread);
    FILE *file = fopen(path, "re");
    while (file && fscanf(file, "%d", &pid) == 1) {
        if (!runs(pid))
            continue;
        if (count < room)
            pids[count] = pid;
        count++;
    }
    if (file)
        fclose(file);
    return count;
}

int process_family_children(pid_t pid, pid_t *ret_pids, int room)
{
    char folder[32];
    int count = 0;
    snprintf(folder, sizeof folder, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(folder);
    struct dirent *thread;
    while (threads && (thread = readdir(threads)))
        if (thread->d_name[0] != '.')
            count = children_of_thread(folder, thread->d_name, ret_pids, room, count);
    if (threads)
        closedir(threads);
    return count;
}

static int is_heapline(pid_t pid)
{
    char path[32];
    struct stat own, its;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    return stat("/proc/self/exe", &own) == 0 && stat(path, &its) == 0 && own.st_dev == its.st_dev && own.st_ino == its.st_ino;
}

/* Of all commands only `run` has children for longer than a moment; its program is the first. */
pid_t process_family_program(pid_t pid)
{
    pid_t program;
    return is_heapline(pid) && process_family_children(pid, &program, 1) > 0 ? program : pid;
}
