/* How a tag (lib/capture/tags.h) is told from a code object in definitions and in traces: the file that its code id has, and no Python version.
 * Depends on nothing. */
#ifndef HEAPLINE_COMMON_TAG_FILE_H
#define HEAPLINE_COMMON_TAG_FILE_H

#define TAG_FILE "<tag>"

#endif
