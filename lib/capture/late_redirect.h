/* Leads the calls of a running program to our hooks: in a process that the library was loaded into later, no symbol is bound to it.
 *
 * A slot (slots.h) whose name is one of ours, and that holds what all the program calls by that name, gets our function's address; what it
 * held is kept and put back. Slots are pointers that are read and written as a whole, so that other threads go on meanwhile: a call goes to
 * one or to the other.
 * Not reached: calls within a module, functions that are asked for by address before we came, an allocator linked into the program whose
 * functions aren't exported.
 * One thread at a time (its own lock), outside hooks; takes the loader's lock as dl_iterate_phdr does; nothing is allocated from the heap. */
#ifndef HEAPLINE_CAPTURE_LATE_REDIRECT_H
#define HEAPLINE_CAPTURE_LATE_REDIRECT_H

#include <stdint.h>

/* copies: the memcpy family too. Returns how many slots lead to us now that didn't before. */
uint32_t late_redirect_start(int copies);
/* Put everything back. Threads that are in a hook at the moment go on in it. */
void late_redirect_stop(void);
/* While redirected: serve modules that were loaded since. Cheap where there are none. */
void late_redirect_news(void);

int late_redirect_is_active(void);
/* In a forked child: another thread may have been at it. */
void late_redirect_after_fork(void);

#endif
