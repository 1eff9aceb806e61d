/* C++ exceptions thrown through frames that allocate; each catch is followed by known allocations. */
#include <string>

extern "C" {
#include "target.h"
}

struct Guard {
    void *block;
    Guard() { block = malloc(240); } // ALLOC guard bytes=240*31*500 count=31*500 live_count=0
    ~Guard() { free(block); }
};

static NOINLINE int thrower(int depth)
{
    Guard guard;
    if (depth == 0)
        throw 42;
    return thrower(depth - 1) + (guard.block != nullptr);
}

int main()
{
    for (int i = 0; i < 500; i++) {
        try {
            thrower(30);
        } catch (int value) {
            require(value == 42);
            void *block = malloc(70); // ALLOC caught bytes=35000 count=500 live=35000 live_count=500
            keep(block);
        }
    }
    return 0;
}
