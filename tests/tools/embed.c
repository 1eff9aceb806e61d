/* A program with CPython as a plug-in, and with allocators of its own.
 *
 *   embed LIBPYTHON local|global ALLOCATOR CYCLES SCRIPT
 *
 * Loads the library, and CYCLES times starts the interpreter, runs SCRIPT (Python text; EMBED_CYCLE in its environment counts from 0) and
 * finalizes it. ALLOCATOR: "none"; "stacked": before the first start, one that counts calls and passes them on to the one there was;
 * "malloc": one that uses malloc; "late": like "stacked", but set while the interpreter runs, for the second half of each cycle.
 * Prints how many blocks the program's allocator was asked for. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *old, size_t size);
    void (*free)(void *context, void *block);
};

enum { DOMAIN_OBJECT = 2 };

static struct allocator below;
static unsigned long request_count;
static void (*get_allocator)(int domain, struct allocator *allocator);
static void (*set_allocator)(int domain, struct allocator *allocator);

static void *below_malloc(void *context, size_t size)
{
    request_count++;
    return below.malloc(below.context, size);
}

static void *below_calloc(void *context, size_t count, size_t size)
{
    request_count++;
    return below.calloc(below.context, count, size);
}

static void *below_realloc(void *context, void *old, size_t size)
{
    request_count++;
    return below.realloc(below.context, old, size);
}

static void below_free(void *context, void *block)
{
    below.free(below.context, block);
}

static void *plain_malloc(void *context, size_t size)
{
    request_count++;
    return malloc(size ? size : 1);
}

static void *plain_calloc(void *context, size_t count, size_t size)
{
    request_count++;
    return calloc(count ? count : 1, size ? size : 1);
}

static void *plain_realloc(void *context, void *old, size_t size)
{
    request_count++;
    return realloc(old, size ? size : 1);
}

static void plain_free(void *context, void *block)
{
    free(block);
}

static struct allocator passing_on = {NULL, below_malloc, below_calloc, below_realloc, below_free};
static struct allocator plain = {NULL, plain_malloc, plain_calloc, plain_realloc, plain_free};

static void *symbol(void *library, const char *name)
{
    void *address = dlsym(library, name);
    if (!address)
        exit(fprintf(stderr, "no %s\n", name));
    return address;
}

static void stack_ours(void)
{
    get_allocator(DOMAIN_OBJECT, &below);
    set_allocator(DOMAIN_OBJECT, &passing_on);
}

static void run_cycle(void *library, const char *allocator, const char *script)
{
    ((void (*)(void))symbol(library, "Py_Initialize"))();
    int (*run)(const char *) = (int (*)(const char *))symbol(library, "PyRun_SimpleString");
    if (!strcmp(allocator, "late")) {
        run("kept = [object() for _ in range(1000)]");
        stack_ours();
    }
    if (run(script))
        exit(1);
    if (!strcmp(allocator, "late"))
        set_allocator(DOMAIN_OBJECT, &below);
    ((int (*)(void))symbol(library, "Py_FinalizeEx"))();
}

int main(int count, char **arguments)
{
    if (count != 6)
        return 2;
    void *library = dlopen(arguments[1], RTLD_NOW | (strcmp(arguments[2], "global") ? RTLD_LOCAL : RTLD_GLOBAL));
    if (!library)
        return fprintf(stderr, "%s\n", dlerror());
    const char *allocator = arguments[3];
    get_allocator = (void (*)(int, struct allocator *))symbol(library, "PyMem_GetAllocator");
    set_allocator = (void (*)(int, struct allocator *))symbol(library, "PyMem_SetAllocator");
    if (!strcmp(allocator, "stacked"))
        stack_ours();
    if (!strcmp(allocator, "malloc"))
        set_allocator(DOMAIN_OBJECT, &plain);
    for (int cycle = 0; cycle < atoi(arguments[4]); cycle++) {
        char number[16];
        snprintf(number, sizeof number, "%d", cycle);
        setenv("EMBED_CYCLE", number, 1);
        run_cycle(library, allocator, arguments[5]);
    }
    printf("%lu\n", request_count);
    return 0;
}
