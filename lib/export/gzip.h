/* A whole gzip file (RFC 1952) of some bytes. Allocates. */
#ifndef HEAPLINE_EXPORT_GZIP_H
#define HEAPLINE_EXPORT_GZIP_H

#include "output_buffer.h"
#include "status.h"

/* Appends to *out. Returns 0 or STATUS_NO_MEMORY. The time in its header is 0: the same bytes give the same file. */
int gzip_compress(const void *bytes, size_t count, struct output_buffer *out);

#endif
