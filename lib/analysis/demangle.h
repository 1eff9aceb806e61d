/* C++ and Rust names for people. For C++ uses the C++ runtime's own demangler where that library is installed, and needs no linking with it.
 * One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_DEMANGLE_H
#define HEAPLINE_ANALYSIS_DEMANGLE_H

/* The readable form, to be freed by the caller. NULL: not a mangled name, or no demangler here. */
char *demangle(const char *name);

#endif
