/* python_loop.c finds both parts of a function in a library, and the first alone where the library is stripped.
 *
 * Arguments: the library, and how many bytes its rare part has. */
#include <dlfcn.h>
#include <stdlib.h>

#include "check.h"
#include "python_loop.h"

static const struct link_map *module_of(const void *address)
{
    Dl_info info;
    struct link_map *map = NULL;
    CHECK(dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP));
    return map;
}

static void check_part(const struct python_loop_part *part, uint64_t bytes)
{
    CHECK_EQUAL(part->bytes, bytes);
    CHECK(!python_loop_holds(part->start));
    CHECK(python_loop_holds(part->start + 1));
    CHECK(python_loop_holds(part->start + bytes)); /* behind a call that is the last instruction */
    CHECK(!python_loop_holds(part->start + bytes + 1));
}

int main(int argument_count, char **arguments)
{
    CHECK_EQUAL(argument_count, 3);
    CHECK(!python_loop_holds(0) && !python_loop_holds(1));
    CHECK(!python_loop_find(module_of((const void *)(uintptr_t)&main)));
    CHECK_EQUAL(python_loop[0].bytes, 0);
    void *library = dlopen(arguments[1], RTLD_NOW);
    CHECK(library);
    const char *loop = dlsym(library, "_PyEval_EvalFrameDefault");
    CHECK(python_loop_find(module_of(loop)));
    CHECK_EQUAL(python_loop[0].start, (uintptr_t)loop);
    check_part(&python_loop[0], 48);
    uint64_t cold_bytes = strtoull(arguments[2], NULL, 10);
    CHECK_EQUAL(python_loop[1].bytes, cold_bytes);
    if (cold_bytes)
        check_part(&python_loop[1], cold_bytes);
    return 0;
}
