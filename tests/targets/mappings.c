/* mmap, munmap in every way, mremap, brk: each mapping on a marked line, figures to the byte (whole pages).
 * A mapping that is replaced by MAP_FIXED loses what is covered; mremap is a deallocation and an allocation of the new length. */
#include <sys/mman.h>

#include "target.h"

#define PAGE 4096ul
#define ANONYMOUS MAP_PRIVATE | MAP_ANONYMOUS
#define READ_WRITE PROT_READ | PROT_WRITE

static NOINLINE void whole(void)
{
    void *kept = mmap(NULL, 100 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC mmap bytes=100*PAGE count=1 live=100*PAGE live_count=1 peak=100*PAGE
    require(kept != MAP_FAILED);
    void *kept64 = mmap64(NULL, 50 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC mmap64 bytes=50*PAGE count=1 live=50*PAGE live_count=1
    require(kept64 != MAP_FAILED);
    void *gone = mmap(NULL, 30 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC unmapped bytes=30*PAGE count=1 live_count=0
    require(!munmap(gone, 30 * PAGE));
    void *shared = mmap(NULL, 20 * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); // ALLOC shared bytes=20*PAGE count=1 live=20*PAGE
    require(shared != MAP_FAILED);
    errno = 0;
    void *refused = mmap(NULL, 0, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC mmap_failed bytes=0 count=0
    require(refused == MAP_FAILED && errno == EINVAL);
    void *huge = mmap(NULL, opaque(1ul << 62), READ_WRITE, ANONYMOUS, -1, 0); // ALLOC mmap_too_large bytes=0 count=0
    require(huge == MAP_FAILED && errno == ENOMEM);
    require(munmap((void *)1, PAGE) == -1 && errno == EINVAL);
}

static NOINLINE void partial(void)
{
    char *head = mmap(NULL, 10 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC cut_head bytes=10*PAGE count=1 live=7*PAGE live_count=1 peak=7*PAGE
    require(!munmap(head, 3 * PAGE));
    char *tail = mmap(NULL, 10 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC cut_tail bytes=10*PAGE count=1 live=6*PAGE live_count=1 peak=6*PAGE
    require(!munmap(tail + 6 * PAGE, 4 * PAGE));
    char *middle = mmap(NULL, 10 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC cut_middle bytes=10*PAGE live=8*PAGE peak=8*PAGE
    require(!munmap(middle + 4 * PAGE, 2 * PAGE));
    char *pieces = mmap(NULL, 10 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC cut_to_pieces bytes=10*PAGE live_count=0 peak=0
    for (int i = 0; i < 10; i += 2)
        require(!munmap(pieces + (size_t)i * PAGE, PAGE));
    for (int i = 9; i > 0; i -= 2)
        require(!munmap(pieces + (size_t)i * PAGE, PAGE));
    /* One munmap over three neighbours: the end of the first, all of the second, the start of the third. */
    char *base = mmap(NULL, 30 * PAGE, PROT_NONE, ANONYMOUS, -1, 0); // ALLOC span_base bytes=30*PAGE count=1 live_count=0
    char *first = mmap(base, 10 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0); // ALLOC span_first bytes=10*PAGE live=9*PAGE peak=9*PAGE
    char *second = mmap(base + 10 * PAGE, 10 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0); // ALLOC span_second bytes=10*PAGE live_count=0
    char *third = mmap(base + 20 * PAGE, 10 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0); // ALLOC span_third bytes=10*PAGE live=8*PAGE peak=8*PAGE
    require(first == base && second == base + 10 * PAGE && third == base + 20 * PAGE);
    require(!munmap(base + 9 * PAGE, 13 * PAGE));
    /* A length that is no whole page takes the whole page. */
    char *odd = mmap(NULL, 4 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC cut_odd bytes=4*PAGE live=2*PAGE
    require(!munmap(odd + 2 * PAGE, PAGE + 1));
    /* Unmapping what is not mapped is no error, and frees nothing. */
    require(!munmap(odd + 2 * PAGE, 2 * PAGE));
}

static NOINLINE void fixed(void)
{
    char *covered = mmap(NULL, 12 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC covered bytes=12*PAGE count=1 live=7*PAGE peak=7*PAGE
    char *cover = mmap(covered + 2 * PAGE, 5 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0); // ALLOC cover bytes=5*PAGE live=5*PAGE
    require(cover == covered + 2 * PAGE);
    int file = open("/proc/self/exe", O_RDONLY);
    char *hidden = mmap(NULL, 6 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC hidden_by_file bytes=6*PAGE count=1 live=5*PAGE peak=5*PAGE
    require(mmap(hidden, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == hidden);
    close(file);
}

static NOINLINE void remapped(void)
{
    char *small = mmap(NULL, 4 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC grown_from bytes=4*PAGE count=1 live_count=0
    small[0] = 9;
    char *large = mremap(small, 4 * PAGE, 400 * PAGE, MREMAP_MAYMOVE); // ALLOC grown bytes=400*PAGE count=1 live=400*PAGE peak=400*PAGE
    require(large != MAP_FAILED && large[0] == 9);
    char *wide = mmap(NULL, 16 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC shrunk_from bytes=16*PAGE count=1 live_count=0
    char *narrow = mremap(wide, 16 * PAGE, 5 * PAGE, 0); // ALLOC shrunk bytes=5*PAGE count=1 live=5*PAGE peak=5*PAGE
    require(narrow == wide);
    char *target = mmap(NULL, 8 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC moved_onto bytes=8*PAGE count=1 live=5*PAGE
    char *source = mmap(NULL, 3 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC moved_from bytes=3*PAGE count=1 live_count=0
    source[PAGE] = 3;
    char *moved = mremap(source, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE); // ALLOC moved bytes=3*PAGE live=3*PAGE
    require(moved == target + PAGE && moved[PAGE] == 3);
    char *stays = mmap(NULL, 2 * PAGE, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC mremap_failed_from bytes=2*PAGE live=2*PAGE
    require(mremap(stays, 2 * PAGE, opaque(1ul << 60), MREMAP_MAYMOVE) == MAP_FAILED); // ALLOC mremap_failed bytes=0 count=0
}

static NOINLINE void program_break(void)
{
    char *start = sbrk(0);
    void *grown = sbrk(64 * KIB); // ALLOC sbrk bytes=64*KIB count=1 live=40*KIB peak=40*KIB
    require(grown == start);
    require(!brk(start + 96 * KIB)); // ALLOC brk bytes=32*KIB count=1 live_count=0
    require(!brk(start + 40 * KIB));
    require(sbrk(opaque((size_t)INTPTR_MAX)) == (void *)-1);
}

int main(void)
{
    whole();
    partial();
    fixed();
    remapped();
    program_break();
    void *top = mmap(NULL, 64 * MIB, READ_WRITE, ANONYMOUS, -1, 0); // ALLOC peak bytes=64*MIB count=1 live_count=0 peak=64*MIB
    require(!munmap(top, 64 * MIB));
    return 0;
}
