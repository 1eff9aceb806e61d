/* The file that -o names: "-" or none is standard output. Both exit where it can't be written. */
#ifndef HEAPLINE_CLI_OUTPUT_H
#define HEAPLINE_CLI_OUTPUT_H

#include <stdio.h>

FILE *output_open(const char *path);
/* `path`: as it was opened. */
void output_close(FILE *out, const char *path);

#endif
