/* The trace's path before and after the run: see run_output.h. */
#include "run_output.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"
#include "paths.h"
#include "trace_reader.h"

static char *absolute(const char *command, const char *path)
{
    char directory[PATH_MAX];
    if (path[0] == '/')
        return memory_copy(path);
    if (!getcwd(directory, sizeof directory))
        fail(CLI_SYSTEM, "%s: the current directory cannot be named: %s", command, strerror(errno));
    return memory_format("%s/%s", strcmp(directory, "/") ? directory : "", path);
}

static char *directory_of(const char *path)
{
    size_t length = (size_t)(paths_base(path) - path);
    return memory_copy_part(path, length > 1 ? length - 1 : 1);
}

static void check_directory(const char *command, const char *path)
{
    char *directory = directory_of(path);
    struct stat status;
    if (stat(directory, &status))
        fail(CLI_SYSTEM, "%s: cannot write '%s': there is no directory '%s'", command, path, directory);
    if (!S_ISDIR(status.st_mode))
        fail(CLI_SYSTEM, "%s: cannot write '%s': '%s' is not a directory", command, path, directory);
    if (access(directory, W_OK | X_OK))
        fail(CLI_SYSTEM, "%s: cannot write '%s': %s; choose another place with -o", command, path, strerror(errno));
    free(directory);
}

/* Only making the file tells: root passes access() everywhere, and the name may be too long, the file system full or one of the kernel's. */
static void check_new_file(const char *command, const char *output, const char *path)
{
    int file = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0)
        fail(CLI_SYSTEM, "%s: cannot write '%s': %s; choose another place with -o", command, path, strerror(errno));
    close(file);
    unlink(output);
}

/* What follows the run's base name in a name of its files: "", ".PID", ".PID.N", each with ".report" or not. */
static int is_sibling_suffix(const char *suffix)
{
    for (int numbers = 0; numbers < 2 && *suffix == '.' && isdigit((unsigned char)suffix[1]); numbers++)
        suffix += 1 + strspn(suffix + 1, "0123456789");
    return *suffix == '\0' || !strcmp(suffix, ".report");
}

static int is_trace(const char *path)
{
    struct stat status;
    struct trace_reader *reader;
    if (stat(path, &status) == 0 && status.st_size == 0)
        return 1;
    int result = trace_reader_open(path, &reader, NULL);
    if (result == STATUS_OK)
        trace_reader_close(reader);
    return result != STATUS_NOT_A_TRACE && result != STATUS_SYSTEM;
}

void run_output_each_sibling(const char *path, run_output_action *action, void *context)
{
    char *directory = directory_of(path);
    const char *base = paths_base(path);
    size_t base_length = strlen(base);
    DIR *listing = opendir(directory);
    struct dirent *entry;
    while (listing && (entry = readdir(listing))) {
        if (strncmp(entry->d_name, base, base_length) || !entry->d_name[base_length] || !is_sibling_suffix(entry->d_name + base_length))
            continue;
        char *sibling = memory_format("%s/%s", directory, entry->d_name);
        action(sibling, context);
        free(sibling);
    }
    if (listing)
        closedir(listing);
    free(directory);
}

int run_output_is_report(const char *path)
{
    size_t length = strlen(path);
    return length > 7 && !strcmp(path + length - 7, ".report");
}

static void remove_sibling(const char *path, void *context)
{
    if (run_output_is_report(path) || is_trace(path))
        unlink(path);
}

char *run_output_prepare(const char *command, const char *path, int force)
{
    struct stat status;
    size_t length = path ? strlen(path) : 0;
    if (!path) {
        char *example = absolute(command, "PROGRAM.PID.heapline");
        check_directory(command, example);
        free(example);
        return NULL;
    }
    if (length == 0 || path[length - 1] == '/')
        fail(CLI_USAGE, "%s: -o wants the name of a file, not '%s'", command, path);
    char *output = absolute(command, path);
    check_directory(command, output);
    if (lstat(output, &status)) {
        check_new_file(command, output, path);
        return output;
    }
    if (S_ISDIR(status.st_mode))
        fail(CLI_USAGE, "%s: '%s' is a directory: name a file in it", command, path);
    if (!S_ISREG(status.st_mode))
        fail(CLI_USAGE, "%s: '%s' is not a regular file", command, path);
    if (!force)
        fail(CLI_USAGE, "%s: '%s' exists: choose another name with -o, or overwrite it with --force", command, path);
    run_output_each_sibling(output, remove_sibling, NULL);
    if (unlink(output))
        fail(CLI_SYSTEM, "%s: cannot remove '%s': %s", command, path, strerror(errno));
    return output;
}

char *run_output_default(const char *command, const char *name, pid_t pid)
{
    char file[NAME_MAX + 1];
    snprintf(file, sizeof file, "%.200s.%d.heapline", name, (int)pid);
    return absolute(command, file);
}
