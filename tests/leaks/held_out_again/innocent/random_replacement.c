/* A cache with so many places: what comes takes the place of something else. */
#include "service.h"

static char *places[96];

int main(void)
{
    unsigned long long random = 7;
    for (int number = 0; number < REQUESTS; number++) {
        churn(number);
        for (int i = 0; i < 4; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            char **place = &places[(random >> 33) % 96];
            free(*place);
            *place = malloc(500 + (size_t)(random >> 40) % 1500);
            snprintf(*place, 500, "answer %d", number);
        }
        pause_ms(5);
    }
    return 0;
}
