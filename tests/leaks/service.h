/* What the scenarios in C have in common: work that leaves nothing behind, and time that passes. The leaking line ends in a comment,
 * "leak". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUESTS 400

static void *volatile kept;

static void __attribute__((noinline)) keep(void *memory)
{
    kept = memory;
}

static void __attribute__((noinline)) churn(int number)
{
    void *blocks[64];
    for (int i = 0; i < 64; i++) {
        blocks[i] = malloc(64 + (size_t)(number + i) % 900);
        keep(blocks[i]);
    }
    for (int i = 0; i < 64; i++)
        free(blocks[i]);
}

static void pause_ms(long milliseconds)
{
    struct timespec pause = {0, milliseconds * 1000000};
    nanosleep(&pause, NULL);
}
