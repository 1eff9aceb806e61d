/* object_intake.c: what the collector asks of the target, the words that it takes, and the property that the trace gets. The target's part
 * (lib/capture/object_walk.c) is played here. */
#include "event_words.h"
#include "object_intake.h"
#include "stream_fixture.h"

#define BASE 0x7f0000001000ull
#define MS 1000000ull

static struct stream_fixture fixture;
static struct player player;
static struct object_intake intake;
static uint64_t now_ns = 10 * FIXTURE_START_TICKS;

static uint64_t address_of(unsigned block)
{
    return BASE + 0x1000ull * block;
}

static void begin(void)
{
    stream_fixture_init(&fixture);
    player_init(&player, fixture.session, 0, 1024);
    for (uint32_t i = 1; i <= 9; i++)
        session_define_node(fixture.session, i, 0, 0x1000 * i);
    stream_fixture_take_definitions(&fixture);
    player_run(&player, 2, FIXTURE_START_TICKS);
    intake = (struct object_intake){0};
}

static void allocate(unsigned block, unsigned opcode, uint64_t bytes, uint32_t stack)
{
    player_allocate(&player, opcode, address_of(block), bytes, stack, 0);
}

static void take_events(void)
{
    player_publish(&player);
    stream_fixture_take(&fixture, 2, ~0ull);
}

static struct survey *survey(void)
{
    return session_survey(fixture.session);
}

static enum survey_state state(void)
{
    return (enum survey_state)atomic_load(&fixture.session->survey_state);
}

static void set_state(enum survey_state wanted)
{
    atomic_store(&fixture.session->survey_state, wanted);
}

static void put(uint64_t word)
{
    uint64_t head = atomic_load(&survey()->head);
    session_survey_ring(fixture.session)[head % SURVEY_RING_WORDS] = word;
    atomic_store(&survey()->head, head + 1);
}

static void put_text(unsigned what, uint32_t id, const char *text)
{
    uint64_t words[64] = {0};
    size_t bytes = strlen(text);
    CHECK(bytes <= sizeof words);
    memcpy(words, text, bytes);
    put(SURVEY_TEXT_WORD(what, bytes, id));
    for (size_t i = 0; i < (bytes + 7) / 8; i++)
        put(words[i]);
}

static int step(void)
{
    return object_intake_step(&intake, fixture.session, &fixture.blocks, now_ns += MS);
}

static int ask(const char *wishes)
{
    return object_intake_begin(&intake, fixture.session, &fixture.blocks, wishes, now_ns);
}

/* The target has done all its work at once. */
static void walk(enum survey_outcome outcome, uint64_t objects, uint64_t unreached)
{
    CHECK_EQUAL(state(), SURVEY_WANTED);
    survey()->start_ns = fixture.session->start_monotonic_ns + 42;
    survey()->outcome = outcome;
    survey()->object_count = objects;
    survey()->unreached_count = unreached;
    set_state(SURVEY_WALKED);
}

static int finish(void)
{
    CHECK_EQUAL(step(), 0); /* the target is at it */
    CHECK_EQUAL(intake.state, INTAKE_TAKING);
    return step();
}

static struct trace_listing *end(void)
{
    object_intake_done(&intake);
    return stream_fixture_end(&fixture);
}

/* The value of a property in the listing, without the pause, which is the machine's. */
static void check_property(const struct trace_listing *listing, const char *key, const char *expected)
{
    char start[32], found[4096];
    snprintf(start, sizeof start, "%s=", key);
    const char *text = strstr(listing->text, start);
    CHECK(text != NULL);
    text += strlen(start);
    const char *pause = strstr(text, "summary\t42\t");
    CHECK(pause != NULL);
    pause += strlen("summary\t42\t");
    snprintf(found, sizeof found, "%.*sP%s", (int)(pause - text), text, pause + strspn(pause, "0123456789"));
    found[strlen(expected)] = '\0';
    CHECK_STRING(found, expected);
}

