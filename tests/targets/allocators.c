/* Every function of the malloc family once, on a marked line: kept, freed, moved, failing. One thread. */
#include <dlfcn.h>
#include <malloc.h>

#include "target.h"

static void *volatile kept[64];
static int kept_count;

static void hold(void *pointer)
{
    require(pointer);
    kept[kept_count++] = pointer;
}

static NOINLINE void plain(void)
{
    void *block = malloc(1000); // ALLOC malloc bytes=1000 count=1 live=1000 live_count=1 peak=1000 peak_count=1
    hold(block);
    void *zero = malloc(opaque(0)); // ALLOC malloc_zero bytes=0 count=1 live=0 live_count=1 peak=0 peak_count=1
    hold(zero);
    void *cleared = calloc(30, 70); // ALLOC calloc bytes=2100 count=1 live=2100 live_count=1 peak=2100
    hold(cleared);
    void *big = malloc(5 * MIB); // ALLOC malloc_mapped bytes=5*MIB count=1 live=5*MIB live_count=1 peak=5*MIB
    hold(big);
    void *passing = malloc(777); // ALLOC freed bytes=777 count=1 live_count=0 peak=0 temporary=1
    keep(passing);
    free(passing);
    free(NULL);
}

static NOINLINE void churn(void)
{
    for (int i = 0; i < 1000; i++) {
        void *block = malloc((size_t)i + 1); // ALLOC churn bytes=500500 count=1000 live_count=0 peak=0 temporary=1000
        keep(block);
        free(block);
    }
    /* Freed after the next allocation: not temporary, but for the last pair's second. */
    for (int i = 0; i < 100; i++) {
        void *first = malloc(64); // ALLOC overlapped bytes=6400 count=100 live_count=0 temporary=0
        void *second = malloc(32); // ALLOC overlapping bytes=3200 count=100 live_count=0 temporary=100
        keep(first);
        keep(second);
        free(first);
        free(second);
    }
}

static NOINLINE void reallocations(void)
{
    void *fresh = realloc(NULL, 640); // ALLOC realloc_null bytes=640 count=1 live=640 live_count=1 peak=640
    hold(fresh);

    char *shrunk = malloc(5000); // ALLOC shrink_from bytes=5000 count=1 live_count=0
    uintptr_t before = (uintptr_t)shrunk;
    keep(shrunk);
    shrunk = realloc(shrunk, 3000); // ALLOC shrink_to bytes=3000 count=1 live=3000 live_count=1 peak=3000 copied=3000*shrink_moved
    fact("shrink_moved", (uintptr_t)shrunk != before);
    hold(shrunk);

    char *grown = malloc(2000); // ALLOC grow_from bytes=2000 count=1 live_count=0
    before = (uintptr_t)grown;
    void *barrier = malloc(100); // ALLOC grow_barrier bytes=100 count=1 live=100 live_count=1
    hold(barrier);
    memset(grown, 7, 2000);
    grown = realloc(grown, 900000); // ALLOC grow_to bytes=900000 count=1 live=900000 live_count=1 peak=900000 copied=2000*grow_moved copies=grow_moved
    fact("grow_moved", (uintptr_t)grown != before);
    require(grown[1999] == 7);
    hold(grown);

    void *chain = NULL;
    long moved_bytes = 0, moves = 0;
    for (size_t size = 100; size <= 10000; size += 100) {
        before = (uintptr_t)chain;
        chain = realloc(chain, size); // ALLOC chain bytes=505000 count=100 live=10000 live_count=1 peak=10000 copied=chain_moved copies=chain_moves
        if (before && (uintptr_t)chain != before) {
            moved_bytes += (long)size - 100;
            moves++;
        }
    }
    fact("chain_moved", moved_bytes);
    fact("chain_moves", moves);
    hold(chain);

    void *ended = malloc(4321); // ALLOC realloc_zero_from bytes=4321 count=1 live_count=0
    keep(ended);
    ended = realloc(ended, opaque(0)); // ALLOC realloc_zero bytes=0 count=ended_kept live_count=ended_kept
    fact("ended_kept", ended != NULL);

    void *stays = malloc(1234); // ALLOC realloc_failed_from bytes=1234 count=1 live=1234 live_count=1 peak=1234
    errno = 0;
    void *refused = realloc(stays, opaque(PTRDIFF_MAX)); // ALLOC realloc_failed bytes=0 count=0 live_count=0
    require(!refused && errno == ENOMEM);
    hold(stays);

    void *array = reallocarray(NULL, 10, 50); // ALLOC reallocarray_null bytes=500 count=1 live_count=0
    keep(array);
    array = reallocarray(array, 20, 50); // ALLOC reallocarray bytes=1000 count=1 live=1000 live_count=1 peak=1000 copied=?
    errno = 0;
    void *overflow = reallocarray(array, opaque(SIZE_MAX / 2), opaque(3)); // ALLOC reallocarray_overflow bytes=0 count=0 live_count=0
    require(!overflow && errno == ENOMEM);
    hold(array);
}

