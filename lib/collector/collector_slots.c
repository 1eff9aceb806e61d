/* The part of collector.h that leads a paused target's calls to the recorder's hooks and past them again: it changes the slots of the
 * target's slot table (slot_table.h) in the target's memory, while its threads call through them.
 *
 * A slot that holds neither of the two addresses is somebody else's doing and stays as it is. */
#include "slot_table.h"

#include <stddef.h>
#include <unistd.h>

#include "collector.h"

#define SLOTS_AT_ONCE 256

static int read_memory(int file, uint64_t address, void *to, size_t bytes)
{
    return pread(file, to, bytes, (off_t)address) == (ssize_t)bytes;
}

/* One byte, which is as good as a whole address: they differ in no other. */
static void lead_slot(int file, const struct slot_entry *slot, const struct slot_function *functions, uint32_t lead)
{
    const struct slot_function *function = &functions[slot->function];
    uint64_t wanted = lead == SLOTS_LEAD_TO_HOOKS ? function->hook : function->past;
    uint64_t other = lead == SLOTS_LEAD_TO_HOOKS ? function->past : function->hook, value;
    int byte = slot_table_byte(wanted, other);
    if (byte < 0 || !read_memory(file, slot->address, &value, sizeof value) || value != other)
        return;
    uint8_t changed = (uint8_t)(wanted >> 8 * byte);
    if (pwrite(file, &changed, 1, (off_t)(slot->address + (uint64_t)byte)) != 1)
        return; /* its page has gone */
}

static int lead_slots(int file, uint64_t address, uint32_t lead)
{
    struct slot_function functions[SLOT_TABLE_MAX_FUNCTIONS];
    struct slot_entry slots[SLOTS_AT_ONCE];
    uint32_t slot_count;
    if (!read_memory(file, address + offsetof(struct slot_table, functions), functions, sizeof functions) ||
        !read_memory(file, address + offsetof(struct slot_table, slot_count), &slot_count, sizeof slot_count) ||
        slot_count > SLOT_TABLE_MAX_SLOTS)
        return 0;
    for (uint32_t done = 0; done < slot_count; done += SLOTS_AT_ONCE) {
        uint32_t count = slot_count - done < SLOTS_AT_ONCE ? slot_count - done : SLOTS_AT_ONCE;
        if (!read_memory(file, address + offsetof(struct slot_table, slots) + done * sizeof slots[0], slots, count * sizeof slots[0]))
            return 0;
        for (uint32_t i = 0; i < count; i++)
            if (slots[i].function < SLOT_TABLE_MAX_FUNCTIONS)
                lead_slot(file, &slots[i], functions, lead);
    }
    return 1;
}

int collector_lead_slots(struct collector *collector, uint32_t lead)
{
    uint64_t address = collector->session->slots_address, magic = 0;
    if (!address)
        return 1;
    /* Before the table is looked at: a target that has just finished it looks here. */
    atomic_store(&collector->session->slots_lead, lead);
    if (!read_memory(collector->memory_file, address, &magic, sizeof magic))
        return 0;
    return magic == SLOT_TABLE_MAGIC ? lead_slots(collector->memory_file, address, lead) : 1;
}
