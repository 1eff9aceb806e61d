/* libunwind, for frames that rows can't step over: their information is more than a row can say, or the processor has no rows.
 *
 * It follows the registers from where the capture stands, through all frames, so it knows those that rows leave out. What it asks for comes
 * from here: call frame information by the lock-free _dl_find_object, memory that was checked to be readable. So it takes no lock of the
 * dynamic linker, never guesses a frame, and allocates nothing (its few pages come from the kernel).
 *
 * Between open and close: one walk of the process at a time, with all signals blocked. With busy set; keeps errno. */
#ifndef HEAPLINE_CAPTURE_NATIVE_FALLBACK_H
#define HEAPLINE_CAPTURE_NATIVE_FALLBACK_H

#include <stdint.h>

#include "compiler.h"
#include "native_step.h"

/* Is it loaded? */
INTERNAL int native_fallback_is_there;

/* From the constructor, where native stacks are wanted: loads libunwind with the true dlopen and dlsym, apart from the program's own symbols,
 * and walks once. Without it, what rows can't say is unknown. */
COLD void native_fallback_start(void *(*open)(const char *, int), void *(*symbol)(void *, const char *));

/* `registers`: of the calling function (native_machine_registers), whose frame has to last until close. `stack_end`: up to there the stack is
 * sure to be readable; 0: unknown. */
COLD void native_fallback_open(const uint64_t *registers, uint64_t stack_end);
COLD void native_fallback_close(void);

/* The innermost frame that isn't this library's. 0: there is none. */
COLD int native_fallback_first(struct native_place *ret_place);

/* Goes to the caller of the frame at this place, which is further out than the last one; the place is left as it is when that fails. */
COLD enum native_step native_fallback_step(struct native_place *place);

/* Around fork: the child must not begin in the middle of a walk. */
void native_fallback_lock(void);
void native_fallback_unlock(void);

#endif
