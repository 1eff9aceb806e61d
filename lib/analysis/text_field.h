/* Lines of fields, as the trace's properties hold them, taken apart in place. */
#ifndef HEAPLINE_ANALYSIS_TEXT_FIELD_H
#define HEAPLINE_ANALYSIS_TEXT_FIELD_H

#include <string.h>

/* The text up to the next `mark`, which becomes its end; *text is what follows ("" behind the last). */
static inline char *text_field_next(char **text, char mark)
{
    char *field = *text, *end = strchr(field, mark);
    *text = end ? end + 1 : field + strlen(field);
    if (end)
        *end = 0;
    return field;
}

#endif
