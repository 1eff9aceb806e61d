/* See output.h. */
#include "output.h"

#include <errno.h>
#include <string.h>

#include "message.h"

FILE *output_open(const char *path)
{
    if (!path || !strcmp(path, "-"))
        return stdout;
    FILE *out = fopen(path, "we");
    if (!out)
        fail(CLI_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    return out;
}

void output_close(FILE *out, const char *path)
{
    int is_broken = fflush(out) != 0 || ferror(out);
    if (out != stdout)
        is_broken |= fclose(out) != 0;
    if (is_broken)
        fail(CLI_SYSTEM, "cannot write %s: %s", path ? path : "standard output", strerror(errno));
}
