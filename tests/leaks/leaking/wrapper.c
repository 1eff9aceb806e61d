/* All memory comes through a wrapper; one of its callers forgets to free. */
#include "service.h"

static void *checked_malloc(size_t size_bytes)
{
    void *memory = malloc(size_bytes);
    if (!memory)
        abort();
    return memory;
}

static void handle(int number)
{
    char *scratch = checked_malloc(3000);
    memset(scratch, number, 3000);
    char *reply = checked_malloc(300); /* leak */
    memcpy(reply, scratch, 300);
    free(scratch);
    keep(reply);
}

int main(void)
{
    for (int number = 0; number < REQUESTS; number++) {
        churn(number);
        handle(number);
        pause_ms(5);
    }
    return 0;
}
