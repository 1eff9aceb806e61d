/* File names as a reader recognises them: 'sklearn/feature_extraction/text.py', 'json/decoder.py', 'train.py', 'libc.so.6'. */
#ifndef HEAPLINE_CLI_PATHS_H
#define HEAPLINE_CLI_PATHS_H

/* A piece of `path` (never a copy): what follows the current directory, `directory` (the recorded process's own; may be NULL),
 * site-packages, or the standard library's folder; of other absolute paths the last two components. */
const char *paths_shorten(const char *path, const char *directory);

/* A piece of `path` that still names the file: what follows the current directory, else all of it. */
const char *paths_relative(const char *path);

/* What is the same for a file in another checkout, another environment or another Python: a piece of `path`, what follows site-packages, the
 * standard library's folder or `directory` (the recorded process's own; may be NULL); else all of it. *ret_kind: which of those, 'p', 's', 'd'
 * or 'a'. */
const char *paths_portable(const char *path, const char *directory, char *ret_kind);

/* How many of the last components two paths have in common. */
int paths_common_end(const char *a, const char *b);

/* The last component. */
const char *paths_base(const char *path);

/* The last component of an executable's or library's path. Of an extension module of Python it is the last two, without what all of them have in
 * common: with the ellipsis "…", '_libs/lib….so' of 'pandas/_libs/lib.cpython-311-x86_64-linux-gnu.so'. malloc'ed. */
char *paths_module(const char *path, const char *ellipsis);

/* Is this executable or library CPython itself? NULL: no. */
int paths_is_interpreter(const char *path);

/* How well the file `recorded` answers to the name that a user typed: 3 the same, 2 it ends with it at a slash, 1 the same base name, 0 no. */
int paths_match(const char *recorded, const char *wanted);

#endif