static void test_sums(void)
{
    begin();
    allocate(0, EVENT_ALLOCATE_OBJECT, 64, 1);
    allocate(1, EVENT_ALLOCATE_OBJECT, 64, 1);
    allocate(2, EVENT_ALLOCATE, 4096, 1);         /* their table */
    allocate(3, EVENT_ALLOCATE_OBJECT, 100, 2);
    allocate(4, EVENT_ALLOCATE, 500, 3);          /* something that only looks like it */
    allocate(5, EVENT_ALLOCATE_OBJECT, 33, 2);
    allocate(6, EVENT_ALLOCATE_OBJECT, 77, 1);    /* nobody speaks of it */
    player_free(&player, EVENT_FREE, address_of(5), 0);
    take_events();
    CHECK(ask("timeout_ms=100\npaths=0\n"));
    put_text(SURVEY_TYPE, 1, "dict");
    put_text(SURVEY_TYPE, 2, "app.Session");
    put(SURVEY_WORD(SURVEY_OBJECT, 1, address_of(0)));
    put(SURVEY_WORD(SURVEY_OWNED, 1, address_of(2)));
    put(SURVEY_WORD(SURVEY_OBJECT, 2, address_of(1)));
    put(SURVEY_WORD(SURVEY_OBJECT, 2, address_of(3)));
    put(SURVEY_WORD(SURVEY_MAYBE, 2, address_of(4)));
    put(SURVEY_WORD(SURVEY_MAYBE, 2, address_of(0)));     /* it was told */
    put(SURVEY_WORD(SURVEY_OBJECT, 2, address_of(5)));    /* freed */
    put(SURVEY_WORD(SURVEY_OBJECT, 2, address_of(0) + 16)); /* no block begins there */
    put(SURVEY_WORD(SURVEY_OBJECT, 1, 0x10));
    walk(SURVEY_WHOLE, 4711, 5);
    CHECK_EQUAL(finish(), 1);
    CHECK_EQUAL(state(), SURVEY_IDLE);
    CHECK_EQUAL(intake.state, INTAKE_DONE);
    CHECK_EQUAL(intake.known_count, 3);
    CHECK_EQUAL(intake.known_bytes, 64 + 4096 + 64 + 100 + 500);
    struct trace_listing *listing = end();
    check_property(listing, "objects.0", "survey\t0\nsummary\t42\tP\t4711\t5\t3\t4824\t0\n"
                                         "type\t1\t1\t4160\tdict\ntype\t3\t0\t500\tapp.Session\ntype\t2\t1\t100\tapp.Session\n"
                                         "type\t1\t1\t64\tapp.Session\n\n");
    trace_listing_free(listing);
}

/* Whose paths are wanted: every object of the stacks, by address; none of a plain block, or of another stack. */
static void test_paths(void)
{
    begin();
    allocate(3, EVENT_ALLOCATE_OBJECT, 16, 2);
    allocate(1, EVENT_ALLOCATE_OBJECT, 16, 4);
    allocate(2, EVENT_ALLOCATE_OBJECT, 16, 2);
    allocate(4, EVENT_ALLOCATE, 16, 2);
    allocate(5, EVENT_ALLOCATE_OBJECT, 16, 3);
    take_events();
    CHECK(ask("timeout_ms=100\npause_ms=7\npaths=5\ntype=app.Session\nstacks=4,2,4,99\n"));
    CHECK_EQUAL(survey()->pause_limit_ns, 7 * MS);
    CHECK_EQUAL(survey()->paths_per_type, 5);
    CHECK_STRING(survey()->type_name, "app.Session");
    CHECK_EQUAL(survey()->target_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(survey()->targets[i], address_of(1 + i));
        CHECK_EQUAL(survey()->target_stacks[i], i == 0 ? 4 : 2);
    }
    put_text(SURVEY_TYPE, 1, "app.Session");
    put(SURVEY_WORD(SURVEY_OBJECT, 1, address_of(1)));
    put_text(SURVEY_PATH, 0, "module\tapp\tmodule\nglobal\tX\tapp.Session\n");
    put_text(SURVEY_PATH, 2, "frame\tmain\tapp.py\n");
    put_text(SURVEY_PATH, 3, "module\tof no target\tmodule\n");
    walk(SURVEY_OUT_OF_TIME, 1, 0);
    CHECK_EQUAL(finish(), 1);
    struct trace_listing *listing = end();
    check_property(listing, "objects.0", "survey\t0\nsummary\t42\tP\t1\t0\t1\t16\t6\ntype\t4\t1\t16\tapp.Session\n"
                                         "path\t4\nmodule\tapp\tmodule\nglobal\tX\tapp.Session\npath\t2\nframe\tmain\tapp.py\n\n");
    trace_listing_free(listing);
}

/* Of a stack with many objects some are drawn, none twice. */
static void test_a_sample(void)
{
    begin();
    for (unsigned i = 0; i < 300; i++)
        allocate(i, EVENT_ALLOCATE_OBJECT, 16, 1);
    take_events();
    CHECK(ask("stacks=1"));
    CHECK_EQUAL(survey()->target_count, 64);
    CHECK_EQUAL(survey()->paths_per_type, 3);
    CHECK_EQUAL(survey()->pause_limit_ns, 2000 * MS);
    for (uint32_t i = 0; i < 64; i++)
        CHECK(survey()->targets[i] >= address_of(0) && survey()->targets[i] <= address_of(299) &&
              (!i || survey()->targets[i - 1] < survey()->targets[i]));
    CHECK(survey()->targets[63] > address_of(200)); /* not the first ones only: chance of 1 in 10^12 */
    object_intake_withdraw(&intake, fixture.session, "enough");
    trace_listing_free(end());
}

