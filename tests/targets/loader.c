/* dlopen and dlclose of a library beside the program, found through the program's $ORIGIN run path: who calls dlopen matters.
 * Usage: loader TIMES [deepbind] */
#include <dlfcn.h>

#include "target.h"

int main(int argc, char **argv)
{
    require(argc >= 2);
    int times = atoi(argv[1]);
    int flags = RTLD_NOW | (argc > 2 ? RTLD_DEEPBIND : 0);
    for (int i = 0; i < times; i++) {
        void *plugin = dlopen("libheapline_test_plugin.so", flags);
        if (!plugin) {
            dprintf(2, "%s\n", dlerror());
            return 3;
        }
        void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_allocate");
        void (*release)(void *) = (void (*)(void *))dlsym(plugin, "plugin_free");
        require(allocate && release);
        void *block = allocate((size_t)(1000 + i));
        if (i % 2)
            release(block);
        else
            free(block);
        require(!dlclose(plugin));
    }
    require(!dlopen("libheapline_no_such_library.so", RTLD_NOW));
    require(strstr(dlerror(), "libheapline_no_such_library.so"));
    fact("loads", times);
    fact("called_bytes", 1000l * times + (long)times * (times - 1) / 2);
    puts("loader: done");
    return 0;
}
