/* Blocks of mixed sizes through a ring of live ones, from a few call sites: as many events as asked for. How the cost of recording grows
 * with the length of a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_BLOCKS 4096

static unsigned long long state = 88172645463325252ull;

static unsigned long long next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

__attribute__((noinline)) static char *make_small(unsigned long long number)
{
    char *made = malloc(16 + number % 112);
    made[0] = (char)number;
    return made;
}

__attribute__((noinline)) static char *make_large(unsigned long long number)
{
    char *made = calloc(1, 256 + number % 2048);
    made[1] = (char)number;
    return made;
}

__attribute__((noinline)) static char *make_block(unsigned long long number)
{
    return number % 8 ? make_small(number >> 8) : make_large(number >> 8);
}

int main(int argc, char **argv)
{
    static char *live[LIVE_BLOCKS];
    long events = argc > 1 ? atol(argv[1]) : 1000000;
    long total = 0;
    for (long made = 0; made < events / 2; made++) {
        unsigned long long number = next_random();
        char **slot = &live[number % LIVE_BLOCKS];
        if (*slot) {
            total += (*slot)[0];
            free(*slot);
        }
        *slot = make_block(number >> 16);
    }
    for (int i = 0; i < LIVE_BLOCKS; i++)
        free(live[i]);
    printf("%ld\n", total);
    return 0;
}
