/* What is mapped into a process, by /proc/PID/maps: files and the addresses they take up. Allocates. */
#ifndef HEAPLINE_INJECT_PROCESS_MAPS_H
#define HEAPLINE_INJECT_PROCESS_MAPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All mappings of a file that follow one another. */
struct mapped_file {
    uint64_t start, end;
    uint64_t inode;
    char *path; /* as the kernel says, " (deleted)" included */
};

struct process_maps {
    struct mapped_file *files;
    size_t count, capacity;
};

/* 0, or -1 with errno. */
int process_maps_read(pid_t pid, struct process_maps *ret_maps);
void process_maps_done(struct process_maps *maps);

/* The file that this address belongs to; NULL: none. */
const struct mapped_file *process_maps_at(const struct process_maps *maps, uint64_t address);
/* The first file of this name, without its folder: "libc.so.6". NULL: none. */
const struct mapped_file *process_maps_named(const struct process_maps *maps, const char *name);
/* The dynamic loader's. */
const struct mapped_file *process_maps_loader(const struct process_maps *maps);
int mapped_file_is_loader(const struct mapped_file *file);

#endif
