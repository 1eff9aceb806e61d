/* The hooks of CPython's object memory where only a sample is recorded. */
#ifndef HEAPLINE_CAPTURE_OBJECT_SAMPLES_H
#define HEAPLINE_CAPTURE_OBJECT_SAMPLES_H

#include "python_api.h"

struct layer;

/* For this layer. leaves_releases: it lies over pymalloc, whose arenas are marked, and whose free stays (pymalloc.h). */
struct python_allocator object_samples_hooks(struct layer *layer, int leaves_releases);

#endif
