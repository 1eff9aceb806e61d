/* Separate debug files: by build id, else by name (debug_file.h). The places are gdb's and elfutils' (libdwfl.h, debuginfo_path). */
#include "debug_file.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compiler.h"

#define DEBUG_FOLDER "/usr/lib/debug"

char *debug_file_path(const struct symbol_sources *sources)
{
    char *path = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&path, &bytes);
    if (!stream)
        return NULL;
    for (int i = 0; i < sources->debug_folder_count; i++)
        fprintf(stream, "%s:", sources->debug_folders[i]);
    fprintf(stream, ":.debug:%s%s", sources->sysroot ? sources->sysroot : "", DEBUG_FOLDER);
    if (!fclose(stream))
        return path;
    free(path);
    return NULL;
}

/* The next part of a path that is an absolute folder: its length, and where it begins. 0: no more. */
static size_t next_folder(const char **path, const char **ret_folder)
{
    while (**path) {
        const char *folder = *path;
        size_t length = strcspn(folder, ":");
        *path += length + (folder[length] == ':');
        if (*folder == '/') {
            *ret_folder = folder;
            return length;
        }
    }
    return 0;
}

int debug_file_open(const char *debug_path, const char *build_id)
{
    char path[PATH_MAX];
    const char *folder;
    size_t length;
    int file = -1;
    while (strlen(build_id) > 2 && file < 0 && (length = next_folder(&debug_path, &folder)))
        if (snprintf(path, sizeof path, "%.*s/.build-id/%.2s/%s.debug", (int)length, folder, build_id, build_id + 2) < (int)sizeof path)
            file = open(path, O_RDONLY | O_CLOEXEC);
    return file;
}

/* ---- from servers ---- */

static const char *servers(void)
{
    const char *urls = getenv("DEBUGINFOD_URLS");
    return urls && *urls ? urls : NULL;
}

/* libdwfl has the client fetch debug files of modules that it has, but nothing of those that it hasn't. Loaded only when asked for, as it brings
 * thirty libraries. A length of 0 says that the id is hexadecimal text. */
int debug_file_fetch(const char *build_id)
{
    typedef int find_function(void *client, const unsigned char *build_id, int build_id_bytes, char **ret_path);
    void *library = servers() && *build_id ? dlopen("libdebuginfod.so.1", RTLD_LAZY) : NULL;
    if (!library)
        return -1;
    void *(*begin)(void) = (void *(*)(void))dlsym(library, "debuginfod_begin");
    void (*end)(void *) = (void (*)(void *))dlsym(library, "debuginfod_end");
    find_function *find[] = {(find_function *)dlsym(library, "debuginfod_find_debuginfo"),
                             (find_function *)dlsym(library, "debuginfod_find_executable")};
    void *client = begin && end && find[0] && find[1] ? begin() : NULL;
    int file = -1;
    for (size_t i = 0; client && file < 0 && i < ARRAY_LENGTH(find); i++)
        file = find[i](client, (const unsigned char *)build_id, 0, NULL);
    if (client)
        end(client);
    return file < 0 ? -1 : file; /* the library stays: the next module asks as well */
}

/* The kernel maps a whole ELF file; its section headers are the last thing in it. */
static size_t vdso_bytes(const ElfW(Ehdr) *header)
{
    return header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
}

int debug_file_open_vdso(void)
{
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)getauxval(AT_SYSINFO_EHDR);
    int file = header ? memfd_create("vdso", MFD_CLOEXEC) : -1;
    if (file >= 0 && write(file, header, vdso_bytes(header)) != (ssize_t)vdso_bytes(header)) {
        close(file);
        return -1;
    }
    return file;
}

static int exists(const char *folder, size_t folder_length, const char *below, const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%.*s%s/%s", (int)folder_length, folder, below, name);
    return length < (int)sizeof path && access(path, F_OK) == 0;
}

static int exists_in_folder(const char *folder, size_t folder_length, const char *below, const char *name)
{
    for (const char *end = below; end; end = strchr(end + 1, '/'))
        if (exists(folder, folder_length, end, name))
            return 1;
    return exists(folder, folder_length, "", name);
}

/* Beside the file, in .debug there, or in a folder of debug files under any end of its path. */
static int exists_by_name(const char *file_name, const char *debuglink_file, const char *debug_path)
{
    const char *slash = strrchr(file_name, '/'), *folder;
    char name[NAME_MAX + 8], below[PATH_MAX];
    if (!slash)
        return 1;
    size_t length = (size_t)(slash - file_name);
    snprintf(name, sizeof name, debuglink_file ? "%s" : "%s.debug", debuglink_file ? debuglink_file : slash + 1);
    if (exists(file_name, length, "", name) || exists(file_name, length, "/.debug", name))
        return 1;
    snprintf(below, sizeof below, "%.*s", (int)length, file_name);
    while ((length = next_folder(&debug_path, &folder)))
        if (exists_in_folder(folder, length, below, name))
            return 1;
    return 0;
}

static int may_be_found(const char *file_name, const char *debuglink_file, const char *debug_path)
{
    char real[PATH_MAX];
    if (servers() || !file_name || *file_name != '/' || exists_by_name(file_name, debuglink_file, debug_path))
        return 1;
    return realpath(file_name, real) && exists_by_name(real, debuglink_file, debug_path);
}

int debug_file_find(Dwfl_Module *module, void **user_data, const char *module_name, Dwarf_Addr base, const char *file_name,
                    const char *debuglink_file, GElf_Word debuglink_crc, char **ret_file_name)
{
    int file = dwfl_build_id_find_debuginfo(module, user_data, module_name, base, file_name, debuglink_file, debuglink_crc, ret_file_name);
    if (file >= 0 || !may_be_found(file_name, debuglink_file, *user_data))
        return file;
    return dwfl_standard_find_debuginfo(module, user_data, module_name, base, file_name, debuglink_file, debuglink_crc, ret_file_name);
}
