/* The small parts of lib/trace, each alone: checksum, variable-length numbers, live slots, headers. */
#include <math.h>

#include "check.h"
#include "checksum.h"
#include "live_slots.h"
#include "random.h"
#include "trace_block.h"
#include "trace_event.h"
#include "trace_weight.h"
#include "varint.h"

/* Values of RFC 3720, appendix B.4, and the usual check value. */
static void checksums(void)
{
    uint8_t bytes[300] = {0};
    CHECK_EQUAL(checksum_crc32c("123456789", 9), 0xe3069283);
    CHECK_EQUAL(checksum_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    CHECK_EQUAL(checksum_crc32c(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    CHECK_EQUAL(checksum_crc32c(bytes, 32), 0x46dd794e);
    CHECK_EQUAL(checksum_crc32c(bytes, 0), 0);
    uint64_t random = 99;
    for (size_t count = 0; count < sizeof(bytes); count++) {
        bytes[count] = (uint8_t)check_random(&random);
        CHECK_EQUAL(checksum_crc32c(bytes, count), checksum_crc32c_portable(bytes, count));
    }
}

static void check_number(uint64_t value, size_t length)
{
    uint8_t bytes[16] = {0};
    uint64_t again = ~value;
    CHECK_EQUAL(varint_put(bytes, value) - bytes, length);
    CHECK_EQUAL(varint_get(bytes, &again) - bytes, length);
    CHECK_EQUAL(again, value);
}

static void numbers(void)
{
    check_number(0, 1);
    check_number(127, 1);
    check_number(128, 2);
    check_number(16383, 2);
    check_number(16384, 3);
    check_number(UINT32_MAX, 5);
    check_number((1ull << 56) - 1, 8);
    check_number(1ull << 63, 10);
    check_number(UINT64_MAX, 10);
    /* never more than ten bytes, whatever stands there */
    uint8_t endless[16];
    uint64_t value;
    memset(endless, 0xff, sizeof(endless));
    CHECK_EQUAL(varint_get(endless, &value) - endless, VARINT_MAX_BYTES);
    CHECK_EQUAL(zigzag(0), 0);
    CHECK_EQUAL(zigzag(-1), 1);
    CHECK_EQUAL(zigzag(1), 2);
    CHECK_EQUAL(zigzag(INT64_MIN), UINT64_MAX);
    CHECK_EQUAL(unzigzag(UINT64_MAX), INT64_MIN);
    CHECK_EQUAL(unzigzag(zigzag(-123456789)), -123456789);
}

static void slots(void)
{
    struct live_slots slots;
    live_slots_init(&slots);
    CHECK_EQUAL(slots.live_count, 0);
    for (uint32_t i = 0; i < 5000; i++)
        CHECK_EQUAL(live_slots_take(&slots, i, i & 0x3f, i + 1, i + 2), i);
    CHECK_EQUAL(slots.live_count, 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        CHECK(live_slot_is_live(&slots.slots[i]));
        CHECK_EQUAL(live_slots_size(&slots, i), i);
        CHECK_EQUAL(live_slot_flags(&slots.slots[i]), i & 0x3f);
        CHECK_EQUAL(slots.slots[i].stack_id, i + 1);
        CHECK_EQUAL(slots.slots[i].sequence, i + 2);
    }
    /* the most recently freed slot first, then a new one */
    live_slots_release(&slots, 10);
    live_slots_release(&slots, 4000);
    live_slots_release(&slots, 20);
    CHECK(!live_slot_is_live(&slots.slots[10]));
    CHECK_EQUAL(slots.live_count, 4997);
    CHECK_EQUAL(live_slots_take(&slots, (1ull << 56) - 1, 0x3f, 0, 0), 20);
    CHECK(live_slot_is_live(&slots.slots[20]));
    CHECK_EQUAL(live_slots_size(&slots, 20), (1ull << 56) - 1);
    CHECK_EQUAL(live_slots_take(&slots, 0, 0, 0, 0), 4000);
    CHECK_EQUAL(live_slots_take(&slots, 0, 0, 0, 0), 10);
    CHECK_EQUAL(live_slots_take(&slots, 0, 0, 0, 0), 5000);
    live_slots_done(&slots);
    CHECK_EQUAL(slots.used_count, 0);
}

/* Around the size from which on it stands in a table: sizes, flags, and all that a table can lose. */
static void large_slots(void)
{
    const uint64_t edge = SLOT_SIZE_LARGE;
    uint64_t sizes[1000], seed = 5;
    struct live_slots slots;
    live_slots_init(&slots);
    for (uint32_t i = 0; i < 1000; i++) {
        sizes[i] = edge - 2 + (i % 4 < 3 ? i % 4 : check_random(&seed) >> 8);
        CHECK_EQUAL(live_slots_take(&slots, sizes[i], i & 0x3f, i, i), i);
    }
    for (int round = 0; round < 20000; round++) {
        uint32_t i = (uint32_t)(check_random(&seed) % 1000);
        CHECK_EQUAL(live_slots_size(&slots, i), sizes[i]);
        CHECK_EQUAL(live_slot_flags(&slots.slots[i]), i & 0x3f);
        if (round % 3 == 0) {
            uint64_t bytes = sizes[i] > edge && round % 2 ? sizes[i] - edge : check_random(&seed) % 3;
            bytes = bytes < sizes[i] ? bytes : 0;
            live_slots_shrink(&slots, i, bytes);
            sizes[i] -= bytes;
        } else {
            live_slots_release(&slots, i);
            CHECK(!live_slot_is_live(&slots.slots[i]));
            sizes[i] = edge - 3 + check_random(&seed) % 6;
            CHECK_EQUAL(live_slots_take(&slots, sizes[i], i & 0x3f, i, i), i);
        }
    }
    uint32_t large = 0;
    for (uint32_t i = 0; i < 1000; i++)
        large += sizes[i] >= edge;
    CHECK(large > 100 && large < 900);
    CHECK_EQUAL(slots.large_count, large);
    for (uint32_t i = 0; i < 1000; i++)
        live_slots_release(&slots, i);
    CHECK_EQUAL(slots.large_count, 0);
    CHECK_EQUAL(slots.live_count, 0);
    live_slots_done(&slots);
}

/* Offsets that docs/trace_format.md promises. */
static void headers(void)
{
    uint8_t bytes[TRACE_BLOCK_HEADER_BYTES], bytes_again[TRACE_BLOCK_HEADER_BYTES];
    struct trace_identity identity = {1, 2, 3, 4, 5, 6, 7, 8}, identity_again;
    uint32_t version;
    struct trace_block block_again, block = {
        .type = TRACE_BLOCK_DATA, .sequence = 2, .raw_bytes = 300, .stored_bytes = 4, .payload_checksum = 5, .event_count = 60, .first_event = 7,
        .start_time_ns = 8, .end_time_ns = 9, .peak_bytes = 10, .peak_object_bytes = 11, .peak_time_ns = 12, .peak_event = 13,
        .end_level = {14, 15, 16}};
    trace_file_header_pack(&identity, bytes);
    CHECK_BYTES(bytes, "HEAPLINE\3\0\0\0\140\0\0\0\1\0\0\0\0\0\0\0", 24);
    CHECK_EQUAL(get_u64(bytes + 48), 5);
    CHECK_EQUAL(get_u32(bytes + 64), 8);
    CHECK_EQUAL(trace_file_header_unpack(bytes, TRACE_FILE_HEADER_BYTES, &identity_again, &version, NULL), 0);
    CHECK_EQUAL(version, TRACE_VERSION_ROTATED);
    CHECK_BYTES(&identity_again, &identity, sizeof(identity));
    /* Only a rotated file, and one whose sampling interval changes, need newer versions. */
    trace_file_header_set_flags(bytes, TRACE_NATIVE | TRACE_RESAMPLED);
    CHECK_EQUAL(get_u32(bytes + 8), TRACE_VERSION_RESAMPLED);
    trace_file_header_set_flags(bytes, TRACE_NATIVE | TRACE_ROTATED | TRACE_WEIGHTED);
    CHECK_EQUAL(get_u32(bytes + 8), TRACE_VERSION);
    trace_file_header_pack(&identity, bytes);
    trace_file_header_set_flags(bytes, TRACE_NATIVE);
    CHECK_EQUAL(trace_file_header_unpack(bytes, TRACE_FILE_HEADER_BYTES, &identity_again, &version, NULL), 0);
    CHECK_EQUAL(identity_again.flags, TRACE_NATIVE);
    identity.flags = TRACE_NATIVE;
    trace_file_header_pack(&identity, bytes);
    CHECK_EQUAL(get_u32(bytes + 8), TRACE_VERSION_PLAIN);
    trace_block_pack(&block, bytes);
    CHECK_BYTES(bytes, "HLBK\1\0\0\0\2\0\0\0", 12);
    CHECK_EQUAL(get_u32(bytes + 28), 13);
    CHECK_EQUAL(get_u64(bytes + 96), 16);
    CHECK_EQUAL(trace_block_unpack(bytes, 0, &block_again, NULL), 0);
    trace_block_pack(&block_again, bytes_again);
    CHECK_BYTES(bytes_again, bytes, sizeof(bytes));
    block.end_time_ns = 7;
    trace_block_pack(&block, bytes);
    CHECK_EQUAL(trace_block_unpack(bytes, 0, &block_again, NULL), STATUS_CORRUPT);
}

/* Weights against the C library's arithmetic: equal but where a rounding tips over. */
static void weights(void)
{
    struct weight_table table;
    uint64_t random = 1, differences = 0;
    double bytes = 0, expected = 0;
    weight_table_init(&table, 0);
    CHECK_EQUAL(weight_table_weigh(&table, 3, 77, 0, 5).bytes, 77);
    CHECK_EQUAL(weight_table_set_interval(&table, 3, 5000), 0);
    for (uint64_t event = 0; event < 200000; event++) {
        uint64_t size = 1 + check_random(&random) % 60000, seed = event;
        struct trace_weight weight = weight_table_weigh(&table, 3, size, 0, event);
        double p = -expm1(-(double)size / 5000), fraction = random_fraction(&seed);
        differences += weight.bytes != (uint64_t)((double)size / p + fraction) || weight.count != (uint64_t)(1 / p + fraction);
        bytes += (double)weight.bytes;
        expected += (double)size / p;
    }
    CHECK(differences <= 2);
    CHECK(fabs(bytes - expected) <= 4 * 0.5 * sqrt(200000));
    /* Others count as themselves. */
    CHECK_EQUAL(weight_table_weigh(&table, 2, 77, 0, 5).bytes, 77);
    CHECK_EQUAL(weight_table_weigh(&table, 3, 77, TRACE_MAPPING, 5).count, 1);
    CHECK_EQUAL(weight_table_weigh(&table, 3, 0, 0, 5).bytes, 0);
    CHECK_EQUAL(weight_table_weigh(&table, 3, (1ull << 56) - 1, 0, 5).bytes, (1ull << 56) - 1);
    CHECK_EQUAL(weight_table_put(&table, 5000, 10, (struct trace_weight){100, 9}), 0);
    CHECK_EQUAL(weight_table_of(&table, 5000, 10).count, 9);
    CHECK_EQUAL(weight_table_of(&table, 4999, 10).count, 1);
    CHECK_EQUAL(weight_table_freed(&table, 9, 10, 2, (struct trace_weight){100, 9}), 0);
    CHECK_EQUAL(weight_table_undo(&table, 9, 10, 2, 0, 1).bytes, 100);
    CHECK_EQUAL(weight_table_undo(&table, 9, 10, 2, 0, 1).bytes, 10);
    weight_table_reset(&table);
    CHECK_EQUAL(weight_table_weigh(&table, 3, 77, 0, 5).bytes, 77);
    CHECK_EQUAL(weight_table_of(&table, 5000, 10).count, 1);
    weight_table_done(&table);
}

int main(void)
{
    weights();
    checksums();
    numbers();
    slots();
    large_slots();
    headers();
    return 0;
}
