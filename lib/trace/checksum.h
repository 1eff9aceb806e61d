/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) of headers and payloads: the processor's own instruction where it has one.
 * Any thread; never allocates. */
#ifndef HEAPLINE_TRACE_CHECKSUM_H
#define HEAPLINE_TRACE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint32_t checksum_crc32c(const void *bytes, size_t count);

/* The same without the processor's instruction: for the test that compares them. */
uint32_t checksum_crc32c_portable(const void *bytes, size_t count);

#endif
