/* Pairs source files of two traces: see diff_files.h. */
#include "diff_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "paths.h"

static void make_keys(struct diff_files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        struct diff_file *file = &files->files[i];
        const char *piece = file->path, *version;
        char kind = 'm';
        int length;
        if (file->is_module) {
            piece = paths_base(piece);
            version = strstr(piece, ".so.");
            length = version ? (int)(version - piece) + 3 : (int)strlen(piece);
        } else {
            piece = paths_portable(piece, files->directory, &kind);
            length = (int)strlen(piece);
        }
        file->key = memory_format("%c%.*s", kind, length, piece);
        file->partner = DIFF_NO_FILE;
        file->id = 0;
    }
}

static const struct diff_file *sorted_files; /* what the indexes are of that qsort compares */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(sorted_files[*(const uint32_t *)a].key, sorted_files[*(const uint32_t *)b].key);
}

static uint32_t *sort_by_key(const struct diff_files *files)
{
    uint32_t *order = memory_new(files->count + 1u, sizeof *order);
    for (uint32_t i = 0; i < files->count; i++)
        order[i] = i;
    sorted_files = files->files;
    qsort(order, files->count, sizeof *order, compare_keys);
    return order;
}

static void pair(struct diff_files *old_files, uint32_t old_index, struct diff_files *new_files, uint32_t new_index)
{
    old_files->files[old_index].partner = new_index;
    new_files->files[new_index].partner = old_index;
}

/* How many files from order[i] on have this one's key. */
static uint32_t count_equal(const struct diff_files *files, const uint32_t *order, uint32_t i)
{
    uint32_t end = i + 1;
    while (end < files->count && !strcmp(files->files[order[end]].key, files->files[order[i]].key))
        end++;
    return end - i;
}

/* Where one file a side has a key. */
static void pair_keys(struct diff_files *old_files, struct diff_files *new_files)
{
    uint32_t *old_order = sort_by_key(old_files), *new_order = sort_by_key(new_files);
    for (uint32_t i = 0, j = 0; i < old_files->count && j < new_files->count;) {
        int order = strcmp(old_files->files[old_order[i]].key, new_files->files[new_order[j]].key);
        uint32_t old_equal = count_equal(old_files, old_order, i), new_equal = count_equal(new_files, new_order, j);
        if (!order && old_equal == 1 && new_equal == 1)
            pair(old_files, old_order[i], new_files, new_order[j]);
        i += order <= 0 ? old_equal : 0;
        j += order >= 0 ? new_equal : 0;
    }
    free(old_order);
    free(new_order);
}

/* __init__.py is in every folder: its name alone says nothing. */
static int least_common(const char *path)
{
    return strncmp(paths_base(path), "__", 2) ? 1 : 2;
}

/* The file without a partner whose path ends most like this one's; DIFF_NO_FILE: none does, or several do as much. */
static uint32_t find_closest(const struct diff_file *file, const struct diff_files *others)
{
    uint32_t closest = DIFF_NO_FILE;
    int most = least_common(file->path) - 1;
    for (uint32_t i = 0; i < others->count; i++) {
        const struct diff_file *other = &others->files[i];
        if (other->partner != DIFF_NO_FILE || other->is_module != file->is_module)
            continue;
        int common = paths_common_end(file->path, other->path);
        if (common > most) {
            most = common;
            closest = i;
        } else if (common == most && closest != DIFF_NO_FILE) {
            closest = DIFF_NO_FILE; /* as long as no other has more */
        }
    }
    return closest;
}

/* Each round pairs those that are each other's closest; those it takes out of the way may leave others alone. */
static int pair_ends(struct diff_files *old_files, struct diff_files *new_files)
{
    int paired = 0;
    for (uint32_t i = 0; i < old_files->count; i++) {
        if (old_files->files[i].partner != DIFF_NO_FILE)
            continue;
        uint32_t closest = find_closest(&old_files->files[i], new_files);
        if (closest == DIFF_NO_FILE || find_closest(&new_files->files[closest], old_files) != i)
            continue;
        pair(old_files, i, new_files, closest);
        paired = 1;
    }
    return paired;
}

uint32_t diff_files_match(struct diff_files *old_files, struct diff_files *new_files)
{
    uint32_t id = 1;
    make_keys(old_files);
    make_keys(new_files);
    pair_keys(old_files, new_files);
    while (pair_ends(old_files, new_files))
        ;
    for (uint32_t i = 0; i < old_files->count; i++) {
        struct diff_file *file = &old_files->files[i];
        file->id = id++;
        if (file->partner != DIFF_NO_FILE)
            new_files->files[file->partner].id = file->id;
    }
    for (uint32_t i = 0; i < new_files->count; i++)
        if (!new_files->files[i].id)
            new_files->files[i].id = id++;
    return id;
}

void diff_files_free(struct diff_files *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        free(files->files[i].key);
    free(files->files);
    files->files = NULL;
    files->count = 0;
}
