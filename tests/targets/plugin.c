/* A library that allocates when it is loaded, when it is called and when it is unloaded. */
#include "target.h"

__attribute__((visibility("default"))) void *plugin_allocate(size_t size);
__attribute__((visibility("default"))) void plugin_free(void *block);
static void *kept;

__attribute__((constructor)) static void loaded(void)
{
    kept = malloc(11000); // ALLOC loaded bytes=11000*loads count=loads live_count=0
}

__attribute__((destructor)) static void unloaded(void)
{
    free(kept);
    void *left = malloc(120); // ALLOC unloaded bytes=120*loads count=loads live=120*loads live_count=loads
    keep(left);
}

void *plugin_allocate(size_t size)
{
    void *block = malloc(size); // ALLOC called bytes=called_bytes count=loads live_count=0
    keep(block);
    return block;
}

void plugin_free(void *block)
{
    free(block);
}
