/* Blocks are taken from a free list; the list grows while the load does, in the first quarter. */
#include "service.h"

struct block {
    struct block *next;
    char data[2000];
};

static struct block *idle;

static struct block *take(void)
{
    struct block *block = idle;
    if (!block)
        return malloc(sizeof *block);
    idle = block->next;
    return block;
}

static void serve(int number)
{
    struct block *taken[32];
    int count = number < 100 ? 1 + number / 4 : 12 + number % 14;
    for (int i = 0; i < count; i++)
        taken[i] = take();
    for (int i = 0; i < count; i++) {
        taken[i]->next = idle;
        idle = taken[i];
    }
}

int main(void)
{
    for (int number = 0; number < REQUESTS; number++) {
        churn(number);
        serve(number);
        pause_ms(5);
    }
    return 0;
}