static NOINLINE void failures(void)
{
    errno = 0;
    void *huge = malloc(opaque(PTRDIFF_MAX)); // ALLOC malloc_failed bytes=0 count=0 live_count=0
    require(!huge && errno == ENOMEM);
    errno = 0;
    void *product = calloc(opaque(SIZE_MAX / 2), opaque(3)); // ALLOC calloc_overflow bytes=0 count=0 live_count=0
    require(!product && errno == ENOMEM);
    void *crooked = NULL;
    int error = posix_memalign(&crooked, opaque(3), 100); // ALLOC posix_memalign_invalid bytes=0 count=0 live_count=0
    require(error == EINVAL && !crooked);
    error = posix_memalign(&crooked, 64, opaque(PTRDIFF_MAX)); // ALLOC posix_memalign_failed bytes=0 count=0 live_count=0
    require(error == ENOMEM && !crooked);
}

static NOINLINE void aligned(void)
{
    void *block = NULL;
    int error = posix_memalign(&block, 256, 1000); // ALLOC posix_memalign bytes=1000 count=1 live=1000 live_count=1 peak=1000
    require(!error && (uintptr_t)block % 256 == 0);
    hold(block);
    block = aligned_alloc(64, 1024); // ALLOC aligned_alloc bytes=1024 count=1 live=1024 live_count=1 peak=1024
    require((uintptr_t)block % 64 == 0);
    hold(block);
    block = memalign(512, 3000); // ALLOC memalign bytes=3000 count=1 live=3000 live_count=1 peak=3000
    require((uintptr_t)block % 512 == 0);
    hold(block);
    block = valloc(5000); // ALLOC valloc bytes=5000 count=1 live=5000 live_count=1 peak=5000
    require((uintptr_t)block % 4096 == 0);
    hold(block);
    block = pvalloc(5000); // ALLOC pvalloc bytes=5000 count=1 live=5000 live_count=1 peak=5000
    require((uintptr_t)block % 4096 == 0);
    hold(block);
    block = memalign(128, 400); // ALLOC memalign_freed bytes=400 count=1 live_count=0 peak=0 temporary=1
    keep(block);
    free(block);
}

/* Functions that only some libraries have, and pointers that no import table holds. */
static NOINLINE void by_dlsym(void)
{
    void *(*found_malloc)(size_t) = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "malloc");
    void *block = found_malloc(6000); // ALLOC dlsym_malloc bytes=6000 count=1 live=6000 live_count=1 peak=6000
    hold(block);

    void *libc = dlopen("libc.so.6", RTLD_NOW);
    require(libc);
    void *(*libc_malloc)(size_t) = (void *(*)(size_t))dlsym(libc, "malloc");
    void (*libc_free)(void *) = (void (*)(void *))dlsym(libc, "free");
    block = libc_malloc(7000); // ALLOC libc_malloc bytes=7000 count=1 live=7000 live_count=1 peak=7000
    hold(block);
    block = libc_malloc(7100); // ALLOC libc_malloc_freed bytes=7100 count=1 live_count=0
    keep(block);
    libc_free(block);
    void *(*next_malloc)(size_t) = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    block = next_malloc(7200); // ALLOC next_malloc bytes=7200 count=1 live=7200 live_count=1 peak=7200
    hold(block);

    void (*found_cfree)(void *) = (void (*)(void *))dlsym(libc, "cfree");
    fact("has_cfree", found_cfree != NULL);
    block = malloc(8000); // ALLOC cfree bytes=8000 count=1 live_count=0
    keep(block);
    if (found_cfree)
        found_cfree(block);
    else
        free(block);

    void (*found_free_sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(libc, "free_sized");
    fact("has_free_sized", found_free_sized != NULL);
    block = malloc(8100); // ALLOC free_sized bytes=8100 count=1 live_count=0
    keep(block);
    if (found_free_sized)
        found_free_sized(block, 8100);
    else
        free(block);

    void (*found_free_aligned)(void *, size_t, size_t) = (void (*)(void *, size_t, size_t))dlsym(libc, "free_aligned_sized");
    block = aligned_alloc(64, 8192); // ALLOC free_aligned_sized bytes=8192 count=1 live_count=0
    keep(block);
    if (found_free_aligned)
        found_free_aligned(block, 64, 8192);
    else
        free(block);
}

static NOINLINE void usable(void)
{
    void *block = malloc(1001); // ALLOC usable bytes=1001 count=1 live=1001 live_count=1 peak=1001
    require(malloc_usable_size(block) >= 1001 && malloc_usable_size(NULL) == 0);
    memset(block, 1, malloc_usable_size(block));
    hold(block);
}

int main(void)
{
    plain();
    churn();
    reallocations();
    failures();
    aligned();
    by_dlsym();
    usable();
    void *early = malloc(2222); // ALLOC freed_after_peak bytes=2222 count=1 live_count=0 peak=2222 peak_count=1
    keep(early);
    void *top = malloc(64 * MIB); // ALLOC peak bytes=64*MIB count=1 live_count=0 peak=64*MIB peak_count=1
    keep(top);
    free(top);
    free(early);
    void *late = malloc(3333); // ALLOC after_peak bytes=3333 count=1 live=3333 live_count=1 peak=0
    keep(late);
    return 0;
}
