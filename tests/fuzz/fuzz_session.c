/* Fuzz target: any bytes in a session's memory, as a program leaves them there that writes where it should not. The collector takes them as
 * definitions and as ring words of one to four threads. It must not fall, and what it writes must be a whole trace.
 *
 * An input: threads - 1, flags, how many bytes of definitions (2 bytes), the definitions, ring words, as many for each thread. */
#include "fuzz.h"
#include "stream_fixture.h"

#include "event_words.h"

#define HEAD_BYTES 4
#define RING_WORDS 4096
#define MAX_THREADS 4
#define MAX_DEFINITION_BYTES 32768

static void fill_rings(struct session_header *session, uint32_t thread_count, const uint8_t *bytes, size_t count)
{
    size_t words = count / 8 / thread_count;
    if (words >= RING_WORDS)
        words = RING_WORDS - 1;
    for (uint32_t i = 0; i < thread_count; i++) {
        struct player player;
        player_init(&player, session, (uint64_t)i * RING_WORDS, RING_WORDS);
        memcpy(session_words(session) + player.cursor, bytes + 8 * words * i, 8 * words);
        player.cursor += words;
        player_publish(&player);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream_fixture fixture;
    if (size < HEAD_BYTES)
        return 0;
    uint32_t thread_count = 1 + data[0] % MAX_THREADS;
    size_t definition_bytes = (size_t)(data[2] | data[3] << 8) % MAX_DEFINITION_BYTES & ~(size_t)7;
    stream_fixture_init(&fixture);
    fixture.session->sampling_interval_bytes = data[1] & 1 ? 512 : 0;
    data += HEAD_BYTES;
    size -= HEAD_BYTES;
    if (definition_bytes > size)
        definition_bytes = size & ~(size_t)7;
    memcpy((char *)fixture.session + SESSION_DEFINITIONS_OFFSET, data, definition_bytes);
    atomic_store(&fixture.session->definition_head, definition_bytes);
    stream_fixture_take_definitions(&fixture);
    fill_rings(fixture.session, thread_count, data + definition_bytes, size - definition_bytes);
    /* First some epochs, as a drain does, then what is left. */
    stream_fixture_take(&fixture, 3, 2 * FIXTURE_START_TICKS);
    stream_fixture_take(&fixture, ORDER_KEY_LAST.epoch, ORDER_KEY_LAST.stamp);
    trace_listing_free(stream_fixture_end(&fixture));
    return 0;
}

/* ---- seeds ---- */

static void define(struct session_header *session)
{
    static const char file[] = "script.py", name[] = "function", table[] = "\xf0\x03\x01\x01\x01";
    struct define_code code = {1, 10, sizeof file - 1, sizeof name - 1, sizeof table - 1, 0x030b};
    struct define_code_table piece = {1, 0};
    struct define_module module = {.module_id = 1, .build_id_bytes = 2, .path_bytes = 6, .load_bias = 0x1000, .start = 0x1000, .end = 0x9000};
    struct define_thread thread = {0, 1, 77, 4};
    struct define_node python = {.node_id = 2, .parent_id = 1, .code_id = 1, .instruction = 4};
    session_define(session, DEFINE_CODE, &code, sizeof code, "script.pyfunction", sizeof file + sizeof name - 2);
    session_define(session, DEFINE_CODE_TABLE, &piece, sizeof piece, table, sizeof table - 1);
    session_define(session, DEFINE_MODULE, &module, sizeof module, "\x12\x34/lib/m", 8);
    session_define(session, DEFINE_THREAD, &thread, sizeof thread, "main", 4);
    session_define_node(session, 1, 0, 0x2000);
    session_define(session, DEFINE_NODE, &python, sizeof python, NULL, 0);
}

static void play(struct player *player, uint64_t steps, uint64_t *random)
{
    uint64_t base = 0x7f0000000000ull + ((uint64_t)player->slot << 20);
    for (uint64_t i = 0; i < steps; i++) {
        uint64_t address = base + 16 * (check_random(random) % 64), ticks = 2 * FIXTURE_START_TICKS + 40 * i;
        if (i % 8 == 0)
            player_run(player, 2 + i / 8, ticks);
        switch (check_random(random) % 6) {
        case 0:
            player_free(player, EVENT_FREE, address, ticks);
            break;
        case 1:
            player_free(player, EVENT_REALLOC_BEGIN, address, ticks);
            player_put(player, EVENT_WORD(EVENT_REALLOC_END, address + 8192));
            player_put(player, EVENT_SIZE_STACK(200, 2));
            break;
        case 2:
            player_map(player, 0x10000000 + (address & 0xff0) * 256, 65536, 1, check_random(random) & 1 ? EVENT_MAP_ARENA : 0, ticks);
            break;
        case 3:
            player_unmap(player, 0x10000000 + (address & 0xff0) * 256, 8192, ticks);
            break;
        case 4:
            player_put(player, EVENT_WORD(EVENT_COPY, 100 + i));
            player_put(player, 2);
            break;
        default:
            player_allocate(player, EVENT_ALLOCATE, address, 1 + check_random(random) % 1000, 1 + i % 2, ticks);
        }
    }
}

static void make_seed(uint32_t thread_count, uint64_t steps, uint64_t *random)
{
    static uint8_t bytes[HEAD_BYTES + MAX_DEFINITION_BYTES + MAX_THREADS * RING_WORDS * 8];
    int memfd;
    struct session_header *session = session_new(&memfd, "", SESSION_COPIES);
    define(session);
    size_t definition_bytes = atomic_load(&session->definition_head), words = 0, count = HEAD_BYTES;
    const uint8_t head[HEAD_BYTES] = {(uint8_t)(thread_count - 1), (uint8_t)(check_random(random) & 1), (uint8_t)definition_bytes,
                                      (uint8_t)(definition_bytes >> 8)};
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + count, (char *)session + SESSION_DEFINITIONS_OFFSET, definition_bytes);
    count += definition_bytes;
    struct player players[MAX_THREADS];
    for (uint32_t i = 0; i < thread_count; i++) {
        player_init(&players[i], session, (uint64_t)i * RING_WORDS, RING_WORDS);
        play(&players[i], steps, random);
        if (players[i].cursor - players[i].ring > words)
            words = players[i].cursor - players[i].ring;
    }
    for (uint32_t i = 0; i < thread_count; i++) {
        memcpy(bytes + count, session_words(session) + players[i].ring, 8 * words);
        count += 8 * words;
    }
    fuzz_add_seed(bytes, count);
    session_free(session, memfd);
}

void fuzz_make_seeds(void)
{
    uint64_t random = 4711;
    for (uint32_t thread_count = 1; thread_count <= MAX_THREADS; thread_count++)
        for (uint64_t steps = 5; steps < 500; steps *= 5)
            make_seed(thread_count, steps, &random);
}
