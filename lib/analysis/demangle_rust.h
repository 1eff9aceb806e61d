/* Rust names for people: legacy mangling (names like C++'s with a hash at the end) and v0 (RFC 2603). Hashes and crates' disambiguators are
 * left out, as in backtraces. Pure; allocates. */
#ifndef HEAPLINE_ANALYSIS_DEMANGLE_RUST_H
#define HEAPLINE_ANALYSIS_DEMANGLE_RUST_H

/* The readable form, to be freed by the caller. NULL: not Rust's, or no memory. */
char *demangle_rust(const char *name);

#endif
