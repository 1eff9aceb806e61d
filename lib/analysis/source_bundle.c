/* Reads the source files that frames name (source_bundle.h). Frames share the names of files: one file is one pointer. */
#include "source_bundle.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "status.h"
#include "trace_format.h"

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Each file once. NULL: no memory. */
static const char **list_files(const struct frame_table *frames, size_t *ret_count)
{
    const char **files = malloc(((size_t)frames->frame_count + 1) * sizeof *files);
    size_t count = 0, kept = 0;
    if (!files)
        return NULL;
    for (uint32_t id = 1; id < frames->frame_count; id++)
        if (frames->frames[id].file)
            files[count++] = frames->frames[id].file;
    qsort(files, count, sizeof *files, compare_names);
    for (size_t i = 0; i < count; i++)
        if (!kept || files[kept - 1] != files[i])
            files[kept++] = files[i];
    *ret_count = kept;
    return files;
}

/* -1: none that can be read, or it is not what it was. */
static int open_source(const char *name, const struct source_origin *origin, size_t *ret_bytes)
{
    struct stat status;
    char *path;
    const char *folder = *name == '/' || !origin->directory ? "" : origin->directory;
    if (asprintf(&path, "%s%s%s%s", origin->sysroot ? origin->sysroot : "", folder, *folder ? "/" : "", name) < 0)
        return -1;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    free(path);
    if (file < 0)
        return -1;
    if (!fstat(file, &status) && S_ISREG(status.st_mode) && status.st_size > 0 && status.st_size < TRACE_MAX_STRING_BYTES &&
        (uint64_t)status.st_mtim.tv_sec <= origin->start_realtime_ns / 1000000000 + 1) {
        *ret_bytes = (size_t)status.st_size;
        return file;
    }
    close(file);
    return -1;
}

/* NULL: no such text. */
static char *read_text(const char *name, const struct source_origin *origin)
{
    size_t bytes, got = 0;
    int file = open_source(name, origin, &bytes);
    char *text = file >= 0 ? malloc(bytes + 1) : NULL;
    for (ssize_t more; text && got < bytes && (more = read(file, text + got, bytes - got)) > 0;)
        got += (size_t)more;
    if (file >= 0)
        close(file);
    if (text && got == bytes && !memchr(text, 0, bytes)) {
        text[bytes] = 0;
        return text;
    }
    free(text);
    return NULL;
}

int source_bundle_collect(struct source_bundle *bundle, const struct frame_table *frames, const struct source_origin *origin)
{
    size_t count = 0;
    const char **files = list_files(frames, &count);
    int enough = files != NULL;
    for (size_t i = 0; enough && i < count; i++) {
        char *text = read_text(files[i], origin), *key = NULL;
        if (!text)
            continue;
        enough = ARRAY_RESERVE(bundle->sources, bundle->capacity, bundle->count + 1) && asprintf(&key, SOURCE_BUNDLE_PREFIX "%s", files[i]) >= 0;
        if (enough)
            bundle->sources[bundle->count++] = (struct trace_property){key, text};
        else
            free(text);
    }
    free(files);
    return enough ? STATUS_OK : STATUS_NO_MEMORY;
}

void source_bundle_done(struct source_bundle *bundle)
{
    for (size_t i = 0; i < bundle->count; i++) {
        free((char *)bundle->sources[i].key);
        free((char *)bundle->sources[i].value);
    }
    free(bundle->sources);
}
