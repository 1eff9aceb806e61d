/* A table that is filled and never emptied; the program frees it when it ends. */
#include "service.h"

struct entry {
    struct entry *next;
    char name[100];
};

static struct entry *table[256];

static void insert(int number)
{
    struct entry *entry = malloc(sizeof *entry); /* leak */
    snprintf(entry->name, sizeof entry->name, "client %d", number);
    entry->next = table[number % 256];
    table[number % 256] = entry;
}

static void clear(void)
{
    for (int i = 0; i < 256; i++)
        while (table[i]) {
            struct entry *entry = table[i];
            table[i] = entry->next;
            free(entry);
        }
}

int main(void)
{
    for (int number = 0; number < REQUESTS; number++) {
        churn(number);
        for (int i = 0; i < 10; i++)
            insert(number * 10 + i);
        pause_ms(5);
    }
    clear();
    return 0;
}
