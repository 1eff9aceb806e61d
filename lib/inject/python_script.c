/* See python_script.h. The protocol: PEP 768, and CPython's Python/remote_debugging.c and Python/ceval_gil.c. */
#include "python_script.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process_maps.h"
#include "remote_symbols.h"

/* Bits of the eval breaker (pycore_ceval.h). */
enum {
    GIL_DROP_REQUEST = 1 << 0,
    SIGNALS_PENDING = 1 << 1,
    CALLS_TO_DO = 1 << 2,
    ASYNC_EXCEPTION = 1 << 3,
    PLEASE_STOP = 1 << 5,
};

/* _Py_DebugOffsets in 64-bit words from its start (pycore_debug_offsets.h): what both versions have in common … */
enum {
    WORD_VERSION = 1,
    WORD_FINALIZING = 4,
    WORD_INTERPRETERS = 5,
    WORD_INTERPRETER_BYTES = 6,
    WORD_INTERPRETER_ID = 7,
    WORD_INTERPRETER_NEXT = 8,
    WORD_MAIN_THREAD = 10,
    WORD_THREAD_BYTES = 22,
    MAX_WORDS = 111,
};

/* … and where its last part begins. */
static const struct {
    uint32_t version;
    unsigned first_word;
} supports[] = {{0x030e, 89}, {0x030f, 105}};

enum { SUPPORT_BREAKER, SUPPORT_REQUEST, SUPPORT_ENABLED, SUPPORT_PENDING, SUPPORT_PATH, SUPPORT_PATH_BYTES, SUPPORT_WORDS };

#define RELEASE_LEVEL(version) ((version) >> 4 & 0xf)
#define FINAL 0xf
#define MAX_INTERPRETERS 1000
#define MAX_PATH_BYTES 65536u

static int read_at(int file, uint64_t address, void *to, size_t bytes)
{
    return pread(file, to, bytes, (off_t)address) == (ssize_t)bytes ? 0 : -1;
}

static int write_at(int file, uint64_t address, const void *bytes, size_t count)
{
    return pwrite(file, bytes, count, (off_t)address) == (ssize_t)count ? 0 : -1;
}

/* ---- the interpreter ---- */

static uint64_t find_in_module(int memory_file, const struct mapped_file *module)
{
    struct remote_symbols symbols;
    if (remote_symbols_read(memory_file, module->start, &symbols))
        return 0;
    uint64_t address = remote_symbols_find_object(&symbols, "_PyRuntime");
    remote_symbols_done(&symbols);
    return address;
}

