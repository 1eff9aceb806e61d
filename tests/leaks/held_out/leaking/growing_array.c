/* An array that is made larger by a constant, and never smaller. */
#include "service.h"

int main(void)
{
    long *samples = NULL;
    size_t count = 0;
    for (int number = 0; number < REQUESTS; number++) {
        churn(number);
        count += 50;
        samples = realloc(samples, count * sizeof *samples); /* leak */
        samples[count - 1] = number;
        pause_ms(5);
    }
    keep(samples);
    return 0;
}
