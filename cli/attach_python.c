/* See attach_python.h. The interpreter is asked by another one of the same build: the process's own executable. */
#include "attach_python.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "paths.h"

#define FIRST_MINOR 14
#define PATIENCE_MS 10000
#define STEP_MS 20

/* "python3.14", "libpython3.14.so.1.0", "python3.14t" */
static int is_new_enough(const char *path)
{
    const char *name = paths_base(path), *version = strstr(name, "python3.");
    return version && atoi(version + strlen("python3.")) >= FIRST_MINOR;
}

static int runs_new_python(pid_t pid, const char *executable)
{
    char path[32], line[PATH_MAX + 128];
    int found = is_new_enough(executable);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && !found && fgets(line, sizeof line, maps))
        found = strstr(line, "/libpython3.") && is_new_enough(line);
    if (maps)
        fclose(maps);
    return found;
}

/* ---- the files that it reads ---- */

struct errand {
    char folder[64], script[96], settings[96];
};

static void put_text(FILE *file, const char *text)
{
    fputc('\'', file);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', file);
        fputc(*text, file);
    }
    fputc('\'', file);
}

/* It takes itself away when it has run, by which we know that it has. */
static int write_script(const struct errand *errand, const char *library, const char *function, int has_argument)
{
    char temporary[112];
    snprintf(temporary, sizeof temporary, "%s.new", errand->script);
    FILE *file = fopen(temporary, "we");
    if (!file)
        return -1;
    fputs("def heapline_errand():\n    try:\n", file);
    if (function) {
        fputs("        import ctypes\n        settings = None\n", file);
        if (has_argument)
            fprintf(file, "        with open('%s', 'rb') as file:\n            settings = file.read()\n", errand->settings);
        fputs("        ctypes.PyDLL(", file);
        put_text(file, library);
        fprintf(file, ").%s(settings)\n", function);
    }
    fprintf(file, "    except Exception:\n        pass\n    finally:\n        import posix\n        posix.unlink('%s')\n"
                  "heapline_errand()\ndel heapline_errand\n", errand->script);
    int failed = ferror(file);
    return fclose(file) || failed || chmod(temporary, 0644) || rename(temporary, errand->script) ? -1 : 0;
}

static int write_settings(const struct errand *errand, const void *bytes, size_t count)
{
    FILE *file = fopen(errand->settings, "we");
    if (!file)
        return -1;
    size_t written = fwrite(bytes, 1, count, file);
    return fclose(file) || written != count || chmod(errand->settings, 0644) ? -1 : 0;
}

/* The process's own user must be able to take the script away. */
static int make_folder(pid_t pid, struct errand *errand)
{
    char path[32];
    struct stat process;
    strcpy(errand->folder, "/tmp/heapline-attach-XXXXXX");
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (stat(path, &process) || !mkdtemp(errand->folder))
        return -1;
    snprintf(errand->script, sizeof errand->script, "%s/errand.py", errand->folder);
    snprintf(errand->settings, sizeof errand->settings, "%s/settings", errand->folder);
    return geteuid() == 0 && process.st_uid != 0 ? chown(errand->folder, process.st_uid, (gid_t)-1) : 0;
}

/* ---- asking ---- */

static int ask(pid_t pid, const char *executable, const char *script)
{
    static const char code[] = "import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])";
    char number[16];
    int status = -1;
    snprintf(number, sizeof number, "%d", (int)pid);
    pid_t asker = fork();
    if (asker == 0) {
        int null = open("/dev/null", O_RDWR);
        for (int file = 0; file < 3; file++)
            dup2(null, file);
        execl(executable, executable, "-I", "-S", "-c", code, number, script, (char *)NULL);
        _exit(127);
    }
    while (asker > 0 && waitpid(asker, &status, 0) < 0 && errno == EINTR)
        ;
    return asker > 0 && status == 0 ? 0 : -1;
}

static int await_end(const char *script)
{
    for (int waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += STEP_MS) {
        if (access(script, F_OK) != 0)
            return 0;
        usleep(STEP_MS * 1000);
    }
    return -1;
}

int attach_by_python(pid_t pid, const char *library, const char *function, const void *argument, size_t argument_bytes)
{
    char path[32], executable[PATH_MAX];
    struct errand errand;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(path, executable, sizeof executable - 1);
    executable[length > 0 ? length : 0] = '\0';
    if (length <= 0 || !runs_new_python(pid, executable) || make_folder(pid, &errand))
        return -1;
    int result = (argument && write_settings(&errand, argument, argument_bytes)) || write_script(&errand, library, function, argument != NULL)
                     ? -1 : ask(pid, executable, errand.script);
    int was_asked = result == 0;
    if (result == 0)
        result = await_end(errand.script);
    /* Asked and not yet done, it may come to it any time: it must find a script, which does no more than take itself away. */
    if (result && was_asked && write_script(&errand, library, NULL, 0) == 0)
        return -1;
    unlink(errand.settings);
    unlink(errand.script);
    rmdir(errand.folder);
    return result;
}
