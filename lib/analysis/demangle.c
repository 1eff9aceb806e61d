/* Demangling through __cxa_demangle of whichever C++ runtime is installed (Itanium C++ ABI, 3.3). */
#include "demangle.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "demangle_rust.h"

typedef char *demangler(const char *name, char *buffer, size_t *length, int *status);

static demangler *find_demangler(void)
{
    static const char *const libraries[] = {"libstdc++.so.6", "libc++abi.so.1"};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        void *library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
        void *function = library ? dlsym(library, "__cxa_demangle") : NULL;
        if (function)
            return (demangler *)function;
    }
    return NULL;
}

char *demangle(const char *name)
{
    static demangler *function;
    static int searched;
    int status = -1;
    char *rust = demangle_rust(name);
    if (rust || strncmp(name, "_Z", 2))
        return rust;
    if (!searched) {
        function = find_demangler();
        searched = 1;
    }
    return function ? function(name, NULL, NULL, &status) : NULL;
}
