/* A name is copied for every client and replaced without freeing the old one. */
#include "service.h"

static char *volatile names[16];

static void rename_client(int client, int number)
{
    char name[80];
    snprintf(name, sizeof name, "client %d as of request %d, with a rather long description of it", client, number);
    names[client] = strdup(name); /* leak */
}

int main(void)
{
    for (int number = 0; number < REQUESTS; number++) {
        churn(number);
        for (int client = 0; client < 16; client += 5)
            rename_client(client, number);
        pause_ms(5);
    }
    return 0;
}
