/* Numbers the stacks that events name (stack_uses.h). */
#include "stack_uses.h"

#include "array.h"
#include "status.h"

int stack_uses_init(struct stack_uses *uses)
{
    *uses = (struct stack_uses){.use_count = 1, .copy_count = 1};
    if (ARRAY_RESERVE(uses->uses, uses->use_capacity, 1) && ARRAY_RESERVE(uses->stamps, uses->stamp_capacity, 1) &&
        ARRAY_RESERVE(uses->copies, uses->copy_capacity, 1))
        return STATUS_OK;
    stack_uses_done(uses);
    return STATUS_NO_MEMORY;
}

void stack_uses_done(struct stack_uses *uses)
{
    free(uses->ids);
    free(uses->uses);
    free(uses->stamps);
    free(uses->copies);
    free(uses->errors);
    *uses = (struct stack_uses){0};
}

int stack_uses_extend(struct stack_uses *uses, uint32_t stack_count)
{
    if (!ARRAY_EXTEND(uses->ids, uses->id_capacity, stack_count))
        return STATUS_NO_MEMORY;
    memset(uses->ids + uses->stack_count, 0, (stack_count - uses->stack_count) * sizeof *uses->ids);
    uses->stack_count = stack_count;
    return STATUS_OK;
}

uint32_t stack_uses_add(struct stack_uses *uses, uint32_t stack_id)
{
    if (!ARRAY_EXTEND(uses->uses, uses->use_capacity, uses->use_count + (size_t)1) ||
        !ARRAY_EXTEND(uses->stamps, uses->stamp_capacity, uses->use_count + (size_t)1))
        return 0;
    uses->uses[uses->use_count] = (struct stack_use){0};
    uses->stamps[uses->use_count] = 0;
    return uses->ids[stack_id] = uses->use_count++;
}

int stack_uses_count_copies(struct stack_uses *uses, uint32_t use_id, uint64_t bytes, uint64_t count)
{
    struct stack_use *use = &uses->uses[use_id];
    if (!use->copy_id) {
        if (!ARRAY_EXTEND(uses->copies, uses->copy_capacity, uses->copy_count + (size_t)1))
            return STATUS_NO_MEMORY;
        uses->copies[uses->copy_count] = (struct stack_copies){0};
        use->copy_id = uses->copy_count++;
    }
    uses->copies[use->copy_id].bytes += bytes;
    uses->copies[use->copy_id].count += count;
    return STATUS_OK;
}

struct count_error *stack_uses_error(struct stack_uses *uses, uint32_t use_id)
{
    return ARRAY_RESERVE(uses->errors, uses->error_capacity, use_id + (size_t)1) ? &uses->errors[use_id] : NULL;
}

struct count_error stack_uses_error_of(const struct stack_uses *uses, uint32_t use_id)
{
    return use_id < uses->error_capacity ? uses->errors[use_id] : (struct count_error){0};
}
