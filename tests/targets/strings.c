/* Functions of libc that allocate for their caller: with --native the caller's line is credited, without it the libc's row.
 * What stays live is known; how much libc turned over on the way is its own affair where bytes is not given. */
#include <glob.h>
#include <wchar.h>

#include "target.h"

static void *volatile kept[16];

int main(int argc, char **argv)
{
    (void)argc;
    char text[4001];
    memset(text, 'x', 4000);
    text[4000] = 0;

    kept[0] = strdup(text); // ALLOC strdup bytes=4001 count=1 live=4001 live_count=1 copied=?
    kept[1] = strndup(text, 1500); // ALLOC strndup bytes=1501 count=1 live=1501 live_count=1 copied=?

    char *printed = NULL;
    int length = asprintf(&printed, "%s:%d", text, 12345); // ALLOC asprintf live=4007 live_count=1 copied=?
    require(length == 4006);
    kept[2] = printed;

    FILE *file = fopen(argv[0], "r"); // ALLOC fopen live_count=0 copied=?
    require(file);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t got = getdelim(&line, &capacity, '\1', file); // ALLOC getdelim live=getdelim_capacity+file_buffer copied=?
    require(got > 0);
    fact("getdelim_capacity", (long)capacity);
    fclose(file);
    kept[3] = line;
    /* fclose has released the stream's buffer again. */
    fact("file_buffer", 0);

    kept[4] = wcsdup(L"twenty wide letters!"); // ALLOC wcsdup bytes=84 count=1 live=84 live_count=1 copied=?
    char *resolved = realpath("/", NULL); // ALLOC realpath live_count=1 live=? copied=?
    require(resolved && !strcmp(resolved, "/"));
    kept[5] = resolved;
    return 0;
}
