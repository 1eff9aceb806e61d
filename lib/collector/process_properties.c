/* See process_properties.h. */
#include "process_properties.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define COMMAND_BYTES (128u << 10)
#define PATH_BYTES 4096

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

static void put_command(struct trace_writer *writer, const struct target_process *target)
{
    char *arguments = malloc(COMMAND_BYTES), *command = malloc(5 * COMMAND_BYTES);
    long bytes = arguments && command ? target_process_read(target, "cmdline", arguments, COMMAND_BYTES) : -1;
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

static void put_link(struct trace_writer *writer, const struct target_process *target, const char *key, const char *link)
{
    char path[PATH_BYTES];
    if (target_process_link(target, link, path, sizeof path) > 0)
        process_property_put(writer, key, path);
}

void process_properties_put(struct trace_writer *writer, const struct session_header *session, const struct target_process *target)
{
    struct utsname system;
    put_command(writer, target);
    put_link(writer, target, "executable", "exe");
    put_link(writer, target, "directory", "cwd");
    process_property_put(writer, "options", session->options);
    if (uname(&system) == 0) {
        process_property_put(writer, "hostname", system.nodename);
        process_property_put(writer, "kernel", system.release);
        process_property_put(writer, "machine", system.machine);
    }
    process_property_put(writer, "heapline", HEAPLINE_VERSION);
    process_property_put_number(writer, "page_size", target->page_bytes);
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
static const char *find_script(const char *arguments, long bytes)
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

void process_default_path(const struct target_process *target, char *path, size_t capacity)
{
    char executable[PATH_BYTES], *arguments = malloc(COMMAND_BYTES);
    const char *program = "program";
    if (target_process_link(target, "exe", executable, sizeof executable) > 0)
        program = base_name(executable);
    else if (target_process_read(target, "comm", executable, sizeof executable) > 0) {
        executable[strcspn(executable, "\n/")] = 0;
        program = executable;
    }
    long bytes = arguments ? target_process_read(target, "cmdline", arguments, COMMAND_BYTES) : -1;
    const char *script = bytes > 0 && is_python(program) ? find_script(arguments, bytes) : NULL;
    int name_bytes = (int)strlen(script && *script ? script : program);
    const char *name = script && *script ? script : program;
    if (script == name && name_bytes > 3 && strcmp(name + name_bytes - 3, ".py") == 0)
        name_bytes -= 3;
    if (name_bytes > 128)
        name_bytes = 128;
    snprintf(path, capacity, "%.*s.%d.heapline", name_bytes, name, target->pid);
    free(arguments);
}
