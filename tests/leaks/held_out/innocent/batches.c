/* Lines are gathered in a list and all freed every 70 requests. */
#include "service.h"

struct line {
    struct line *next;
    char text[400];
};

int main(void)
{
    struct line *lines = NULL;
    for (int number = 0; number < REQUESTS; number++) {
        churn(number);
        struct line *line = malloc(sizeof *line);
        line->next = lines;
        lines = line;
        keep(line);
        if (number % 70 == 69)
            while (lines) {
                line = lines->next;
                free(lines);
                lines = line;
            }
        pause_ms(5);
    }
    return 0;
}
