/* Copy volume: switched on once the session says that copies are wanted, and from which size on they get a stack. */
#ifndef HEAPLINE_CAPTURE_COPY_HOOKS_H
#define HEAPLINE_CAPTURE_COPY_HOOKS_H

#include <stdint.h>

void copy_hooks_init(uint64_t copy_threshold_bytes);

#endif