/* In the program itself, or in libpython3.14.so.1.0 */
static uint64_t find_runtime(pid_t pid, int memory_file)
{
    char link[32], program[PATH_MAX];
    struct process_maps maps;
    uint64_t runtime = 0;
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(link, program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    if (process_maps_read(pid, &maps))
        return 0;
    for (size_t i = 0; i < maps.count && !runtime; i++)
        if (!strcmp(maps.files[i].path, program) || strstr(maps.files[i].path, "/libpython3."))
            runtime = find_in_module(memory_file, &maps.files[i]);
    process_maps_done(&maps);
    return runtime;
}

/* Between alpha versions and the final one the offsets' own places change. */
static int read_offsets(int memory_file, uint64_t runtime, uint64_t *words, const uint64_t **ret_support)
{
    if (read_at(memory_file, runtime, words, MAX_WORDS * sizeof *words) || memcmp(words, "xdebugpy", 8) ||
        RELEASE_LEVEL(words[WORD_VERSION]) != FINAL)
        return -1;
    for (size_t i = 0; i < sizeof supports / sizeof *supports; i++)
        if (words[WORD_VERSION] >> 16 == supports[i].version) {
            const uint64_t *support = words + supports[i].first_word;
            uint64_t thread_bytes = words[WORD_THREAD_BYTES], interpreter_bytes = words[WORD_INTERPRETER_BYTES];
            *ret_support = support;
            return support[SUPPORT_BREAKER] < thread_bytes && support[SUPPORT_REQUEST] < thread_bytes && support[SUPPORT_PENDING] < thread_bytes &&
                           support[SUPPORT_PATH] < thread_bytes && support[SUPPORT_ENABLED] < interpreter_bytes &&
                           support[SUPPORT_PATH_BYTES] <= MAX_PATH_BYTES
                       ? 0 : -1;
        }
    return -1;
}

/* The first one that was made is the last of the list. */
static uint64_t find_main_interpreter(int memory_file, uint64_t runtime, const uint64_t *words)
{
    uint64_t interpreter;
    int64_t id;
    if (read_at(memory_file, runtime + words[WORD_INTERPRETERS], &interpreter, sizeof interpreter))
        return 0;
    for (int i = 0; interpreter && i < MAX_INTERPRETERS; i++) {
        if (read_at(memory_file, interpreter + words[WORD_INTERPRETER_ID], &id, sizeof id))
            return 0;
        if (id == 0)
            return interpreter;
        if (read_at(memory_file, interpreter + words[WORD_INTERPRETER_NEXT], &interpreter, sizeof interpreter))
            return 0;
    }
    return 0;
}

static int find_place(pid_t pid, struct python_script_place *place)
{
    uint64_t words[MAX_WORDS], finalizing, thread;
    const uint64_t *support;
    int32_t enabled;
    uint64_t runtime = find_runtime(pid, place->memory_file);
    if (!runtime || read_offsets(place->memory_file, runtime, words, &support))
        return -1;
    uint64_t interpreter = find_main_interpreter(place->memory_file, runtime, words);
    if (!interpreter || read_at(place->memory_file, runtime + words[WORD_FINALIZING], &finalizing, sizeof finalizing) || finalizing ||
        read_at(place->memory_file, interpreter + support[SUPPORT_ENABLED], &enabled, sizeof enabled) || enabled != 1 ||
        read_at(place->memory_file, interpreter + words[WORD_MAIN_THREAD], &thread, sizeof thread) || !thread)
        return -1;
    place->breaker = thread + support[SUPPORT_BREAKER];
    place->pending = thread + support[SUPPORT_REQUEST] + support[SUPPORT_PENDING];
    place->path = thread + support[SUPPORT_REQUEST] + support[SUPPORT_PATH];
    place->path_bytes = support[SUPPORT_PATH_BYTES];
    return 0;
}

int python_script_open(pid_t pid, struct python_script_place *ret_place)
{
    char path[32];
    struct python_script_place place = {0};
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    place.memory_file = open(path, O_RDWR | O_CLOEXEC);
    if (place.memory_file < 0)
        return -1;
    if (find_place(pid, &place)) {
        close(place.memory_file);
        return -1;
    }
    *ret_place = place;
    return 0;
}

void python_script_close(struct python_script_place *place)
{
    if (place->memory_file >= 0)
        close(place->memory_file);
    place->memory_file = -1;
}

/* ---- the request ---- */

/* The process changes bits of this byte too, and one that it sets just now is lost. So those that may matter are set in any case: where nothing
 * is to be done for them, it finds that out. A lost request for the GIL is repeated by who waits for it; a false one would have to be obeyed. */
static int raise_breaker(const struct python_script_place *place)
{
    uint8_t bits;
    if (read_at(place->memory_file, place->breaker, &bits, sizeof bits))
        return -1;
    bits = (uint8_t)((bits & ~GIL_DROP_REQUEST) | SIGNALS_PENDING | CALLS_TO_DO | ASYNC_EXCEPTION | PLEASE_STOP);
    return write_at(place->memory_file, place->breaker, &bits, sizeof bits);
}

int python_script_put(const struct python_script_place *place, const char *path)
{
    int32_t pending;
    size_t bytes = strlen(path) + 1;
    if (bytes > place->path_bytes || read_at(place->memory_file, place->pending, &pending, sizeof pending) || pending)
        return -1;
    pending = 1;
    if (write_at(place->memory_file, place->path, path, bytes) || write_at(place->memory_file, place->pending, &pending, sizeof pending))
        return -1;
    if (raise_breaker(place) == 0)
        return 0;
    python_script_take_back(place);
    return -1;
}

/* The path first: an empty one is not run. */
void python_script_take_back(const struct python_script_place *place)
{
    static const int32_t none;
    if (write_at(place->memory_file, place->path, "", 1) == 0)
        write_at(place->memory_file, place->pending, &none, sizeof none);
}
