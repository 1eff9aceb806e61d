/* CPython's own allocator of small objects, which the MEM and the OBJ domain use unless they are told otherwise: what is known of it, so that a
 * sample needn't see each of its deallocations (object_hooks.c). Under the condition of object_hooks_install. Never allocates. */
#ifndef HEAPLINE_CAPTURE_PYMALLOC_H
#define HEAPLINE_CAPTURE_PYMALLOC_H

/* What is larger it asks libc for, and gives back to libc; so in every version, for each of its functions. */
#define PYMALLOC_MAX_BYTES 512

/* Do both domains go straight to it? Not through the debug hooks, mimalloc, or a program's own. */
int pymalloc_serves(void);

/* From now on its arenas are known for what they are where no hook is around the request that needs one. Returns 0: this interpreter has no way. */
int pymalloc_mark_arenas(void);

#endif
