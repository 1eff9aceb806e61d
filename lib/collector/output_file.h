/* Finds the name of the trace and creates it.
 *
 * The first process of a run gets PATH, every other one PATH.PID. When a process execs, the trace of its new program takes the place of the
 * old program's, which is renamed to PATH.PID.N. Who was first is told by creating the file exclusively; who wrote an existing one, by the
 * identity at its start, which is written right after creation. The file stays locked (flock) as long as it is being written.
 * One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_OUTPUT_FILE_H
#define HEAPLINE_COLLECTOR_OUTPUT_FILE_H

#include "trace_writer.h"

#define OUTPUT_PATH_BYTES 4200

struct output_file {
    int file; /* -1: none */
    char path[OUTPUT_PATH_BYTES];
};

/* Create the trace for `path` (see above); force: a file that is another run's is overwritten.
 * Sets TRACE_EXECED in identity->flags where the process wrote a trace before. Returns 0, or STATUS_SYSTEM (errno). */
int output_file_create(struct output_file *output, const char *path, int force, struct trace_identity *identity);

/* Create PATH.PID, or PATH.PID.N where that is taken, and leave what is there in its place: for a trace that is written at once. The same errors;
 * EINVAL where PATH is a device. */
int output_file_create_aside(struct output_file *output, const char *path, struct trace_identity *identity);

/* Can its bytes be read again where they were written? Not of a device. */
int output_file_is_seekable(const struct output_file *output);

/* Release the lock, close. */
void output_file_close(struct output_file *output);

#endif
