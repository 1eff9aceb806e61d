/* A rare error path returns without freeing: one request in forty. */
#include "service.h"

struct request {
    char body[512];
};

static struct request *read_request(int number)
{
    struct request *request = malloc(sizeof *request); /* leak */
    snprintf(request->body, sizeof request->body, "request %d", number);
    return request;
}

static int serve(int number)
{
    struct request *request = read_request(number);
    churn(number);
    if (number % 40 == 7)
        return -1;
    free(request);
    return 0;
}

int main(void)
{
    for (int number = 0; number < REQUESTS * 4; number++) {
        serve(number);
        if (number % 4 == 0)
            pause_ms(5);
    }
    return 0;
}
