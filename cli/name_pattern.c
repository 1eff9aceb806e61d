/* Matches names (name_pattern.h) without recursion: after each '*' the earliest place will do. */
#include "name_pattern.h"

#include <string.h>

/* Where the next `length` characters of a pattern are in the name; NULL: nowhere. */
static const char *find_part(const char *name, const char *part, size_t length)
{
    for (size_t left = strlen(name); left >= length; name++, left--)
        if (!memcmp(name, part, length))
            return name;
    return NULL;
}

static int ends_with(const char *name, const char *part, size_t length)
{
    size_t left = strlen(name);
    return left >= length && !memcmp(name + left - length, part, length);
}

int name_pattern_matches(const char *pattern, const char *name)
{
    if (!name || !pattern || !*pattern)
        return 0;
    int tied = *pattern == '^';
    for (pattern += tied; *pattern; tied = 0) {
        size_t length = strcspn(pattern, "*");
        int is_last = pattern[length] == '\0', tied_end = is_last && length > 0 && pattern[length - 1] == '$';
        if (tied_end)
            length--;
        if (tied && strncmp(name, pattern, length))
            return 0;
        if (tied_end)
            return ends_with(name, pattern, length) && (!tied || name[length] == '\0');
        const char *found = tied ? name : find_part(name, pattern, length);
        if (!found)
            return 0;
        name = found + length;
        pattern += length + !is_last;
    }
    return 1;
}
