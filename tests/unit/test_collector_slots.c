/* The collector leads a paused target's calls: here the target is the test itself. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "collector.h"
#include "slot_table.h"

#define PAST 0x00007f1234567890ull
#define HOOK 0x0000201234567890ull
#define OTHER_PAST 0x00007f1234561230ull
#define OTHER_HOOK 0x00007f2034561230ull
#define SOMEBODY_S 0x0000555555555550ull

static struct slot_table table = {
    .magic = SLOT_TABLE_MAGIC,
    .functions = {[3] = {PAST, HOOK}, [7] = {OTHER_PAST, OTHER_HOOK}, [9] = {PAST, PAST + 0x1010}},
};
static struct collector collector;

static uint64_t *add(uint64_t *slot, uint32_t function, uint64_t value)
{
    *slot = value;
    table.slots[table.slot_count++] = (struct slot_entry){(uintptr_t)slot, function, 0};
    return slot;
}

static void test_byte(void)
{
    CHECK(slot_table_byte(PAST, HOOK) == 5);
    CHECK(slot_table_byte(OTHER_HOOK, OTHER_PAST) == 4);
    CHECK(slot_table_byte(PAST, PAST) == -1);
    CHECK(slot_table_byte(PAST, SOMEBODY_S) == -1);
}

static void test_lead(void)
{
    uint64_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), plain[400];
    uint64_t *sealed = add(&page[5], 3, PAST), *other = add(&plain[0], 7, OTHER_PAST), *taken = add(&plain[1], 3, SOMEBODY_S);
    uint64_t *too_different = add(&plain[2], 9, PAST), *led = add(&plain[3], 3, HOOK);
    for (int i = 4; i < 400; i++) /* more than are read at once */
        add(&plain[i], 3, PAST);
    CHECK(mprotect(page, 4096, PROT_READ) == 0);

    CHECK(collector_lead_slots(&collector, SLOTS_LEAD_TO_HOOKS) == 1);
    CHECK(atomic_load(&collector.session->slots_lead) == SLOTS_LEAD_TO_HOOKS);
    CHECK(*sealed == HOOK && *other == OTHER_HOOK && *taken == SOMEBODY_S && *too_different == PAST && *led == HOOK);
    for (int i = 4; i < 400; i++)
        CHECK(plain[i] == HOOK);

    CHECK(collector_lead_slots(&collector, SLOTS_LEAD_PAST) == 1);
    CHECK(*sealed == PAST && *other == OTHER_PAST && *taken == SOMEBODY_S && *too_different == PAST && *led == PAST && plain[399] == PAST);

    munmap(page, 4096); /* a slot that is gone is no harm to the others */
    CHECK(collector_lead_slots(&collector, SLOTS_LEAD_TO_HOOKS) == 1);
    CHECK(*other == OTHER_HOOK && plain[399] == HOOK);
}

static void test_no_table(void)
{
    uint64_t slot;
    table.slot_count = 0;
    add(&slot, 3, PAST);
    table.magic = 0; /* not complete */
    CHECK(collector_lead_slots(&collector, SLOTS_LEAD_TO_HOOKS) == 1 && slot == PAST);
    table.magic = SLOT_TABLE_MAGIC;
    table.slot_count = SLOT_TABLE_MAX_SLOTS + 1;
    CHECK(collector_lead_slots(&collector, SLOTS_LEAD_TO_HOOKS) == 0 && slot == PAST);
    collector.session->slots_address = 1; /* nothing is there */
    CHECK(collector_lead_slots(&collector, SLOTS_LEAD_TO_HOOKS) == 0);
    collector.session->slots_address = 0; /* hooks stay in place */
    CHECK(collector_lead_slots(&collector, SLOTS_LEAD_TO_HOOKS) == 1);
}

int main(void)
{
    collector.session = calloc(1, sizeof *collector.session);
    collector.session->slots_address = (uintptr_t)&table;
    collector.memory_file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    CHECK(collector.memory_file >= 0);
    test_byte();
    test_lead();
    test_no_table();
    close(collector.memory_file);
    free(collector.session);
    return 0;
}
