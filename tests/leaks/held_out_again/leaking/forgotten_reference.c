/* Documents count their references; a preview that is left early keeps its own. */
#include "service.h"

struct document {
    int references;
    char text[];
};

static struct document *document_open(int number)
{
    struct document *document = malloc(sizeof *document + 300 + (size_t)number * 37 % 700); /* leak */
    document->references = 1;
    keep(document);
    return document;
}

static void document_close(struct document *document)
{
    if (--document->references == 0)
        free(document);
}

static int preview(struct document *document, int number)
{
    document->references++;
    if (number % 9 == 4)
        return -1;
    document_close(document);
    return 0;
}

int main(void)
{
    for (int number = 0; number < REQUESTS * 2; number++) {
        struct document *document = document_open(number);
        churn(number);
        preview(document, number);
        document_close(document);
        if (number % 2 == 0)
            pause_ms(5);
    }
    return 0;
}
