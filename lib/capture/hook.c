/* See hook.h: the outlined halves. Twice, so that where everything is recorded nothing asks about samples. */
#include "hook.h"

HOT_INLINE void record_allocation(void *block, uint64_t size, const void *return_address, int is_sampled)
{
    struct thread_state *thread = recorder_enter();
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

static __attribute__((noinline)) void *sample_allocation(void *block, uint64_t size, const void *return_address)
{
    if (block)
        record_allocation(block, size, return_address, 1);
    return block;
}

void *hook_record_allocation(void *block, uint64_t size, const void *return_address)
{
    if (unlikely(recorder_filter))
        return sample_allocation(block, size, return_address);
    if (likely(block))
        record_allocation(block, size, return_address, 0);
    return block;
}

void hook_free_recorded(void *block)
{
    hook_record_deallocation(block, 0);
    real.free(block);
}

void hook_free_sampled(void *block)
{
    hook_record_deallocation(block, 1);
    real.free(block);
}
