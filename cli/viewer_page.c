/* Puts the page together: see viewer_page.h. */
#include "viewer_page.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "library.h"
#include "memory.h"

#define MAX_PAGE_BYTES 5000000
#define PLACEHOLDER "@HEAPLINE_DATA@"

/* From the most that a page holds to the least. */
static const struct viewer_bounds bounds[] = {
    {60000, 20000, 3 << 20, 64}, {40000, 10000, 2 << 20, 64}, {25000, 6000, 1 << 20, 32}, {12000, 4000, 512 << 10, 32},
    {6000, 2000, 256 << 10, 16}, {3000, 1000, 128 << 10, 8},  {1000, 500, 0, 8},
};
#define BOUND_COUNT (sizeof bounds / sizeof *bounds)

struct bytes {
    char *text;
    size_t count;
};

static struct bytes read_template(void)
{
    char *path = library_find_file("viewer.html", "../viewer/viewer.html");
    struct bytes page = {0};
    if (!path)
        fail(CLI_SYSTEM, "the viewer is not part of this build: it is made where node and npm are installed when heapline is built "
                         "(packaging/install-deps viewer). The other formats of 'heapline export' need neither");
    FILE *file = fopen(path, "re"), *out = memory_stream(&page.text, &page.count);
    char buffer[65536];
    if (!file)
        fail(CLI_SYSTEM, "cannot read %s", path);
    for (size_t count; (count = fread(buffer, 1, sizeof buffer, file));)
        fwrite(buffer, 1, count, out);
    fclose(file);
    fclose(out);
    if (!strstr(page.text, PLACEHOLDER))
        fail(CLI_SYSTEM, "%s is not the viewer's page", path);
    free(path);
    return page;
}

void viewer_page_require(void)
{
    free(read_template().text);
}

static struct bytes compress_bytes(const struct bytes *from)
{
    uLongf count = compressBound(from->count);
    struct bytes to = {memory_new(count, 1), 0};
    if (compress2((Bytef *)to.text, &count, (const Bytef *)from->text, from->count, Z_DEFAULT_COMPRESSION) != Z_OK)
        memory_exhausted();
    to.count = count;
    return to;
}

static size_t base64_bytes(size_t count)
{
    return (count + 2) / 3 * 4;
}

static void write_base64(FILE *out, const struct bytes *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes->count; i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (i + k < bytes->count ? (unsigned char)bytes->text[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            putc_unlocked(k && i + k > bytes->count ? '=' : digits[three >> (18 - 6 * k) & 63], out);
    }
}

static struct bytes make_document(viewer_page_content *content, const void *context, const struct viewer_bounds *limits)
{
    struct bytes document = {0};
    FILE *out = memory_stream(&document.text, &document.count);
    struct json json;
    json_begin(&json, out, "view");
    json_text(&json, "version", HEAPLINE_VERSION);
    json_array(&json, "processes");
    content(context, limits, &json);
    json_array_end(&json);
    json_end(&json);
    fclose(out);
    return document;
}

/* With many stacks, most attempts would be in vain, and each looks at all of them. */
static size_t first_bound(int64_t stacks)
{
    return stacks > 1000000 ? 3 : stacks > 250000 ? 2 : stacks > 100000 ? 1 : 0;
}

/* The bound to try next where that of `i` gave a page `excess` times too large. */
static size_t narrower_bound(size_t i, double excess)
{
    uint32_t wanted = (uint32_t)(bounds[i].node_count / excess);
    for (i++; i + 1 < BOUND_COUNT && bounds[i].node_count > wanted;)
        i++;
    return i;
}

/* As much as fits: the next wider bounds are tried where less than half of the room is used. */
static struct bytes make_data(viewer_page_content *content, const void *context, int64_t stack_count, size_t room)
{
    struct bytes fitting = {0};
    int was_too_large = 0;
    for (size_t i = first_bound(stack_count);;) {
        struct bytes document = make_document(content, context, &bounds[i]), data = compress_bytes(&document);
        double excess = (double)base64_bytes(data.count) / (double)room;
        free(document.text);
        if (excess > 1 && fitting.text) {
            free(data.text);
            return fitting;
        }
        if (excess > 1 && i + 1 < BOUND_COUNT) {
            free(data.text);
            was_too_large = 1;
            i = narrower_bound(i, excess);
            continue;
        }
        free(fitting.text);
        fitting = data;
        if (excess > 0.5 || !i || was_too_large)
            return fitting;
        i--;
    }
}

void viewer_page_fill(viewer_page_content *content, const void *context, int64_t stack_count, FILE *out)
{
    struct bytes page = read_template();
    const char *place = strstr(page.text, PLACEHOLDER);
    struct bytes data = make_data(content, context, stack_count, MAX_PAGE_BYTES - page.count);
    fwrite(page.text, 1, (size_t)(place - page.text), out);
    write_base64(out, &data);
    fputs(place + strlen(PLACEHOLDER), out);
    free(data.text);
    free(page.text);
}

/* ---- processes ---- */

struct page_processes {
    const struct reading *reading;
    const struct viewer_process *processes;
    uint32_t count;
    const struct viewer_choice *choice;
    struct viewer_run run;
};

static struct viewer_run run_of(const struct viewer_process *processes, uint32_t count)
{
    int64_t start_ns = INT64_MAX, end_ns = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t began_ns = query_integer(processes[i].database, "SELECT start_realtime_ns FROM summary");
        int64_t ended_ns = began_ns + query_integer(processes[i].database, "SELECT duration_ns FROM summary");
        start_ns = began_ns < start_ns ? began_ns : start_ns;
        end_ns = ended_ns > end_ns ? ended_ns : end_ns;
    }
    return (struct viewer_run){start_ns, end_ns - start_ns};
}

/* A process's own directory is what its paths are shown from. */
static void write_processes(const void *context, const struct viewer_bounds *limits, struct json *json)
{
    const struct page_processes *all = context;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct viewer_process *process = &all->processes[i];
        struct reading own = *all->reading;
        char *directory = query_property(process->database, "directory");
        own.trace = process->trace;
        own.directory = directory;
        viewer_document_process(&own, process->database, all->choice, all->count > 1 ? &all->run : NULL, limits, json);
        free(directory);
    }
}

void viewer_page_write(const struct reading *reading, const struct viewer_process *processes, uint32_t process_count,
                       const struct viewer_choice *choice, FILE *out)
{
    const struct page_processes all = {reading, processes, process_count, choice, run_of(processes, process_count)};
    int64_t stacks = 0;
    for (uint32_t i = 0; i < process_count; i++)
        stacks += query_integer(processes[i].database, "SELECT count(*) FROM stack_use");
    viewer_page_fill(write_processes, &all, stacks, out);
}
