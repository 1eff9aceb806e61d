/* The names of source files as compilers leave them, made whole. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_SOURCE_PATH_H
#define HEAPLINE_ANALYSIS_SOURCE_PATH_H

#include <elfutils/libdw.h>

/* A file's path, absolute where the unit says in which folder it was compiled, without "." and "..". Freed by the caller; NULL: no memory. */
char *source_path(Dwarf_Die *unit, const char *file);

/* Headers of the system and Rust's library put code into programs (fortified memcpy, std::vector, Vec), which no line of the program stands
 * for. */
int source_path_is_system(const char *path);

#endif
