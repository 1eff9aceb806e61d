/* The last hundred messages: each new one takes the place of the oldest. */
#include "service.h"

static char *messages[100];

int main(void)
{
    for (int number = 0; number < REQUESTS; number++) {
        churn(number);
        free(messages[number % 100]);
        messages[number % 100] = malloc(200 + (size_t)(number % 37) * 10);
        keep(messages[number % 100]);
        pause_ms(5);
    }
    return 0;
}
