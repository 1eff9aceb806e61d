/* event_stream.c and live_blocks.c: words in rings, and the exact events they become. */
#include "event_words.h"
#include "stream_fixture.h"

#define A 0x7f0000001000ull
#define B 0x7f0000002000ull
#define PAGE 4096ull

static struct stream_fixture fixture;
static struct player one, two;

static void begin(void)
{
    stream_fixture_init(&fixture);
    player_init(&one, fixture.session, 0, 1024);
    player_init(&two, fixture.session, 1024, 1024);
    for (uint32_t i = 1; i <= 9; i++)
        session_define_node(fixture.session, i, i - 1, 0x1000 * i);
    stream_fixture_take_definitions(&fixture);
}

static void allocate(struct player *player, uint64_t address, uint64_t size, uint64_t ticks)
{
    player_allocate(player, EVENT_ALLOCATE, address, size, 1, ticks);
}

static void release(struct player *player, uint64_t address, uint64_t ticks)
{
    player_free(player, EVENT_FREE, address, ticks);
}

static void publish(void)
{
    player_publish(&one);
    player_publish(&two);
}

/* ---- one thread ---- */

static void check_every_event(void)
{
    begin();
    player_run(&one, 2, FIXTURE_START_TICKS + 5000000);
    allocate(&one, A, 100, 0);
    player_allocate(&one, EVENT_ALLOCATE_OBJECT, B, 200, 2, 0);
    player_allocate(&one, EVENT_ALLOCATE, A + 8, 5ull << 32, 3, 0);
    player_free(&one, EVENT_REALLOC_BEGIN, A, 0);
    player_allocate(&one, EVENT_REALLOC_END, A, 300, 4, 0);         /* in place: no copy */
    player_free(&one, EVENT_REALLOC_BEGIN, A, 0);
    player_allocate(&one, EVENT_REALLOC_END, A + 0x100, 40, 5, 0);  /* moved and shrunk */
    player_free(&one, EVENT_REALLOC_BEGIN, B, 0);
    player_allocate(&one, EVENT_REALLOC_END_OBJECT, B + 0x100, 7ull << 32, 6, 0); /* moved and grown */
    player_free(&one, EVENT_REALLOC_BEGIN, A + 0x100, 0);
    player_free(&one, EVENT_REALLOC_FAILED, A + 0x100, 0);
    player_put(&one, EVENT_WORD(EVENT_COPY, 12345));
    player_put(&one, 7);
    release(&one, A + 8, 0);
    release(&one, A + 0x100, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    CHECK_EQUAL(one.cursor, atomic_load(&one.shared->drained));
    struct trace_listing *listing = stream_fixture_end(&fixture);
    char *text = trace_listing_text(listing);
    CHECK_STRING(text, "t1 a0:100/1,0 a1:200/2,1 a2:21474836480/3,0 f0r a0:300/4,20 f0r a0:40/5,20 c40/5 "
                       "f1r a1:30064771072/6,21 c200/6 f0r u0:40/5,20 c12345/7 f2 f0");
    CHECK_EQUAL(listing->events[0].kind, TRACE_TIME);
    CHECK_EQUAL(listing->events[0].time_ns, 5000000);
    free(text);
    trace_listing_free(listing);
}

static void check_unknown(void)
{
    begin();
    player_run(&one, 2, 0);
    release(&one, A, 0);
    player_free(&one, EVENT_REALLOC_BEGIN, B, 0);
    player_allocate(&one, EVENT_REALLOC_END, A, 10, 1, 0);
    player_free(&one, EVENT_REALLOC_BEGIN, B, 0);
    player_free(&one, EVENT_REALLOC_FAILED, B, 0);
    player_free(&one, EVENT_FREE, A + 8, 0);                    /* not where the block begins */
    player_allocate(&one, EVENT_ALLOCATE, B, 5, 77, 0);         /* a stack that was never defined */
    allocate(&one, A, 20, 0);                                   /* its deallocation was lost */
    release(&one, A, 0);
    release(&one, A, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    stream_fixture_expect(&fixture, "t1 ?1 a0:10/1,20 ?2 ?3 a1:5/0,0 f0 a0:20/1,0 f0 ?4");
}

static void pass(struct player *player, uint64_t address, uint64_t size, uint32_t stack)
{
    player_put(player, EVENT_WORD(EVENT_REALLOC_PASSED, address));
    player_put(player, stack);
    player_put(player, size);
}

/* Where only a sample is recorded, one side of a realloc may be missing. */
static void check_sampled_reallocations(void)
{
    begin();
    fixture.blocks.intervals.bytes[0] = 100;
    player_run(&one, 2, 0);
    allocate(&one, A, 200, 0);
    player_free(&one, EVENT_REALLOC_BEGIN, A, 0);
    pass(&one, B, 5000, 4); /* moved */
    allocate(&one, A, 300, 0);
    player_free(&one, EVENT_REALLOC_BEGIN, A, 0);
    pass(&one, A, 400, 5);  /* in place */
    player_allocate(&one, EVENT_REALLOC_END, B, 70, 6, 0); /* of a block that wasn't sampled */
    release(&one, B, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    stream_fixture_expect(&fixture, "t1 a0:200/1,0 f0r c200/4 a0:300/1,0 f0r a0:70/6,20 f0");
}

static void sample_by(struct player *player, uint64_t interval_bytes)
{
    player_put(player, EVENT_WORD(EVENT_SAMPLING, interval_bytes));
}

/* Each thread says in its ring from where on it samples by what; a realloc ends as it began, and what it copies is sampled as its old block was. */
static void check_sampling_words(void)
{
    begin();
    player_run(&one, 2, 0);
    allocate(&one, A, 300, 0);
    sample_by(&one, 1 << 20);
    allocate(&one, B, 5000000, 0);                          /* so large that it is certain */
    player_free(&one, EVENT_REALLOC_BEGIN, A, 0);
    sample_by(&one, 0);                                     /* within */
    pass(&one, A + 0x100, 400, 4);                          /* moved */
    release(&one, A + 0x200, 0);                            /* left out by the sample: no sign of anything */
    player_free(&one, EVENT_REALLOC_BEGIN, B, 0);
    player_allocate(&one, EVENT_REALLOC_END, B + 0x100, 6000000, 5, 0);
    player_run(&two, 3, 0);
    allocate(&two, A, 10, 0);                               /* another thread records all as ever */
    publish();
    stream_fixture_take(&fixture, 3, ~0ull);
    CHECK_EQUAL(sampling_intervals_of(&fixture.blocks.intervals, 0), 0);
    stream_fixture_expect(&fixture, "t1 a0:300/1,0 ~1048576 a1:5000000/1,0 f0r ~0 c300/4 ~1048576 ~0 f1r a1:6000000/5,20 ~1048576 c5000000/5 ~0 "
                                    "t2 a0:10/1,0");
}

/* A thread's successor in its slot begins with what the session began with. */
static void check_sampling_generations(void)
{
    begin();
    player_run(&one, 2, 0);
    sample_by(&one, 1 << 20);
    allocate(&one, A, 5000000, 0);
    player_put(&one, EVENT_WORD(EVENT_THREAD, 2));
    allocate(&one, B, 10, 0);
    sample_by(&one, 100);
    allocate(&one, B + 8, 20, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    stream_fixture_expect(&fixture, "t1 ~1048576 a0:5000000/1,0 t2 a1:10/1,0 ~100 a2:20/1,0");
}

/* Of what is copied when a block shrinks, as much is taken as of other copies: fewer than of the larger blocks that are moved. */
static void check_sampled_shrinks(void)
{
    uint64_t copies, rounds = 4000;
    begin();
    fixture.blocks.intervals.bytes[0] = 100;
    player_run(&one, 2, 0);
    for (uint64_t i = 0; i < rounds; i++) {
        allocate(&one, A, 300, 0);
        player_free(&one, EVENT_REALLOC_BEGIN, A, 0);
        pass(&one, B, 50, 1);
        if (i % 100 == 99) {
            publish();
            stream_fixture_take(&fixture, 2, ~0ull);
        }
    }
    copies = trace_writer_totals(fixture.writer)->copies;
    /* (1 - exp(-0.5)) / (1 - exp(-3)) = 0.4141 of them, with a standard error of 31 */
    CHECK(copies > 1656 - 4 * 31 && copies < 1656 + 4 * 31);
    CHECK_EQUAL(trace_writer_totals(fixture.writer)->copied_bytes, 50 * copies);
    trace_listing_free(stream_fixture_end(&fixture));
}

/* Recording was stopped for a while. */
static void check_forget(void)
{
    begin();
    player_run(&one, 2, 0);
    allocate(&one, A, 100, 0);
    allocate(&one, A + 8, 7, 0); /* in no place of its own */
    player_map(&one, B, 2 * PAGE, 2, 0, 0);
    player_free(&one, EVENT_REALLOC_BEGIN, A, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    event_stream_forget(&fixture.stream);
    player_allocate(&one, EVENT_REALLOC_END, B, 50, 3, 0);
    release(&one, A + 8, 0);
    player_unmap(&one, B, PAGE, 0);
    allocate(&one, A, 5, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    stream_fixture_expect(&fixture, "t1 a0:100/1,0 a1:7/1,0 a2:8192/2,8 f0r t0 f1 f2 t1 a2:50/3,20 ?1 a1:5/1,0");
}

/* Threads that were stopped within an event while recording stopped and was about to begin again: what became of their blocks, nobody saw. */
static void check_forget_late_events(void)
{
    begin();
    player_run(&one, 2, 0);
    player_run(&two, 3, 0);
    allocate(&one, A, 100, 0);
    publish();
    stream_fixture_take(&fixture, 3, ~0ull);
    fixture.session->order = ORDER_WORD(4, ORDER_PAUSED);
    event_stream_forget(&fixture.stream);
    allocate(&one, A, 50, 0); /* not one event more than this: the thread finds the order word changed */
    player_map(&two, B, PAGE, 2, 0, 0);
    player_run(&one, 5, 0);
    allocate(&one, A, 5, 0);
    player_run(&two, 6, 0);
    player_map(&two, B, 2 * PAGE, 2, 0, 0);
    publish();
    stream_fixture_take(&fixture, 6, ~0ull);
    stream_fixture_expect(&fixture, "t1 a0:100/1,0 t0 f0 t1 a0:50/1,0 f0 t2 a0:4096/2,8 f0 t1 a0:5/1,0 t2 a1:8192/2,8");
}

static void check_forget_late_reallocation(void)
{
    begin();
    player_run(&one, 2, 0);
    player_free(&one, EVENT_REALLOC_BEGIN, B, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    fixture.session->order = ORDER_WORD(3, ORDER_PAUSED);
    event_stream_forget(&fixture.stream);
    player_allocate(&one, EVENT_REALLOC_END_OBJECT, A, 5ull << 32, 2, 0);
    player_run(&one, 4, 0);
    release(&one, A, 0);
    publish();
    stream_fixture_take(&fixture, 4, ~0ull);
    stream_fixture_expect(&fixture, "t1 t0 t1 a0:21474836480/2,21 f0 ?1");
}

static void check_wrap_and_jump(void)
{
    begin();
    char expected[40000] = "t1 ", *to = expected + 3;
    player_run(&one, 2, 0);
    for (uint64_t i = 1; i <= 1500; i++) {
        allocate(&one, A, i, 0);
        release(&one, A, 0);
        to += sprintf(to, "a0:%u/1,0 f0 ", (unsigned)i);
        if (i == 700)
            player_jump(&one, 4096, 4096);
        if (i % 100 == 0) { /* a lap of the first ring is 340 pairs */
            publish();
            stream_fixture_take(&fixture, 2, ~0ull);
            CHECK_EQUAL(one.cursor, atomic_load(&one.shared->drained));
        }
    }
    to[-1] = 0;
    stream_fixture_expect(&fixture, expected);
}

static void check_ring_filled_to_its_end(void)
{
    begin();
    player_run(&one, 2, 0);
    for (uint64_t i = 0; i < 200; i++)
        allocate(&one, A + 16 * i, 1, 0);
    /* The recorder's last event may end exactly where the ring does: then no PAD is needed. */
    player_init(&two, fixture.session, 8192, 8);
    player_put(&two, EVENT_WORD(EVENT_RUN, 3));
    player_put(&two, 0);
    for (uint64_t i = 0; i < 3; i++) {
        player_put(&two, EVENT_WORD(EVENT_ALLOCATE, B + 16 * i));
        player_put(&two, EVENT_SIZE_STACK(2, 1));
    }
    publish();
    stream_fixture_take(&fixture, 3, ~0ull);
    two.cursor = two.ring;
    player_put(&two, EVENT_WORD(EVENT_FREE, B));
    publish();
    stream_fixture_take(&fixture, 3, ~0ull);
    CHECK_EQUAL(trace_writer_totals(fixture.writer)->allocations, 203);
    CHECK_EQUAL(trace_writer_totals(fixture.writer)->live_bytes, 200 + 2 * 2);
    trace_listing_free(stream_fixture_end(&fixture));
}

static void check_generations(void)
{
    begin();
    const char *names[] = {"first", "second"};
    for (uint32_t generation = 1; generation <= 2; generation++) {
        struct define_thread define = {0, generation, 100 + generation, (uint32_t)strlen(names[generation - 1])};
        session_define(fixture.session, DEFINE_THREAD, &define, sizeof define, names[generation - 1], define.name_bytes);
    }
    stream_fixture_take_definitions(&fixture);
    player_put(&one, EVENT_WORD(EVENT_THREAD, 1));
    player_run(&one, 2, 0);
    allocate(&one, A, 1, 0);
    player_put(&one, EVENT_WORD(EVENT_THREAD, 2));
    player_run(&one, 3, 0);
    release(&one, A, 0);
    player_run(&two, 4, 0);
    allocate(&two, A, 2, 0);
    publish();
    stream_fixture_take(&fixture, 9, 0);
    struct define_thread renamed = {0, 2, 102, 3};
    session_define(fixture.session, DEFINE_THREAD, &renamed, sizeof renamed, "new", 3);
    stream_fixture_take_definitions(&fixture);
    struct trace_listing *listing = stream_fixture_end(&fixture);
    char *text = trace_listing_text(listing), expected[200];
    CHECK_STRING(text, "t1 a0:1/1,0 t2 f0 t3 a0:2/1,0");
    snprintf(expected, sizeof expected, "thread 1 101 first\nthread 2 102 second\nthread 3 %d \nthread 2 102 new\n", getpid());
    CHECK_STRING(strstr(listing->text, "thread"), expected);
    free(text);
    trace_listing_free(listing);
}

/* ---- mappings ---- */

static void check_mappings(void)
{
    begin();
    player_run(&one, 2, 0);
    player_map(&one, A, 8 * PAGE, 1, 0, 0);
    player_unmap(&one, A + 2 * PAGE, 3 * PAGE, 0);              /* the middle */
    player_unmap(&one, A - PAGE, 4 * PAGE, 0);                  /* the first piece, and what we don't know */
    player_map(&one, A + 6 * PAGE, PAGE, 2, 0, 0);              /* MAP_FIXED over the middle of the second piece */
    player_unmap(&one, A, 16 * PAGE, 0);                        /* three pieces of two mappings */
    player_map(&one, A, 5000, 3, 0, 0);                         /* not whole pages */
    player_unmap(&one, A, 4096, 0);
    player_unmap(&one, A + PAGE, 904, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    stream_fixture_expect(&fixture, "t1 a0:32768/1,8 s0:12288 s0:8192 s0:4096 a1:4096/2,8 s0:4096 f1 f0 a0:5000/3,8 s0:4096 f0");
}

static void check_arenas(void)
{
    begin();
    player_run(&one, 2, 0);
    player_map(&one, A, 4 * PAGE, 1, EVENT_MAP_ARENA, 0);
    player_allocate(&one, EVENT_ALLOCATE_OBJECT, A + 64, 32, 2, 0);
    player_allocate(&one, EVENT_ALLOCATE, A + 128, 32, 2, 0);   /* not an object: never in an arena */
    player_allocate(&one, EVENT_ALLOCATE_OBJECT, A + 4 * PAGE, 600, 2, 0);
    release(&one, A + 64, 0);
    player_unmap(&one, A, 4 * PAGE, 0);
    player_allocate(&one, EVENT_ALLOCATE_OBJECT, A + 64, 16, 2, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    stream_fixture_expect(&fixture, "t1 a0:16384/1,4 a1:32/2,3 a2:32/2,0 a3:600/2,1 f1 f0 a0:16/2,1");
}

static void remap(uint64_t old_address, uint64_t old_length, uint64_t address, uint64_t length, uint32_t stack)
{
    player_put(&one, EVENT_WORD(EVENT_REMAP, old_address));
    player_put(&one, old_length);
    player_put(&one, address);
    player_put(&one, EVENT_SIZE_STACK(0, stack));
    player_put(&one, length);
}

static void check_remaps(void)
{
    begin();
    player_run(&one, 2, 0);
    player_map(&one, A, 4 * PAGE, 1, 0, 0);
    remap(A, 4 * PAGE, A, 8 * PAGE, 2);                         /* grown in place */
    remap(A + 4 * PAGE, 4 * PAGE, B + 64 * PAGE, 2 * PAGE, 3);  /* the upper half moves and shrinks */
    player_map(&one, B + 128 * PAGE, PAGE, 4, 0, 0);
    remap(A, 4 * PAGE, B + 127 * PAGE, 4 * PAGE, 5);            /* over another one */
    remap(0x10000, PAGE, 0x20000, PAGE, 6);                     /* a file's: never seen */
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);
    stream_fixture_expect(&fixture, "t1 a0:16384/1,8 f0r a0:32768/2,28 s0:16384 a1:8192/3,28 a2:4096/4,8 f0r f2 a2:16384/5,28");
}

/* ---- several threads ---- */

static void check_epochs_order_threads(void)
{
    begin();
    player_run(&two, 2, 0);
    allocate(&two, A, 1, 0);
    player_run(&one, 3, 0);
    release(&one, A, 0);
    allocate(&one, A, 2, 0);
    player_run(&two, 4, 0);
    release(&two, A, 0);
    player_run(&one, 5, 0);
    allocate(&one, A, 3, 0);
    publish();
    stream_fixture_take(&fixture, 2, ~0ull);   /* epoch by epoch */
    CHECK_EQUAL(trace_writer_totals(fixture.writer)->event_count, 1);
    stream_fixture_take(&fixture, 4, ~0ull);
    CHECK_EQUAL(trace_writer_totals(fixture.writer)->event_count, 4);
    allocate(&one, B, 4, 0);                   /* the run goes on over drains */
    publish();
    stream_fixture_take(&fixture, 5, ~0ull);
    allocate(&one, B + 16, 5, 0);
    publish();
    stream_fixture_take(&fixture, 5, ~0ull);
    stream_fixture_expect(&fixture, "t1 a0:1/1,0 t2 f0 a0:2/1,0 t1 f0 t2 a0:3/1,0 a1:4/1,0 a2:5/1,0");
}

static void begin_parallel(void)
{
    begin();
    one.stamping = two.stamping = 1;
    player_run(&one, 2, 0);
    player_run(&two, 2, 0);
}

static void check_stamps_order_threads(void)
{
    begin_parallel();
    allocate(&one, A, 1, 1000);
    allocate(&two, B, 2, 1010);
    release(&one, A, 1020);
    allocate(&two, A, 3, 1030);
    release(&two, B, 1031);
    allocate(&one, B, 4, 1040);
    publish();
    stream_fixture_take(&fixture, 2, 1030);    /* up to and including */
    CHECK_EQUAL(trace_writer_totals(fixture.writer)->event_count, 4);
    stream_fixture_take(&fixture, 2, 1039);
    CHECK_EQUAL(trace_writer_totals(fixture.writer)->event_count, 5);
    stream_fixture_take(&fixture, 3, ~0ull);
    stream_fixture_expect(&fixture, "t1 a0:1/1,0 t2 a1:2/1,0 t1 f0 t2 a0:3/1,0 f1 t1 a1:4/1,0");
}

static void check_late_event(void)
{
    begin_parallel();
    /* Thread two was stopped before it could publish; nothing that was taken meanwhile depended on it. */
    allocate(&one, A, 1, 1000);
    allocate(&one, A + 16, 2, 3000);
    player_publish(&one);
    stream_fixture_take(&fixture, 2, 4000);
    allocate(&two, B, 3, 2000);
    release(&one, B, 5000);
    publish();
    stream_fixture_take(&fixture, 2, 6000);
    stream_fixture_expect(&fixture, "t1 a0:1/1,0 a1:2/1,0 t2 a2:3/1,0 t1 f2");
}

/* A deallocation whose stamp is 20 ticks later than that of the allocation that got the address. */
static void check_overtaken_free(void)
{
    begin_parallel();
    allocate(&one, A, 1, 1000);
    allocate(&two, A, 2, 2000);                /* overtakes: the deallocation is done before it */
    release(&one, A, 2020);
    release(&two, A, 2100);
    publish();
    stream_fixture_take(&fixture, 2, 9000);
    stream_fixture_expect(&fixture, "t1 a0:1/1,0 t2 f0 a0:2/1,0 t1 t2 f0");
}

static void check_overtaken_free_by_owner(void)
{
    begin_parallel();
    allocate(&one, A, 1, 1000);
    allocate(&two, A, 2, 2000);
    release(&two, A, 2010);                    /* thread two's own: never the one that was overtaken */
    allocate(&two, A, 3, 2015);
    release(&one, A, 2020);
    publish();
    stream_fixture_take(&fixture, 2, 9000);
    stream_fixture_expect(&fixture, "t1 a0:1/1,0 t2 f0 a0:2/1,0 f0 a0:3/1,0 t1");
}

static void check_overtaken_reallocation(void)
{
    begin_parallel();
    allocate(&one, A, 10, 1000);
    allocate(&two, A, 2, 2000);
    player_free(&one, EVENT_REALLOC_BEGIN, A, 2020);
    player_allocate(&one, EVENT_REALLOC_END, B, 30, 2, 2060);
    publish();
    stream_fixture_take(&fixture, 2, 9000);
    stream_fixture_expect(&fixture, "t1 a0:10/1,0 t2 f0 a0:2/1,0 t1 a1:30/2,20 c10/2");
}

static void check_lost_free_is_not_waited_for(void)
{
    begin_parallel();
    allocate(&one, A, 1, 1000);
    allocate(&two, A, 2, 2000);                /* the deallocation in between was lost */
    release(&one, A, 5000);                    /* far too late to be that one */
    publish();
    stream_fixture_take(&fixture, 2, 9000);
    stream_fixture_expect(&fixture, "t1 a0:1/1,0 t2 f0 a0:2/1,0 t1 f0");
}

/* A deallocation whose stamp is 20 ticks earlier than that of its allocation. */
static void check_overtaking_free(void)
{
    begin_parallel();
    release(&two, A, 1980);
    allocate(&two, B, 5, 1990);
    allocate(&one, A, 1, 2000);
    publish();
    stream_fixture_take(&fixture, 2, 9000);
    stream_fixture_expect(&fixture, "t1 t2 a0:1/1,0 t1 f0 a0:5/1,0");
}

static void check_overtaking_free_in_later_drain(void)
{
    begin_parallel();
    player_free(&two, EVENT_REALLOC_BEGIN, A, 1980);
    player_allocate(&two, EVENT_REALLOC_END, B, 30, 2, 1990);
    allocate(&one, A, 10, 2000);
    publish();
    stream_fixture_take(&fixture, 2, 1985);    /* must not count it as unknown yet */
    stream_fixture_take(&fixture, 2, 1999);
    stream_fixture_take(&fixture, 2, 2000);
    stream_fixture_take(&fixture, 2, 2400);
    stream_fixture_expect(&fixture, "t1 t2 a0:10/1,0 t1 f0r a0:30/2,20 c10/2");
}

static void check_unknown_free_in_parallel(void)
{
    begin_parallel();
    release(&two, A, 1000);
    allocate(&one, A, 1, 1401);                /* beyond what can be a swap */
    publish();
    stream_fixture_take(&fixture, 2, 9000);
    stream_fixture_expect(&fixture, "t1 ?1 t2 a0:1/1,0");
}

/* ---- what is no ring ---- */

static void check_garbage(void)
{
    begin();
    player_run(&one, 2, 0);
    allocate(&one, A, 1, 0);
    player_put(&one, 0);                       /* never written */
    allocate(&one, B, 2, 0);
    player_run(&two, 3, 0);
    allocate(&two, B, 3, 0);
    publish();
    stream_fixture_take(&fixture, 9, 0);
    allocate(&one, B, 4, 0);
    publish();
    stream_fixture_take(&fixture, 9, 0);
    CHECK_EQUAL(one.cursor, atomic_load(&one.shared->drained)); /* but the thread must not wait for ever */
    atomic_store(&two.shared->cursor, ~0ull);  /* a cursor that is never reached */
    stream_fixture_take(&fixture, 9, 0);
    stream_fixture_expect(&fixture, "t1 a0:1/1,0 t2 a1:3/1,0");
}

/* Words that any program could have written over the rings: nothing may crash or hang, and what comes out is a trace. */
static void check_random_words(void)
{
    uint64_t seed = 11;
    for (int round = 0; round < 400; round++) {
        begin();
        player_run(&one, 2, 0);
        player_run(&two, 2, 0);
        one.cursor = one.ring + one.ring_words - 1;
        two.cursor = two.ring + check_random(&seed) % two.ring_words;
        uint64_t *words = session_words(fixture.session);
        for (uint64_t at = one.ring + 2; at < one.ring + 2048; at++) {
            uint64_t kind = check_random(&seed), payload = check_random(&seed) >> kind % 64;
            if (kind >> 8 & 1)
                payload = payload % 64; /* the same few addresses, granules shared */
            if ((kind >> 9) % 4 == 0)
                payload = one.ring + payload % 2048;
            if (at != two.ring && at != two.ring + 1)
                words[at] = kind >> 16 & 7 ? EVENT_WORD((kind >> 20) % EVENT_OPCODE_COUNT, payload) : payload;
        }
        publish();
        stream_fixture_take(&fixture, 9, 0);
        stream_fixture_take(&fixture, ~0ull, ~0ull);
        trace_listing_free(stream_fixture_end(&fixture));
    }
}

int main(void)
{
    check_every_event();
    check_unknown();
    check_sampled_reallocations();
    check_sampled_shrinks();
    check_sampling_words();
    check_sampling_generations();
    check_forget();
    check_forget_late_events();
    check_forget_late_reallocation();
    check_wrap_and_jump();
    check_ring_filled_to_its_end();
    check_generations();
    check_mappings();
    check_arenas();
    check_remaps();
    check_epochs_order_threads();
    check_stamps_order_threads();
    check_late_event();
    check_overtaken_free();
    check_overtaken_free_by_owner();
    check_overtaken_reallocation();
    check_lost_free_is_not_waited_for();
    check_overtaking_free();
    check_overtaking_free_in_later_drain();
    check_unknown_free_in_parallel();
    check_garbage();
    check_random_words();
    return 0;
}
