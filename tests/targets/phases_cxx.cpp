// A C++ program that goes from phase to phase when it is told to by a line on its standard input. What phase 2 allocates is known.
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "target.h"

struct alignas(64) Wide {
    char bytes[128];
};

static void await_line(char phase)
{
    char answer, said[] = {phase, '\n'};
    require(write(1, said, 2) == 2);
    require(read(0, &answer, 1) == 1 && answer == '\n');
}

static NOINLINE std::string *before()
{
    return new std::string(300, 'x'); // ALLOC before bytes=0
}

static NOINLINE void known(std::string *old)
{
    delete old;
    for (int i = 0; i < 10; i++)
        delete[] new long[100]; // ALLOC array bytes=8000 count=10 live_count=0
    keep(new int(7));         // ALLOC plain bytes=4 count=1 live=4
    keep(new Wide);           // ALLOC wide bytes=128 count=1 live=128
    keep(new (std::nothrow) char[50]); // ALLOC nothrow bytes=50 count=1 live=50
    auto shared = std::make_shared<long>(5);
    keep(shared.get());
}

static NOINLINE std::string text(size_t size)
{
    return std::string(size, 'y');
}

int main()
{
    std::vector<std::string *> kept;
    for (int i = 0; i < 100; i++)
        kept.push_back(before());
    await_line('1');
    known(kept.back());
    kept.pop_back();
    std::string grown = text(1000); // of libstdc++'s own code
    grown += grown;
    require(grown.size() == 2000);
    try {
        keep(new char[opaque(~0ul >> 2)]);
        require(false);
    } catch (const std::bad_alloc &) {
    }
    await_line('2');
    for (auto *string : kept)
        delete string;
    await_line('3');
    return 0;
}
