/* See hook.h: the outlined half. */
#include "hook.h"

void *hook_record_allocation(void *block, uint64_t size, const void *return_address, uintptr_t frame)
{
    if (unlikely(!block))
        return block;
    struct thread_state *thread = recorder_enter_from(frame);
    if (unlikely(!thread))
        return block;
    if (unlikely(python_attached))
        python_attach_check();
    if (unlikely(thread->new_caller))
        return_address = new_hooks_caller(thread, return_address);
    if (likely(!serves_object(thread, size)))
        recorder_allocate(thread, EVENT_ALLOCATE, block, size, stack_of_native_hook(thread, return_address));
    recorder_leave(thread);
    return block;
}
