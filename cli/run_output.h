/* Where the trace goes: checks before the program starts, and the files that belong to one run. `command`: whose messages these are. */
#ifndef HEAPLINE_CLI_RUN_OUTPUT_H
#define HEAPLINE_CLI_RUN_OUTPUT_H

#include <sys/types.h>

/* The absolute path of -o, checked: its directory is there and writable; what is there already is removed with `force` (with the traces
 * of the same run's other processes and their cached reports), else refused. malloc'ed. NULL, for the default: only the current directory
 * is checked; returns NULL. */
char *run_output_prepare(const char *command, const char *path, int force);
/* The absolute path that 'NAME.PID.heapline' in the current directory has for this process id. malloc'ed. */
char *run_output_default(const char *command, const char *name, pid_t pid);

typedef void run_output_action(const char *path, void *context);
/* Every file that belongs to the run at `path` (traces of its other processes, cached reports), itself left out. */
void run_output_each_sibling(const char *path, run_output_action *action, void *context);
int run_output_is_report(const char *path);

#endif
