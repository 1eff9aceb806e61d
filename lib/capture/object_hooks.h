/* Our functions in CPython's MEM and OBJ allocators: each request is passed on to the allocator that was there, and recorded.
 *
 * Vocabulary
 *   layer   one installation over one allocator. When CPython has replaced us and we install again, a new layer goes over what is there now;
 *           an older one may still lie below it (a program that stacked its allocator on ours), and then only the outermost records. */
#ifndef HEAPLINE_CAPTURE_OBJECT_HOOKS_H
#define HEAPLINE_CAPTURE_OBJECT_HOOKS_H

/* Put a layer over the MEM and the OBJ allocator, where the uppermost isn't ours already. Nobody may be allocating through them in another
 * thread: the interpreter reads its table of functions without a lock. Never allocates. */
void object_hooks_install(void);

/* Are hooks installed that record every object, whatever their thread would? 0: there are. */
int object_hooks_sample(void);
/* Hooks of a sample that leave deallocations alone leave them no more. Where others stand over them nothing changes: what is recorded goes on to
 * come from libc. By a thread that holds the GIL. */
void object_hooks_watch_releases(void);
/* Put those that ask in their place; under the same condition as above. Returns 0: others stand over them. */
int object_hooks_exchange(void);

#endif
