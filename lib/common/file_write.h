/* Writing all of it: through signals and partial writes. Any process; never allocates. */
#ifndef HEAPLINE_COMMON_FILE_WRITE_H
#define HEAPLINE_COMMON_FILE_WRITE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* 0, or the error's number; ENOSPC where the kernel takes nothing more without an error. */
static inline int file_write_at(int file, const uint8_t *bytes, size_t count, uint64_t offset)
{
    while (count) {
        ssize_t written = pwrite(file, bytes, count, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written ? errno : ENOSPC;
        bytes += written;
        count -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}

#endif
