/* Finds and checks the program to record: see run_target.h. */
#include "run_target.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executable.h"
#include "memory.h"
#include "message.h"
#include "paths.h"

/* ---- where a program is ---- */

static int is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* As execvp looks: a name with a slash is a path, another one is searched in PATH. malloc'ed; NULL: not found. */
static char *find_program(const char *name)
{
    const char *search = getenv("PATH");
    if (strchr(name, '/'))
        return is_program(name) ? memory_copy(name) : NULL;
    for (const char *at = search ? search : "/usr/local/bin:/usr/bin:/bin"; at;) {
        int length = (int)strcspn(at, ":");
        char *path = memory_format("%.*s%s%s", length, at, length ? "/" : "./", name);
        if (is_program(path))
            return path;
        free(path);
        at = at[length] ? at + length + 1 : NULL;
    }
    return NULL;
}

_Noreturn static void fail_not_found(const char *name)
{
    struct stat status;
    if (strchr(name, '/') == NULL && stat(name, &status) == 0 && S_ISREG(status.st_mode))
        fail(CLI_USAGE, "run: there is no program '%s' in PATH; './%s' names the file in this directory", name, name);
    if (stat(name, &status) != 0 || !strchr(name, '/'))
        fail(CLI_USAGE, "run: there is no program '%s'%s", name, strchr(name, '/') ? "" : " in PATH");
    if (S_ISDIR(status.st_mode))
        fail(CLI_USAGE, "run: '%s' is a directory, not a program", name);
    fail(CLI_USAGE, "run: '%s' is not executable: chmod +x it, or name its interpreter", name);
}

static char *require_program(const char *name)
{
    char *path = find_program(name);
    if (!path)
        fail_not_found(name);
    return path;
}

/* ---- Python ---- */

/* The first line that a command prints, malloc'ed; NULL where it fails. */
static char *first_line_of(const char *path, const char *code)
{
    int ends[2];
    char line[PATH_MAX] = "";
    if (pipe(ends))
        return NULL;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(path, path, "-c", code, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *output = fdopen(ends[0], "r");
    int ok = child > 0 && output && fgets(line, sizeof line, output);
    if (output)
        fclose(output);
    if (child > 0)
        waitpid(child, NULL, 0);
    line[strcspn(line, "\n")] = '\0';
    return ok && line[0] == '/' ? memory_copy(line) : NULL;
}

/* A launcher that is itself a script (pyenv's shims) would be recorded instead of Python: ask it which interpreter it starts. */
static char *find_python(const char *name)
{
    char *path = require_program(name);
    if (executable_inspect(path) != EXECUTABLE_SCRIPT)
        return path;
    char *real = first_line_of(path, "import sys; print(sys.executable)");
    if (!real || !is_program(real))
        fail(CLI_USAGE, "run: '%s' is a script that does not tell which Python it starts; give the interpreter with --python", path);
    free(path);
    return real;
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && !strcmp(text + length - end_length, end);
}

static void check_script(const char *path)
{
    struct stat status;
    if (stat(path, &status))
        fail(CLI_USAGE, "run: cannot find the script '%s': %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        fail(CLI_USAGE, "run: '%s' is a directory, not a script", path);
    if (access(path, R_OK))
        fail(CLI_SYSTEM, "run: cannot read the script '%s': %s", path, strerror(errno));
}

/* The Python that an interpreter line names: "/usr/bin/python3", "/usr/bin/env python3". NULL: not Python, or with options of its own. */
static char *python_of_script(const char *path)
{
    char line[256];
    if (executable_script_line(path, line, sizeof line))
        return NULL;
    const char *word = line;
    size_t first = strcspn(line, " \t");
    if (first > 4 && !strncmp(line + first - 4, "/env", 4))
        word = line + first + strspn(line + first, " \t");
    if (strpbrk(word, " \t") || strncmp(paths_base(word), "python", 6) != 0)
        return NULL;
    return find_program(word) ? find_python(word) : NULL;
}

/* ---- may it be recorded? ---- */

static void check_recordable(const char *path)
{
    switch (executable_inspect(path)) {
    case EXECUTABLE_STATIC:
        fail(CLI_SYSTEM, "run: '%s' is statically linked: no library can be loaded into it, so it cannot be recorded; link it dynamically", path);
    case EXECUTABLE_32_BIT:
        fail(CLI_SYSTEM, "run: '%s' is a 32-bit program: only 64-bit ones can be recorded", path);
    case EXECUTABLE_FOREIGN:
        fail(CLI_SYSTEM, "run: '%s' is built for another processor", path);
    case EXECUTABLE_FOREIGN_LIBC:
        fail(CLI_SYSTEM, "run: '%s' uses musl instead of glibc: it cannot be recorded", path);
    case EXECUTABLE_PRIVILEGED:
        fail(CLI_SYSTEM, "run: '%s' gains privileges when it starts (setuid, setgid or capabilities): the system lets no library into it; "
             "run an unprivileged copy, or as its owner", path);
    default:
        return;
    }
}

/* ---- arguments ---- */

static char **make_arguments(const char *const *first, int first_count, char *const *operands)
{
    int count = 0;
    while (operands[count])
        count++;
    char **arguments = memory_new((size_t)(first_count + count + 1), sizeof *arguments);
    memcpy(arguments, first, (size_t)first_count * sizeof *first);
    memcpy(arguments + first_count, operands, (size_t)count * sizeof *operands);
    return arguments;
}

static void fill(struct run_target *target, char *path, const char *name, const char *const *first, int first_count, char *const *operands)
{
    check_recordable(path);
    target->path = path;
    target->name = memory_copy(paths_base(name));
    target->arguments = make_arguments(first, first_count, operands);
}

void run_target_find(const struct run_request *request, struct run_target *ret_target)
{
    const char *option = request->module ? "-m" : "-c", *value = request->module ? request->module : request->code;
    const char *program = request->operands[0];
    const char *python_name = request->python ? request->python : "python3";
    if (value) {
        char *python = find_python(python_name);
        fill(ret_target, python, request->module ? value : python, (const char *const[]){python, option, value}, 3, request->operands);
        return;
    }
    if (request->python || ends_with(program, ".py")) {
        check_script(program);
        char *python = find_python(python_name);
        fill(ret_target, python, program, (const char *const[]){python}, 1, request->operands);
        return;
    }
    char *path = require_program(program), *python = python_of_script(path);
    if (python) {
        fill(ret_target, python, program, (const char *const[]){python, path}, 2, request->operands + 1);
        return;
    }
    fill(ret_target, path, program, (const char *const[]){program}, 1, request->operands + 1);
}

void run_target_done(struct run_target *target)
{
    free(target->path);
    free(target->arguments);
    free(target->name);
}
