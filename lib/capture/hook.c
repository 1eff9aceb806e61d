/* See hook.h: the outlined halves. Twice, so that where everything is recorded nothing asks about samples. */
#include "hook.h"

HOT_INLINE void record_allocation(void *block, uint64_t size, const void *return_address, uintptr_t frame, int is_sampled)
{
    struct thread_state *thread = recorder_enter_from(frame);
    if (unlikely(!thread))
        return;
    if (unlikely(python_attached))
        python_attach_check();
    if (unlikely(thread->new_caller))
        return_address = new_hooks_caller(thread, return_address);
    int taken = !is_sampled || sampling_takes(thread, &thread->sample_left, size);
    if (taken && likely(!serves_object(thread, size)) && (!is_sampled || sampling_add(block)))
        recorder_allocate(thread, EVENT_ALLOCATE, block, size, stack_of_native_hook(thread, return_address));
    recorder_leave(thread);
}

static __attribute__((noinline)) void *sample_allocation(void *block, uint64_t size, const void *return_address, uintptr_t frame)
{
    if (block)
        record_allocation(block, size, return_address, frame, 1);
    return block;
}

void *hook_record_allocation(void *block, uint64_t size, const void *return_address, uintptr_t frame)
{
    if (unlikely(recorder_filter))
        return sample_allocation(block, size, return_address, frame);
    if (likely(block))
        record_allocation(block, size, return_address, frame, 0);
    return block;
}

void hook_free_recorded(void *block, uintptr_t frame)
{
    hook_record_deallocation(block, frame, 0);
    real.free(block);
}

void hook_free_sampled(void *block, uintptr_t frame)
{
    hook_record_deallocation(block, frame, 1);
    real.free(block);
}
