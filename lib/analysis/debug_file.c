/* Separate debug files: by build id, else by name (debug_file.h). The places are gdb's and elfutils' (libdwfl.h, debuginfo_path). */
#include "debug_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEBUG_FOLDER "/usr/lib/debug"

static int exists(const char *folder, size_t folder_length, const char *below, const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%.*s%s/%s", (int)folder_length, folder, below, name);
    return length < (int)sizeof path && access(path, F_OK) == 0;
}

/* Beside the file, in .debug there, or in the folder of debug files under any end of its path. */
static int exists_by_name(const char *file_name, const char *debuglink_file)
{
    const char *slash = strrchr(file_name, '/');
    char name[NAME_MAX + 8], below[PATH_MAX];
    if (!slash)
        return 1;
    size_t length = (size_t)(slash - file_name);
    snprintf(name, sizeof name, debuglink_file ? "%s" : "%s.debug", debuglink_file ? debuglink_file : slash + 1);
    if (exists(file_name, length, "", name) || exists(file_name, length, "/.debug", name))
        return 1;
    snprintf(below, sizeof below, "%.*s", (int)length, file_name);
    for (const char *end = below; end; end = strchr(end + 1, '/'))
        if (exists(DEBUG_FOLDER, strlen(DEBUG_FOLDER), end, name))
            return 1;
    return exists(DEBUG_FOLDER, strlen(DEBUG_FOLDER), "", name);
}

static int may_be_found(const char *file_name, const char *debuglink_file)
{
    const char *servers = getenv("DEBUGINFOD_URLS");
    char real[PATH_MAX];
    if ((servers && *servers) || !file_name || *file_name != '/' || exists_by_name(file_name, debuglink_file))
        return 1;
    return realpath(file_name, real) && exists_by_name(real, debuglink_file);
}

int debug_file_find(Dwfl_Module *module, void **user_data, const char *module_name, Dwarf_Addr base, const char *file_name,
                    const char *debuglink_file, GElf_Word debuglink_crc, char **ret_file_name)
{
    int file = dwfl_build_id_find_debuginfo(module, user_data, module_name, base, file_name, debuglink_file, debuglink_crc, ret_file_name);
    if (file >= 0 || !may_be_found(file_name, debuglink_file))
        return file;
    return dwfl_standard_find_debuginfo(module, user_data, module_name, base, file_name, debuglink_file, debuglink_crc, ret_file_name);
}
