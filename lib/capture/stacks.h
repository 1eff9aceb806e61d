/* From "this thread allocates now" to a stack id: the innermost node of a tree of frames that the whole process shares.
 *
 * Consumes the interpreter's frames (raw reads) or a return address; produces ids, and the definitions (code objects, nodes, modules) that
 * explain them, in the session's definition ring. Called with current_thread->busy set. Never calls malloc, a libc function that may, or a
 * CPython function that can create an object. Keeps errno. 0 is the empty stack. */
#ifndef HEAPLINE_CAPTURE_STACKS_H
#define HEAPLINE_CAPTURE_STACKS_H

#include <stdint.h>

#include "thread_state.h"

/* In CPython's MEM and OBJ hooks: the GIL is held by contract. Falls back to the return address where there is no Python frame. */
uint32_t stack_of_object_hook(struct thread_state *thread, const void *return_address);

/* In malloc, mmap, memcpy and their kin: any thread, GIL held or not. The Python stack where this thread has one, else the return address. */
uint32_t stack_of_native_hook(struct thread_state *thread, const void *return_address);

#endif
