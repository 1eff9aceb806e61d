/* Allocations under so many C frames. `leaf`: all at the bottom, below a few functions that come and go. `sweep`: one at every level, down
 * and up again over the whole depth, so that no two in a row have the same stack. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long total;

__attribute__((noinline)) static void keep(char *block)
{
    block[0] = 1;
    total += block[0];
    free(block);
}

__attribute__((noinline)) static void leaf_one(long number)
{
    keep(malloc(32 + (size_t)number % 64));
    total++;
}

__attribute__((noinline)) static void leaf_two(long number)
{
    keep(malloc(100));
    if (number % 3 == 0)
        leaf_one(number);
    total++;
}

__attribute__((noinline)) static long descend(long depth, long allocations)
{
    if (depth > 1) {
        long made = descend(depth - 1, allocations);
        total++;
        return made;
    }
    for (long number = 0; number < allocations; number++) {
        if (number % 2)
            leaf_one(number);
        else
            leaf_two(number);
    }
    return allocations;
}

__attribute__((noinline)) static long sweep(long depth)
{
    char *block = malloc(32);
    block[0] = (char)depth;
    if (depth > 1)
        total += sweep(depth - 1);
    total += block[0];
    free(block);
    return depth;
}

int main(int argc, char **argv)
{
    int sweeping = argc > 1 && strcmp(argv[1], "sweep") == 0;
    long depth = argc > 2 ? atol(argv[2]) : 10;
    long events = argc > 3 ? atol(argv[3]) : 1000000;
    if (sweeping)
        for (long round = 0; round < events / 2 / depth; round++)
            sweep(depth);
    else
        descend(depth, events / 2 * 6 / 7); /* 7 allocations in 6 turns */
    printf("%ld\n", total);
    return 0;
}
