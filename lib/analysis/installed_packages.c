/* Reads what installers left: see installed_packages.h. */
#include "installed_packages.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

#define RECORD_LINES 200000 /* of a damaged file no more */

/* A folder, and the first components below it that RECORDs list. */
struct installed_folder {
    const char *path;
    const char **names;
    size_t name_count, name_capacity;
};

static const char *intern(struct installed_packages *packages, const char *text, size_t bytes)
{
    return string_pool_intern(&packages->strings, text, bytes);
}

static int has_name(const struct installed_folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->name_count; i++)
        if (folder->names[i] == name)
            return 1;
    return 0;
}

/* "requests/api.py,sha256=...,5": requests. What lies elsewhere ("../bin/x") and the installers' own folders are none. */
static int add_line(struct installed_packages *packages, struct installed_folder *folder, const char *line)
{
    size_t bytes = strcspn(line, "/,\r\n");
    int is_other = !bytes || line[0] == '"' || (bytes == 2 && !memcmp(line, "..", 2)) || (bytes == 11 && !memcmp(line, "__pycache__", 11)) ||
                   (bytes > 10 && !memcmp(line + bytes - 10, ".dist-info", 10));
    const char *name = is_other ? NULL : intern(packages, line, bytes);
    if (is_other || !name || has_name(folder, name))
        return is_other || name;
    if (!ARRAY_RESERVE(folder->names, folder->name_capacity, folder->name_count + 1))
        return 0;
    folder->names[folder->name_count++] = name;
    return 1;
}

static int read_record(struct installed_packages *packages, struct installed_folder *folder, const char *path)
{
    FILE *record = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;
    int enough = 1;
    for (int i = 0; record && enough && i < RECORD_LINES && getline(&line, &capacity, record) > 0; i++)
        enough = add_line(packages, folder, line);
    free(line);
    if (record)
        fclose(record);
    return enough;
}

static int read_listed(struct installed_packages *packages, struct installed_folder *folder, const char *path, DIR *listing)
{
    int enough = 1;
    for (struct dirent *entry; enough && (entry = readdir(listing));) {
        size_t length = strlen(entry->d_name);
        char *record;
        if (length < 10 || strcmp(entry->d_name + length - 10, ".dist-info"))
            continue;
        if (asprintf(&record, "%s/%s/RECORD", path, entry->d_name) < 0)
            return 0;
        enough = read_record(packages, folder, record);
        free(record);
    }
    return enough;
}

static int read_folder(struct installed_packages *packages, const char *sysroot, struct installed_folder *folder)
{
    char *path;
    if (asprintf(&path, "%s%s", sysroot ? sysroot : "", folder->path) < 0)
        return 0;
    DIR *listing = opendir(path);
    int enough = !listing || read_listed(packages, folder, path, listing);
    if (listing)
        closedir(listing);
    free(path);
    return enough;
}

/* NULL without memory. */
static const struct installed_folder *find_folder(struct installed_packages *packages, const char *sysroot, const char *path)
{
    for (size_t i = packages->folder_count; i-- > 0;) /* the latest are asked for most */
        if (packages->folders[i].path == path)
            return &packages->folders[i];
    if (!ARRAY_RESERVE(packages->folders, packages->folder_capacity, packages->folder_count + 1))
        return NULL;
    struct installed_folder *folder = &packages->folders[packages->folder_count];
    *folder = (struct installed_folder){.path = path};
    if (!read_folder(packages, sysroot, folder)) {
        free(folder->names);
        return NULL;
    }
    packages->folder_count++;
    return folder;
}

int installed_packages_have(struct installed_packages *packages, const char *sysroot, const char *file)
{
    if (file[0] != '/')
        return 0;
    /* Outwards: the folder that the file is in, then those around it. */
    for (const char *end = strrchr(file, '/'); end > file; end = memrchr(file, '/', (size_t)(end - file))) {
        const char *below = end + 1, *path = intern(packages, file, (size_t)(end - file));
        const char *name = intern(packages, below, strcspn(below, "/"));
        const struct installed_folder *folder = path && name ? find_folder(packages, sysroot, path) : NULL;
        if (folder && has_name(folder, name))
            return 1;
    }
    return 0;
}

void installed_packages_done(struct installed_packages *packages)
{
    for (size_t i = 0; i < packages->folder_count; i++)
        free(packages->folders[i].names);
    free(packages->folders);
    string_pool_done(&packages->strings);
    *packages = (struct installed_packages){0};
}
