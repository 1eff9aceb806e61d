/* definitions.c: records arrive whole and in order around the ring's end, and are dropped and counted when nobody takes them. */
#include "capture_fixture.h"
#include "check.h"
#include "definitions.h"

static char text[100000];

static void write_numbered(uint32_t number, size_t first_bytes, size_t second_bytes)
{
    struct define_thread fixed = {.slot = number, .name_bytes = (uint32_t)(first_bytes + second_bytes)};
    CHECK(definitions_write(DEFINE_THREAD, &fixed, sizeof fixed, text, first_bytes, text + first_bytes, second_bytes));
}

static void check_numbered(uint32_t number, size_t bytes)
{
    const struct definition *record = capture_fixture_next();
    CHECK(record);
    const struct define_thread *fixed = (const void *)(record + 1);
    CHECK_EQUAL(record->type, DEFINE_THREAD);
    CHECK_EQUAL(record->bytes, sizeof *record + sizeof *fixed + bytes);
    CHECK_EQUAL(fixed->slot, number);
    CHECK_EQUAL((uintptr_t)record % 8, 0);
    CHECK_BYTES((const char *)(fixed + 1), text, bytes);
}

static void check_order(void)
{
    uint64_t seed = 7;
    uint32_t written = 0, taken = 0;
    size_t waiting[64];
    for (int round = 0; round < 3000; round++) {
        uint32_t count = 1 + (uint32_t)(check_random(&seed) % 16);
        for (uint32_t i = 0; i < count; i++, written++) {
            size_t first = check_random(&seed) % 30000, second = check_random(&seed) % 30000;
            waiting[written % 64] = first + second;
            write_numbered(written, first, second);
        }
        while (taken < written) {
            check_numbered(taken, waiting[taken % 64]);
            taken++;
        }
    }
    CHECK(recorder_session->definition_head > 20ull * SESSION_DEFINITION_BYTES);
    CHECK_EQUAL(recorder_session->lost_definitions, 0);
}

/* Everything taken, and the next record begins so many bytes after the ring's start. */
static void begin_at(uint64_t place)
{
    const uint64_t overhead = sizeof(struct definition) + sizeof(struct define_thread);
    uint64_t left;
    while ((left = SESSION_DEFINITION_BYTES - recorder_session->definition_head % SESSION_DEFINITION_BYTES) != SESSION_DEFINITION_BYTES) {
        write_numbered(0, left > sizeof text ? sizeof text / 2 : left - overhead, 0);
        capture_fixture_discard();
    }
    write_numbered(0, place - overhead, 0);
    capture_fixture_discard();
}

/* A full ring holds all it was given, wherever it began; the next record is lost, and all after it. */
static void check_full(size_t bytes)
{
    struct define_thread fixed = {.slot = 0};
    uint32_t written = 0, lost = (uint32_t)recorder_session->lost_definitions;
    begin_at(64);
    recorder_session->collector_state = COLLECTOR_GONE;
    for (; definitions_write(DEFINE_THREAD, &fixed, sizeof fixed, text, bytes, NULL, 0); written++)
        fixed.slot++;
    CHECK(written > SESSION_DEFINITION_BYTES / (bytes + 64));
    CHECK_EQUAL(recorder_session->lost_definitions, lost + 1);
    for (uint32_t i = 0; i < written; i++)
        check_numbered(i, bytes);
    CHECK(!capture_fixture_next());
    CHECK(!definitions_write(DEFINE_THREAD, &fixed, sizeof fixed, NULL, 0, NULL, 0));
    CHECK_EQUAL(recorder_session->lost_definitions, lost + 2);
    definitions_after_fork();
    CHECK(definitions_write(DEFINE_THREAD, &fixed, sizeof fixed, text, bytes, NULL, 0));
}

/* A signal handler that forks while its thread holds the lock. */
static void check_nested_lock(void)
{
    definitions_lock();
    definitions_lock();
    definitions_unlock();
    definitions_unlock();
    definitions_lock();
    definitions_unlock();
}

int main(void)
{
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 31 % 251);
    capture_fixture_begin();
    check_order();
    for (size_t bytes = 900; bytes < 1200; bytes += 8)
        check_full(bytes);
    check_nested_lock();
    return 0;
}
