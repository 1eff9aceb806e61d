/* See process_maps.h. */
#include "process_maps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct process_maps *maps, uint64_t start, uint64_t end, uint64_t inode, const char *path)
{
    struct mapped_file *last = maps->count ? &maps->files[maps->count - 1] : NULL;
    if (last && last->inode == inode && !strcmp(last->path, path)) {
        last->end = end;
        return 0;
    }
    if (maps->count == maps->capacity) {
        size_t capacity = maps->capacity ? maps->capacity * 2 : 64;
        struct mapped_file *files = realloc(maps->files, capacity * sizeof *files);
        if (!files)
            return -1;
        maps->files = files;
        maps->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy)
        return -1;
    maps->files[maps->count++] = (struct mapped_file){start, end, inode, copy};
    return 0;
}

int process_maps_read(pid_t pid, struct process_maps *ret_maps)
{
    char name[32], *line = NULL;
    size_t capacity = 0;
    int status = 0;
    struct process_maps maps = {0};
    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *file = fopen(name, "re");
    if (!file)
        return -1;
    while (status == 0 && getline(&line, &capacity, file) > 0) {
        uint64_t start, end, inode;
        int path_at = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64 " %n", &start, &end, &inode, &path_at) != 3 || !path_at)
            continue;
        line[strcspn(line, "\n")] = '\0';
        if (line[path_at] == '/' || !strcmp(line + path_at, "[vdso]"))
            status = add(&maps, start, end, inode, line + path_at);
    }
    free(line);
    fclose(file);
    if (status == 0)
        *ret_maps = maps;
    else
        process_maps_done(&maps);
    return status;
}

void process_maps_done(struct process_maps *maps)
{
    for (size_t i = 0; i < maps->count; i++)
        free(maps->files[i].path);
    free(maps->files);
    *maps = (struct process_maps){0};
}

const struct mapped_file *process_maps_at(const struct process_maps *maps, uint64_t address)
{
    for (size_t i = 0; i < maps->count; i++)
        if (address >= maps->files[i].start && address < maps->files[i].end)
            return &maps->files[i];
    return NULL;
}

static const char *base_name(const struct mapped_file *file)
{
    const char *slash = strrchr(file->path, '/');
    return slash ? slash + 1 : file->path;
}

/* "libc.so.6", also where the file on the disk is another one by now, as after an upgrade. */
static int is_named(const struct mapped_file *file, const char *name)
{
    const char *base = base_name(file);
    size_t bytes = strlen(name);
    return !strncmp(base, name, bytes) && (!base[bytes] || !strcmp(base + bytes, " (deleted)"));
}

const struct mapped_file *process_maps_named(const struct process_maps *maps, const char *name)
{
    for (size_t i = 0; i < maps->count; i++)
        if (is_named(&maps->files[i], name))
            return &maps->files[i];
    return NULL;
}

/* ld-linux-x86-64.so.2, ld-linux-aarch64.so.1, ld-2.31.so */
int mapped_file_is_loader(const struct mapped_file *file)
{
    const char *base = base_name(file);
    return !strncmp(base, "ld-linux", 8) || !strncmp(base, "ld-2.", 5) || !strncmp(base, "ld.so", 5) || !strncmp(base, "ld64.so", 7);
}

const struct mapped_file *process_maps_loader(const struct process_maps *maps)
{
    for (size_t i = 0; i < maps->count; i++)
        if (mapped_file_is_loader(&maps->files[i]))
            return &maps->files[i];
    return NULL;
}