static void check_told(const char *expected)
{
    char text[400];
    object_intake_tell(&intake, text, sizeof text);
    CHECK_STRING(text, expected);
}

static void test_refusals(void)
{
    begin();
    take_events();
    check_told("state=none\nsurvey=0\nreason=\n");
    atomic_store(&fixture.session->recording, 0);
    CHECK(!ask(""));
    check_told("state=failed\nsurvey=0\nreason=nothing is being recorded: 'heapline start' first, as only blocks allocated from then on are "
               "known\n");
    atomic_store(&fixture.session->recording, 1);
    set_state(SURVEY_WALKING);
    CHECK(!ask(""));
    check_told("state=failed\nsurvey=0\nreason=the process has not yet come back from the survey before\n");
    set_state(SURVEY_WITHDRAWN); /* nobody came, so it may be asked anew */
    CHECK(ask(""));
    check_told("state=waiting\nsurvey=0\nreason=\n");
    CHECK(!ask("")); /* one at a time: the first goes on */
    check_told("state=waiting\nsurvey=0\nreason=another survey of this process's objects is under way\n");
    CHECK_EQUAL(state(), SURVEY_WANTED);
    atomic_store(&survey()->refusal, SURVEY_FREE_THREADED);
    CHECK_EQUAL(step(), 0);
    CHECK_EQUAL(state(), SURVEY_IDLE);
    check_told("state=failed\nsurvey=0\nreason=the objects of a free-threaded Python can't be surveyed: without the GIL there is no moment at "
               "which all of them stand still\n");
    trace_listing_free(end());
}

static void test_too_late(void)
{
    begin();
    take_events();
    CHECK(ask("timeout_ms=3\n"));
    for (int i = 0; i < 3; i++)
        CHECK(step() == 0 && intake.state == INTAKE_WAITING);
    CHECK_EQUAL(step(), 0);
    CHECK_EQUAL(state(), SURVEY_IDLE);
    check_told("state=failed\nsurvey=0\nreason=no thread of the process has allocated, freed or copied anything meanwhile: it is idle or "
               "stopped\n");
    CHECK(ask("timeout_ms=0\n"));
    set_state(SURVEY_SCHEDULED);
    CHECK_EQUAL(step(), 0);
    CHECK_EQUAL(state(), SURVEY_WITHDRAWN); /* the call that was asked for will find it so */
    check_told("state=failed\nsurvey=0\nreason=the process came to no safe point in time: its main thread runs no Python code (it waits, or "
               "is inside C code)\n");
    /* The target waited no longer. */
    CHECK(ask(""));
    walk(SURVEY_WHOLE, 1, 0);
    CHECK_EQUAL(step(), 0);
    set_state(SURVEY_IDLE);
    CHECK_EQUAL(step(), 0);
    check_told("state=failed\nsurvey=0\nreason=the process went on before all its objects had been told: the machine is too busy\n");
    struct trace_listing *listing = end();
    CHECK(!strstr(listing->text, "objects."));
    trace_listing_free(listing);
}

/* Words are taken while the target is still at it, and beyond the ring's end. */
static void test_the_ring(void)
{
    begin();
    for (unsigned i = 0; i < 8; i++)
        allocate(i, EVENT_ALLOCATE_OBJECT, 10 + i, 1);
    take_events();
    atomic_store(&survey()->head, SURVEY_RING_WORDS - 3);
    CHECK(ask(""));
    CHECK_EQUAL(atomic_load(&survey()->tail), SURVEY_RING_WORDS - 3);
    set_state(SURVEY_WALKING);
    CHECK_EQUAL(step(), 0);
    put_text(SURVEY_TYPE, 1, "a name of 24 characters!"); /* its last word is the ring's first */
    put(SURVEY_WORD(SURVEY_OBJECT, 1, address_of(0)));
    CHECK_EQUAL(step(), 0);
    CHECK_EQUAL(intake.state, INTAKE_TAKING);
    CHECK_EQUAL(atomic_load(&survey()->tail), atomic_load(&survey()->head));
    for (unsigned i = 1; i < 8; i++)
        put(SURVEY_WORD(SURVEY_OBJECT, 1, address_of(i)));
    survey()->start_ns = fixture.session->start_monotonic_ns + 42;
    survey()->object_count = 8;
    set_state(SURVEY_WALKED);
    CHECK_EQUAL(step(), 1);
    struct trace_listing *listing = end();
    check_property(listing, "objects.0", "survey\t0\nsummary\t42\tP\t8\t0\t8\t108\t0\ntype\t1\t8\t108\ta name of 24 characters!\n\n");
    trace_listing_free(listing);
}

int main(void)
{
    test_sums();
    test_paths();
    test_a_sample();
    test_refusals();
    test_too_late();
    test_the_ring();
    return 0;
}
