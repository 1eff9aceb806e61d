/* The report of a trace, for `run` to print when its program has ended. */
#ifndef HEAPLINE_CLI_REPORT_H
#define HEAPLINE_CLI_REPORT_H

#include <stdio.h>

/* Returns an enum cli_status; ends the process where the trace cannot be read. */
int report_print(const char *trace, FILE *out);

#endif
