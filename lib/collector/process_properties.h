/* What a trace says about the process as a whole: key and value pairs. One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_PROCESS_PROPERTIES_H
#define HEAPLINE_COLLECTOR_PROCESS_PROPERTIES_H

#include <stddef.h>
#include <stdint.h>

#include "session.h"
#include "target_process.h"
#include "trace_writer.h"

void process_property_put(struct trace_writer *writer, const char *key, const char *value);
void process_property_put_number(struct trace_writer *writer, const char *key, uint64_t value);

/* All that is known when recording begins: command, executable, directory, options, hostname, kernel, heapline, page_size. */
void process_properties_put(struct trace_writer *writer, const struct session_header *session, const struct target_process *target);

/* The trace's default name: PROGRAM.PID.heapline, where the program is the script if an interpreter was given one. */
void process_default_path(const struct session_header *session, const struct target_process *target, char *path, size_t capacity);

#endif
