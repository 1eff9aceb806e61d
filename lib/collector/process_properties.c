/* See process_properties.h. */
#include "process_properties.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cgroup_limit.h"

#define COMMAND_BYTES (128u << 10)
#define PATH_BYTES 4096
/* Of the program in the default name: file systems allow 255 in all. */
#define NAME_BYTES 128

void process_property_put(struct trace_writer *writer, const char *key, const char *value)
{
    struct trace_definition definition = {.kind = TRACE_DEFINE_PROPERTY};
    definition.property.key = key;
    definition.property.key_bytes = (uint32_t)strlen(key);
    definition.property.value = value;
    definition.property.value_bytes = (uint32_t)strlen(value);
    trace_writer_define(writer, &definition);
}

void process_property_put_number(struct trace_writer *writer, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    process_property_put(writer, key, text);
}

/* One argument as a shell would have to be told it. Returns where the text goes on; needs 4 bytes for each of the argument's, and 4. */
static char *quote(char *to, const char *argument)
{
    size_t plain = 0;
    while (isalnum((unsigned char)argument[plain]) || (argument[plain] && strchr("_@%+=:,./-", argument[plain])))
        plain++;
    if (plain > 0 && argument[plain] == 0) {
        memcpy(to, argument, plain);
        return to + plain;
    }
    *to++ = '\'';
    for (; *argument; argument++) {
        if (*argument == '\'') {
            memcpy(to, "'\\''", 4);
            to += 4;
        } else {
            *to++ = *argument;
        }
    }
    *to++ = '\'';
    return to;
}

/* A process that shows a title of its own (setproctitle) has written it over its arguments, and NULs over the rest, which would read as one empty
 * argument each. A single one may be real. */
static size_t without_padding(const char *arguments, size_t bytes)
{
    size_t used = bytes;
    while (used > 1 && !arguments[used - 1] && !arguments[used - 2])
        used--;
    return bytes - used > 1 ? used : bytes;
}

/* The process's arguments, each NUL-terminated; what the target left in the session where the process itself is gone. Returns their
 * length in bytes, 0: not known. `arguments` has room for COMMAND_BYTES. */
static size_t read_arguments(const struct session_header *session, const struct target_process *target, char *arguments)
{
    long bytes = target_process_read(target, "cmdline", arguments, COMMAND_BYTES);
    if (bytes > 0)
        return without_padding(arguments, (size_t)bytes);
    size_t left_bytes = session->arguments_bytes < SESSION_PATH_BYTES ? session->arguments_bytes : SESSION_PATH_BYTES - 1;
    memcpy(arguments, session->arguments, left_bytes);
    arguments[left_bytes] = 0;
    return left_bytes;
}

static void put_command(struct trace_writer *writer, const struct session_header *session, const struct target_process *target)
{
    char *arguments = malloc(COMMAND_BYTES), *command = malloc(5 * COMMAND_BYTES);
    size_t bytes = arguments && command ? read_arguments(session, target, arguments) : 0;
    if (bytes > 0) {
        char *to = command;
        for (const char *argument = arguments; argument < arguments + bytes; argument += strlen(argument) + 1) {
            if (to > command)
                *to++ = ' ';
            to = quote(to, argument);
        }
        *to = 0;
        process_property_put(writer, "command", command);
    }
    free(arguments);
    free(command);
}

static void read_executable(const struct session_header *session, const struct target_process *target, char *executable, size_t capacity)
{
    if (target_process_link(target, "exe", executable, capacity) <= 0)
        snprintf(executable, capacity, "%.*s", SESSION_PATH_BYTES, session->executable);
}

void process_properties_put(struct trace_writer *writer, const struct session_header *session, const struct target_process *target)
{
    struct utsname system;
    char path[PATH_BYTES];
    put_command(writer, session, target);
    read_executable(session, target, path, sizeof path);
    if (*path)
        process_property_put(writer, "executable", path);
    /* Ours is the one that the run's first process had when it started. */
    if (target_process_link(target, "cwd", path, sizeof path) > 0 || getcwd(path, sizeof path))
        process_property_put(writer, "directory", path);
    process_property_put(writer, "options", session->options);
    if (session->flags & SESSION_ATTACHED)
        process_property_put(writer, "attached", "1");
    if (uname(&system) == 0) {
        process_property_put(writer, "hostname", system.nodename);
        process_property_put(writer, "kernel", system.release);
        process_property_put(writer, "machine", system.machine);
    }
    process_property_put(writer, "heapline", HEAPLINE_VERSION);
    process_property_put_number(writer, "page_size", target->page_bytes);
    char cgroups[PATH_BYTES];
    uint64_t limit_bytes = target_process_read(target, "cgroup", cgroups, sizeof cgroups) > 0 ? cgroup_limit_find(cgroups, CGROUP_MOUNT) : 0;
    if (limit_bytes)
        process_property_put_number(writer, "cgroup_memory_limit_bytes", limit_bytes);
}

/* ---- the default path ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int is_python(const char *program)
{
    return strncmp(program, "python", 6) == 0 || strncmp(program, "pypy", 4) == 0;
}

/* The script or module among an interpreter's arguments; NULL: none. */
static const char *find_script(const char *arguments, size_t bytes)
{
    const char *end = arguments + bytes;
    for (const char *argument = arguments + strlen(arguments) + 1; argument < end; argument += strlen(argument) + 1) {
        const char *next = argument + strlen(argument) + 1;
        if (argument[0] != '-')
            return base_name(argument);
        if (strcmp(argument, "-c") == 0 || strcmp(argument, "-") == 0)
            return NULL;
        if (strcmp(argument, "-m") == 0)
            return next < end ? next : NULL;
        if (strcmp(argument, "-W") == 0 || strcmp(argument, "-X") == 0)
            argument = next;
    }
    return NULL;
}

void process_default_path(const struct session_header *session, const struct target_process *target, char *path, size_t capacity)
{
    char executable[PATH_BYTES], *arguments = malloc(COMMAND_BYTES);
    read_executable(session, target, executable, sizeof executable);
    const char *name = *executable ? base_name(executable) : "program";
    size_t bytes = arguments && is_python(name) ? read_arguments(session, target, arguments) : 0;
    const char *script = bytes ? find_script(arguments, bytes) : NULL;
    if (script && *script)
        name = script;
    int name_bytes = (int)strlen(name);
    if (name == script && name_bytes > 3 && strcmp(name + name_bytes - 3, ".py") == 0)
        name_bytes -= 3;
    if (name_bytes > NAME_BYTES)
        name_bytes = NAME_BYTES;
    snprintf(path, capacity, "%.*s.%d.heapline", name_bytes, name, target->pid);
    free(arguments);
}
