/* Every form of new and delete. The recorder sees them through malloc or directly; with --native the line of the
 * expression is credited. */
#include <new>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "target.h"
}

struct Plain {
    char bytes[120];
};
struct alignas(256) Aligned {
    char bytes[512];
};
struct Failing {
    char bytes[88];
    Failing() { throw 7; }
};

static void *volatile kept[32];

static NOINLINE void singles()
{
    Plain *plain = new Plain; // ALLOC new bytes=120 count=1 live=120 live_count=1 peak=120
    kept[0] = plain;
    Plain *gone = new Plain; // ALLOC new_delete bytes=120 count=1 live_count=0 temporary=1
    keep(gone);
    delete gone;
    char *array = new char[3000]; // ALLOC new_array bytes=3000 count=1 live=3000 live_count=1
    kept[1] = array;
    char *gone_array = new char[3100]; // ALLOC new_array_delete bytes=3100 count=1 live_count=0
    keep(gone_array);
    delete[] gone_array;
    char *quiet = new (std::nothrow) char[opaque(700)]; // ALLOC new_nothrow bytes=700 count=1 live=700 live_count=1
    kept[2] = quiet;
    void *raw = ::operator new(900); // ALLOC operator_new bytes=900 count=1 live_count=0
    keep(raw);
    ::operator delete(raw, 900);
}

static NOINLINE void aligned()
{
    Aligned *block = new Aligned; // ALLOC new_aligned bytes=512 count=1 live=512 live_count=1
    require((uintptr_t)block % 256 == 0);
    kept[3] = block;
    Aligned *gone = new Aligned[3]; // ALLOC new_aligned_array bytes=1536 count=1 live_count=0
    keep(gone);
    delete[] gone;
}

static NOINLINE void failing()
{
    int caught = 0;
    try {
        Failing *never = new Failing; // ALLOC new_thrown bytes=88 count=1 live_count=0
        keep(never);
    } catch (int value) {
        caught += value == 7;
    }
    try {
        char *never = new char[opaque(PTRDIFF_MAX)]; // ALLOC new_failed bytes=? count=? live_count=0
        keep(never);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    require(caught == 2);
    void *refused = operator new(opaque(PTRDIFF_MAX), std::nothrow); // ALLOC new_nothrow_failed live_count=0
    require(!refused);
}

static NOINLINE void containers()
{
    auto *numbers = new std::vector<long>(); // ALLOC vector_itself bytes=24 count=1 live=24 live_count=1
    kept[4] = numbers;
    numbers->reserve(1000);
    fact("vector_capacity", (long)numbers->capacity());
    auto shared = std::make_shared<Plain>();
    keep(shared.get());
}

int main()
{
    singles();
    aligned();
    failing();
    containers();
    char *top = new char[32 * MIB]; // ALLOC peak bytes=32*MIB count=1 live_count=0 peak=32*MIB
    keep(top);
    delete[] top;
    return 0;
}
