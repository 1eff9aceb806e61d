/* The replay's figures, column by column, for traces that are written down here event by event. */
#include "check.h"
#include "report_check.h"

/* In 1024ths. */
#define ERROR(column, stack) report_number(database, "SELECT CAST(round(1024 * %s) AS INTEGER) FROM stack_error WHERE stack_id = %d", column, stack)
#define ASK(column, stack) report_number(database, "SELECT " column " FROM stack_use WHERE stack_id = %d", (int)(stack))
#define TOTAL(column) report_number(database, "SELECT " column " FROM summary")

/* A script with so many stacks, each called from nowhere. */
static struct script begin(uint32_t stacks)
{
    struct script script = {0};
    while (script.stacks < stacks)
        script_node(&script, 0);
    return script;
}

static sqlite3 *report(struct script *script)
{
    sqlite3 *database = report_open(script_save(script, "trace", TRACE_END_EXIT));
    check_report_rules(database);
    script_done(script);
    return database;
}

static void every_column(void)
{
    struct script script = begin(3);
    uint32_t a = script_allocate(&script, 100, 1, 0);
    script_time(&script, 1000);
    uint32_t b = script_allocate(&script, 50, 2, TRACE_OBJECT);
    script_copy(&script, 4096, 3);
    script_copy(&script, 8192, 3);
    script_time(&script, 2000);
    script_allocate(&script, 30, 1, 0); /* peak: 180 bytes, after five events */
    script_free(&script, a, 0);
    script_time(&script, 3000);
    script_free(&script, b, 0);
    script_allocate(&script, 7, 1, 0);
    script_event(&script, (struct trace_event){.kind = TRACE_RSS, .size_bytes = 123456});
    script_event(&script, (struct trace_event){.kind = TRACE_LOST, .size_bytes = 5});
    script_event(&script, (struct trace_event){.kind = TRACE_SMALL_COPIES, .size_bytes = 77, .count = 11});
    script_event(&script, (struct trace_event){.kind = TRACE_UNKNOWN_FREES, .count = 2});
    script_time(&script, 4000 - 17);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(ASK("allocated_bytes", 1), 137);
    CHECK_EQUAL(ASK("allocations", 1), 3);
    CHECK_EQUAL(ASK("live_bytes", 1), 37);
    CHECK_EQUAL(ASK("live_allocations", 1), 2);
    CHECK_EQUAL(ASK("peak_bytes", 1), 130);
    CHECK_EQUAL(ASK("peak_allocations", 1), 2);
    CHECK_EQUAL(ASK("temporary_allocations", 1), 0);
    CHECK_EQUAL(ASK("oldest_live_ns", 1), 2000);
    CHECK_EQUAL(ASK("newest_live_ns", 1), 3000);
    CHECK_EQUAL(ASK("peak_bytes", 2), 50);
    CHECK_EQUAL(ASK("live_bytes", 2), 0);
    CHECK_EQUAL(ASK("oldest_live_ns", 2), -999);
    CHECK_EQUAL(ASK("copied_bytes", 3), 12288);
    CHECK_EQUAL(ASK("copies", 3), 2);
    CHECK_EQUAL(ASK("allocations", 3), 0);
    CHECK_EQUAL(ASK("copied_bytes", -2), 77);
    CHECK_EQUAL(ASK("copies", -2), 11);
    CHECK_EQUAL(TOTAL("pid"), 4242);
    CHECK_EQUAL(TOTAL("parent_pid"), 4241);
    CHECK_EQUAL(TOTAL("start_realtime_ns"), 1700000000000000000);
    CHECK_EQUAL(TOTAL("duration_ns"), 4000);
    CHECK_EQUAL(TOTAL("complete"), 1);
    CHECK_STRING(report_text(database, "SELECT exit_kind FROM summary"), "exit");
    CHECK_EQUAL(TOTAL("exit_status"), 3);
    CHECK_STRING(report_text(database, "SELECT damage FROM summary"), "NULL");
    CHECK_EQUAL(TOTAL("peak_bytes"), 180);
    CHECK_EQUAL(TOTAL("peak_time_ns"), 2000);
    CHECK_EQUAL(TOTAL("peak_event"), 5);
    CHECK_EQUAL(TOTAL("peak_allocations"), 3);
    CHECK_EQUAL(TOTAL("peak_rss_bytes"), 123456);
    CHECK_EQUAL(TOTAL("event_count"), 8);
    CHECK_EQUAL(TOTAL("allocated_bytes"), 187);
    CHECK_EQUAL(TOTAL("allocations"), 4);
    CHECK_EQUAL(TOTAL("live_bytes_at_end"), 37);
    CHECK_EQUAL(TOTAL("live_allocations_at_end"), 2);
    CHECK_EQUAL(TOTAL("temporary_allocations"), 0);
    CHECK_EQUAL(TOTAL("copied_bytes"), 12288 + 77);
    CHECK_EQUAL(TOTAL("copies"), 13);
    CHECK_EQUAL(TOTAL("lost_events"), 5);
    CHECK_EQUAL(TOTAL("unknown_frees"), 2);
    CHECK_EQUAL(TOTAL("sampling_interval_bytes"), 0);
    CHECK_EQUAL(TOTAL("copy_threshold_bytes"), 512);
    sqlite3_close(database);
}

/* Of equal heights the first counts; a spike between two others counts though it lasts for one event. */
static void peak_order(void)
{
    struct script script = begin(3);
    script_free(&script, script_allocate(&script, 500, 1, 0), 0);
    script_free(&script, script_allocate(&script, 1000, 2, 0), 0);
    script_free(&script, script_allocate(&script, 1000, 3, 0), 0);
    script_allocate(&script, 999, 1, 0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(TOTAL("peak_event"), 3);
    CHECK_EQUAL(ASK("peak_bytes", 2), 1000);
    CHECK_EQUAL(ASK("peak_bytes", 3), 0);
    CHECK_EQUAL(ASK("peak_bytes", 1), 0);
    CHECK_EQUAL(ASK("live_bytes", 1), 999);
    sqlite3_close(database);
}

static void peak_is_last_event(void)
{
    struct script script = begin(1);
    script_allocate(&script, 10, 1, 0);
    script_allocate(&script, 20, 0, 0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(TOTAL("peak_event"), 2);
    CHECK_EQUAL(ASK("peak_bytes", 0), 20);
    CHECK_EQUAL(ASK("peak_bytes", 1), 10);
    CHECK_STRING(report_text(database, "SELECT function FROM line_use WHERE peak_bytes = 20"), "unknown");
    sqlite3_close(database);
}

/* Objects within an arena count once; the arena counts for what they leave free, as slack. Among equal levels the fullest is the peak. */
static void arenas(void)
{
    struct script script = begin(2);
    script_allocate(&script, 1000, 1, TRACE_ARENA | TRACE_MAPPING);
    uint32_t object = script_allocate(&script, 300, 2, TRACE_OBJECT | TRACE_IN_ARENA);
    script_allocate(&script, 500, 2, TRACE_OBJECT | TRACE_IN_ARENA); /* the peak: 1000, of which 800 are objects */
    script_free(&script, object, 0);
    script_allocate(&script, 100, 2, TRACE_OBJECT | TRACE_IN_ARENA);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(TOTAL("peak_bytes"), 1000);
    CHECK_EQUAL(TOTAL("peak_event"), 3);
    CHECK_EQUAL(ASK("peak_bytes", 2), 800);
    CHECK_EQUAL(ASK("peak_bytes", -1), 200);
    CHECK_EQUAL(ASK("live_bytes", 2), 600);
    CHECK_EQUAL(ASK("live_bytes", -1), 400);
    CHECK_EQUAL(ASK("allocated_bytes", -1), 0);
    CHECK_EQUAL(TOTAL("allocations"), 3);
    CHECK_EQUAL(TOTAL("allocated_bytes"), 900);
    CHECK_EQUAL(TOTAL("live_bytes_at_end"), 1000);
    CHECK_EQUAL(TOTAL("live_allocations_at_end"), 2);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack_use WHERE stack_id = 1"), 0);
    CHECK_EQUAL(report_number(database, "SELECT peak_bytes FROM line_use WHERE function = 'arena slack' AND "
                                        "kind = 'native' AND file IS NULL"), 200);
    sqlite3_close(database);
}

/* Temporary: freed before its own thread allocates again, by whichever thread. */
static void temporary(void)
{
    struct script script = begin(5);
    script_thread(&script, 1, "one");
    script_thread(&script, 2, "two");
    script_switch(&script, 1);
    script_free(&script, script_allocate(&script, 10, 1, 0), 0);    /* yes */
    uint32_t a = script_allocate(&script, 10, 2, 0);
    script_allocate(&script, 10, 1, 0);
    script_free(&script, a, 0);                                     /* no: stack 1 allocated in between */
    uint32_t b = script_allocate(&script, 10, 3, 0);
    script_switch(&script, 2);
    script_allocate(&script, 10, 1, 0);
    script_free(&script, b, 0);                                     /* yes: thread 2's allocation doesn't matter */
    uint32_t c = script_allocate(&script, 10, 4, 0);
    script_switch(&script, 1);
    script_allocate(&script, 10, 1, 0);
    script_switch(&script, 2);
    script_copy(&script, 1024, 4);
    script_free(&script, c, TRACE_REALLOC);                         /* yes: a realloc is a deallocation too */
    uint32_t d = script_allocate(&script, 10, 5, TRACE_REALLOC);
    script_allocate(&script, 4096, 0, TRACE_ARENA);
    script_free(&script, d, 0);                                     /* yes: an arena is no allocation */
    script_free(&script, script_allocate(&script, 10, 5, TRACE_INHERITED), 0); /* no: it was not allocated here */
    sqlite3 *database = report(&script);
    CHECK_EQUAL(ASK("temporary_allocations", 1), 1);
    CHECK_EQUAL(ASK("temporary_allocations", 2), 0);
    CHECK_EQUAL(ASK("temporary_allocations", 3), 1);
    CHECK_EQUAL(ASK("temporary_allocations", 4), 1);
    CHECK_EQUAL(ASK("temporary_allocations", 5), 1);
    CHECK_EQUAL(TOTAL("temporary_allocations"), 4);
    CHECK_STRING(report_text(database, "SELECT name FROM thread WHERE thread_id = 2 AND kernel_id = 1002"), "two");
    sqlite3_close(database);
}

/* A failed realloc leaves everything as if it had not been tried. */
static void undo(void)
{
    struct script script = begin(3);
    uint32_t a = script_allocate(&script, 100, 1, 0);
    script_time(&script, 500);
    script_free(&script, a, TRACE_REALLOC);
    a = script_undo_free(&script, 100, 1, 0);
    script_free(&script, a, TRACE_REALLOC); /* temporary once, not twice: still the thread's latest allocation */
    script_allocate(&script, 50, 2, 0);
    uint32_t c = script_allocate(&script, 60, 3, 0);
    script_time(&script, 900);
    script_allocate(&script, 1, 2, 0);
    script_free(&script, c, TRACE_REALLOC); /* not temporary */
    script_undo_free(&script, 60, 3, 0);
    script_time(&script, 1000 - 17);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(ASK("allocations", 1), 1);
    CHECK_EQUAL(ASK("allocated_bytes", 1), 100);
    CHECK_EQUAL(ASK("live_bytes", 1), 0);
    CHECK_EQUAL(ASK("temporary_allocations", 1), 1);
    CHECK_EQUAL(ASK("live_bytes", 3), 60);
    CHECK_EQUAL(ASK("live_allocations", 3), 1);
    CHECK_EQUAL(ASK("allocations", 3), 1);
    CHECK_EQUAL(ASK("oldest_live_ns", 3), 500);
    CHECK_EQUAL(ASK("newest_live_ns", 3), 500);
    CHECK_EQUAL(ASK("temporary_allocations", 3), 0);
    CHECK_EQUAL(TOTAL("peak_bytes"), 111);
    CHECK_EQUAL(TOTAL("peak_event"), 7);
    CHECK_EQUAL(TOTAL("event_count"), 9);
    sqlite3_close(database);
}

/* The block's own thread allocates between deallocation and its undoing: then it is no longer that thread's latest. */
static void undo_across_threads(void)
{
    struct script script = begin(1);
    script_thread(&script, 1, "one");
    script_thread(&script, 2, "two");
    script_switch(&script, 1);
    uint32_t a = script_allocate(&script, 10, 1, 0);
    script_switch(&script, 2);
    script_free(&script, a, TRACE_REALLOC);
    script_switch(&script, 1);
    script_free(&script, script_allocate(&script, 20, 0, 0), 0);
    script_switch(&script, 2);
    a = script_undo_free(&script, 10, 1, 0);
    script_free(&script, a, 0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(ASK("temporary_allocations", 1), 0);
    CHECK_EQUAL(ASK("temporary_allocations", 0), 1);
    sqlite3_close(database);
}

static void shrink(void)
{
    struct script script = begin(2);
    uint32_t mapping = script_allocate(&script, 8192, 1, TRACE_MAPPING);
    script_event(&script, (struct trace_event){.kind = TRACE_SHRINK, .slot = mapping, .size_bytes = 4096});
    uint32_t gone = script_allocate(&script, 4096, 2, TRACE_MAPPING);
    script_event(&script, (struct trace_event){.kind = TRACE_SHRINK, .slot = gone, .size_bytes = 1024});
    script_free(&script, gone, 0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(ASK("live_bytes", 1), 4096);
    CHECK_EQUAL(ASK("live_allocations", 1), 1);
    CHECK_EQUAL(ASK("allocated_bytes", 1), 8192);
    CHECK_EQUAL(ASK("live_bytes", 2), 0);
    CHECK_EQUAL(ASK("peak_bytes", 1), 8192);
    CHECK_EQUAL(ASK("peak_bytes", 2), 0);
    CHECK_EQUAL(TOTAL("event_count"), 5);
    sqlite3_close(database);
}

static void inherited(void)
{
    struct script script = begin(2);
    script_allocate(&script, 100, 1, TRACE_INHERITED);
    script_allocate(&script, 5000, 1, TRACE_INHERITED | TRACE_ARENA);
    script_time(&script, 100);
    script_allocate(&script, 10, 2, 0);
    script_time(&script, 200);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(ASK("allocated_bytes", 1), 0);
    CHECK_EQUAL(ASK("allocations", 1), 0);
    CHECK_EQUAL(ASK("live_bytes", 1), 100);
    CHECK_EQUAL(ASK("peak_bytes", 1), 100);
    CHECK_EQUAL(ASK("peak_bytes", -1), 5000);
    CHECK_EQUAL(ASK("oldest_live_ns", 1), 0);
    CHECK_EQUAL(ASK("oldest_live_ns", 2), 100);
    CHECK_EQUAL(TOTAL("allocations"), 1);
    CHECK_EQUAL(TOTAL("peak_bytes"), 5110);
    CHECK_EQUAL(TOTAL("live_allocations_at_end"), 2);
    sqlite3_close(database);
}

/* 32 windows of 100 ns: 10 bytes more in each, and something that is freed in the tenth. */
static void windows(void)
{
    struct script script = begin(3);
    uint32_t gone = script_allocate(&script, 1000, 2, 0);
    script_allocate(&script, 7, 3, 0);
    for (uint64_t window = 0; window < 32; window++) {
        script_time(&script, window * 100 + 50);
        script_allocate(&script, 10, 1, 0);
        if (window == 9)
            script_free(&script, gone, 0);
    }
    script_time(&script, 3200 - 17);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(TOTAL("duration_ns"), 3200);
    CHECK_EQUAL(report_number(database, "SELECT end_time_ns FROM window WHERE window_id = 0"), 100);
    CHECK_EQUAL(report_number(database, "SELECT heap_bytes FROM window WHERE window_id = 8"), 1097);
    CHECK_EQUAL(report_number(database, "SELECT event_count FROM window WHERE window_id = 8"), 2 + 9);
    CHECK_EQUAL(report_number(database, "SELECT event_count FROM window WHERE window_id = 31"), 2 + 32 + 1);
    CHECK_EQUAL(report_number(database, "SELECT heap_bytes FROM window WHERE window_id = 9"), 107);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM window_use WHERE stack_id = 1"), 32);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM window_use WHERE stack_id = 1 AND live_bytes != 10 * (window_id + 1)"), 0);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM window_use WHERE stack_id = 2"), 0);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM window_use WHERE stack_id = 3 AND live_bytes = 7 AND "
                                        "live_allocations = 1"), 32);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM live_span WHERE stack_id = 3"), 1);
    CHECK_EQUAL(report_number(database, "SELECT growth_bytes FROM leak_stacks WHERE stack_id = 1"), 320 - 80);
    CHECK_EQUAL(report_number(database, "SELECT growth_bytes FROM leak_stacks WHERE stack_id = 3"), 0);
    sqlite3_close(database);
}

/* The highest level between two rows is kept, though the row's own level is low. */
static void timeline(void)
{
    struct script script = begin(1);
    for (uint64_t millisecond = 1; millisecond <= 5000; millisecond++) {
        if (millisecond == 2500)
            script_free(&script, script_allocate(&script, 1 << 20, 1, 0), 0);
        script_event(&script, (struct trace_event){.kind = TRACE_RSS, .size_bytes = 1000 * millisecond});
        script_time(&script, millisecond * 1000000);
    }
    script_allocate(&script, 5, 1, 0);
    sqlite3 *database = report(&script);
    int64_t rows = report_number(database, "SELECT count(*) FROM timeline");
    CHECK(rows > 1000 && rows <= 2000);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM timeline WHERE heap_peak_bytes > 5"), 1);
    int64_t spike_ns = report_number(database, "SELECT time_ns FROM timeline WHERE heap_peak_bytes = 1048576 AND heap_bytes = 0");
    CHECK(spike_ns >= 2499000000 && spike_ns <= 2510000000);
    CHECK_EQUAL(report_number(database, "SELECT rss_bytes FROM timeline WHERE time_ns = %lld", (long long)spike_ns), spike_ns / 1000);
    sqlite3_close(database);
}

/* Blocks of a sample stand for as many as their probability says, rounded at random; mappings and arenas for themselves. */
static void sampled(void)
{
    struct script script = begin(4);
    script.sampling_interval_bytes = 1000;
    const int blocks = 20000;
    uint32_t slots[20000];
    for (int i = 0; i < blocks; i++)
        slots[i] = script_allocate(&script, i % 2 ? 100 : 3000, i % 2 ? 1 : 2, 0);
    script_allocate(&script, 4096, 3, TRACE_MAPPING);
    for (int i = 0; i < blocks; i += 2)
        script_free(&script, slots[i], 0);
    for (int i = 0; i < blocks / 10; i++)
        script_copy(&script, 500, 4);
    script_allocate(&script, 8192, 3, TRACE_MAPPING);
    sqlite3 *database = report(&script);
    /* 1 / (1 - exp(-0.1)) = 10.50833; of 10000 blocks each is rounded, with a standard error of 0.5 at most */
    CHECK(llabs(ASK("allocations", 1) - 105083) <= 4 * 50);
    CHECK(llabs(ASK("allocated_bytes", 1) - 10508331) <= 4 * 50 + 2);
    CHECK_EQUAL(ASK("live_bytes", 1), ASK("allocated_bytes", 1));
    CHECK_EQUAL(ASK("live_allocations", 1), ASK("allocations", 1));
    CHECK_EQUAL(ASK("peak_bytes", 1), ASK("allocated_bytes", 1));
    /* 1 / (1 - exp(-3)) = 1.0523957 */
    CHECK(llabs(ASK("allocations", 2) - 10524) <= 4 * 23);
    CHECK(llabs(ASK("allocated_bytes", 2) - 31571870) <= 4 * 50 + 2);
    CHECK_EQUAL(ASK("peak_bytes", 2), ASK("allocated_bytes", 2));
    CHECK_EQUAL(ASK("live_bytes", 2), 0);
    CHECK_EQUAL(ASK("live_allocations", 2), 0);
    CHECK_EQUAL(ASK("allocated_bytes", 3), 4096 + 8192);
    CHECK_EQUAL(ASK("allocations", 3), 2);
    CHECK_EQUAL(ASK("peak_bytes", 3), 4096);
    /* 1 / (1 - exp(-0.5)) = 2.541494 */
    CHECK(llabs(ASK("copies", 4) - 5083) <= 4 * 23);
    CHECK(llabs(ASK("copied_bytes", 4) - 2541494) <= 4 * 23 + 2);
    CHECK_EQUAL(TOTAL("temporary_allocations"), 0);
    CHECK_EQUAL(TOTAL("peak_event"), blocks + 1);
    CHECK_EQUAL(TOTAL("peak_bytes"), ASK("allocated_bytes", 1) + ASK("allocated_bytes", 2) + 4096);
    /* The root of the sum of (1 - p) (size / p)^2: 10000 (0.904837 * 1050.83^2 + 0.0497871 * 3157.19^2) */
    CHECK_EQUAL(TOTAL("allocated_bytes_error"), 122288);
    CHECK_EQUAL(TOTAL("peak_bytes_error"), 122288);
    /* Of counts, in 1024ths: a block of 1050 bytes' weight adds 10.5 * 9.5 + 0.25 = 100, one of 1051 10.51 * 9.51 + 0.2499, 205 more … */
    const int64_t heavier = ASK("allocated_bytes", 1) - blocks / 2 * 1050;
    CHECK(heavier > 0 && heavier < blocks / 2);
    CHECK_EQUAL(ERROR("allocations_variance", 1), blocks / 2 * 102400ll + 205 * heavier);
    CHECK_EQUAL(ERROR("live_variance", 1), ERROR("allocations_variance", 1));
    CHECK_EQUAL(ERROR("peak_variance", 1), ERROR("allocations_variance", 1));
    CHECK_EQUAL(ERROR("largest_block", 1), 102400 + 205);
    CHECK_EQUAL(ERROR("copies_variance", 1), 0);
    /* … one of 3157 0.0523333 * (1.0523333 + 0.9476667), which is 107, one of 3158 108 … */
    CHECK_EQUAL(ERROR("allocations_variance", 2), blocks / 2 * 107 + ASK("allocated_bytes", 2) - blocks / 2 * 3157);
    CHECK_EQUAL(ERROR("peak_variance", 2), ERROR("allocations_variance", 2));
    CHECK_EQUAL(ERROR("live_variance", 2), 0);
    CHECK_EQUAL(ERROR("largest_block", 2), 108);
    /* … and a copy of 1270 2.54 * 1.54 + 0.54 * 0.46, of 1271 2.542 * 1.542 + 0.542 * 0.458. Mappings are certain. */
    CHECK_EQUAL(ERROR("copies_variance", 4), blocks / 10 * 4260 + 8 * (ASK("copied_bytes", 4) - blocks / 10 * 1270));
    CHECK_EQUAL(ERROR("largest_copy", 4), 4268);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack_error WHERE stack_id NOT IN (1, 2, 4)"), 0);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM property WHERE key = 'count_errors'"), 1);
    /* Lines: each of these stacks is one. Inclusive: each is on its own line and its callers'. */
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM line_error"), 3);
    CHECK_EQUAL(report_number(database, "SELECT sum(allocations_variance) = (SELECT sum(allocations_variance) FROM stack_error) FROM line_error"), 1);
    sqlite3_close(database);
}

static void sample_by(struct script *script, uint64_t interval_bytes)
{
    script_event(script, (struct trace_event){.kind = TRACE_SAMPLING, .size_bytes = interval_bytes});
}

/* The interval changes, thread by thread: each block counts by what held when it was allocated. */
static void resampled(void)
{
    struct script script = begin(6);
    const int blocks = 10000;
    uint32_t exact[10000], sampled[10000];
    for (uint32_t thread = 1; thread <= 2; thread++)
        script_define(&script, &(struct trace_definition){.kind = TRACE_DEFINE_THREAD, .thread = {.thread_id = thread}});
    script_event(&script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = 1});
    for (int i = 0; i < blocks; i++)
        exact[i] = script_allocate(&script, 100, 1, 0);
    sample_by(&script, 1000);
    for (int i = 0; i < blocks; i++)
        sampled[i] = script_allocate(&script, 100, 2, 0);
    for (int i = 0; i < 10; i++)
        script_allocate(&script, 100, 6, 0);
    script_event(&script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = 2});
    script_free(&script, script_allocate(&script, 100, 3, 0), 0); /* this thread still records all */
    for (int i = 0; i < blocks; i += 4)
        script_free(&script, exact[i], 0);
    script_event(&script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = 1});
    sample_by(&script, 0);
    for (int i = 0; i < blocks; i += 2)
        script_free(&script, sampled[i], 0);
    script_free(&script, sampled[1], TRACE_REALLOC);
    script_event(&script, (struct trace_event){.kind = TRACE_UNDO_FREE, .size_bytes = 100, .stack_id = 2});
    script_free(&script, script_allocate(&script, 64, 4, 0), 0);
    sample_by(&script, 100000);
    script_copy(&script, 1000, 5);
    script_allocate(&script, 100, 6, 0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(ASK("allocations", 1), 10000);
    CHECK_EQUAL(ASK("live_bytes", 1), 750000);
    /* 10.50833 each, a half at most its standard error; a failed realloc leaves a block what it was */
    CHECK(llabs(ASK("allocations", 2) - 105083) <= 4 * 50);
    CHECK(llabs(ASK("live_allocations", 2) - 52542) <= 4 * 36);
    CHECK(llabs(ASK("live_bytes", 2) - 100 * ASK("live_allocations", 2)) <= 100 * blocks);
    CHECK_EQUAL(ASK("allocations", 3), 1);
    CHECK_EQUAL(ASK("temporary_allocations", 3), 1);
    CHECK_EQUAL(ASK("temporary_allocations", 4), 1);
    CHECK_EQUAL(ASK("live_bytes", 4), 0);
    CHECK(ASK("copies", 5) >= 100 && ASK("copies", 5) <= 101); /* 100.5 */
    CHECK_EQUAL(TOTAL("sampling_interval_bytes"), 100000);
    /* Only thread 1 has an error, and only of what it sampled: sqrt(10000 * (1 - p)) * 100 / p */
    CHECK(llabs(TOTAL("allocated_bytes_error") - 141400) <= 1500);
    /* Of counts, as above: half of the blocks are live. By 100000, the copy adds 100.5 * 99.5 + 0.25, a block 1000.5 * 999.5 + 0.25, whose weight is
     * 100050.008 bytes. */
    const int64_t live = 5000, heavier = ASK("allocated_bytes", 2) - blocks * 1050;
    CHECK_EQUAL(ERROR("allocations_variance", 2), blocks * 102400ll + 205 * heavier);
    CHECK_EQUAL(ERROR("live_variance", 2), live * 102400 + 205 * (ASK("live_bytes", 2) - live * 1050));
    CHECK_EQUAL(ERROR("copies_variance", 5), 10000 * 1024);
    CHECK_EQUAL(ERROR("largest_copy", 5), 10000 * 1024);
    CHECK_EQUAL(ASK("allocated_bytes", 6) / 1000, (10 * 1050 + 100050) / 1000);
    CHECK_EQUAL(ERROR("allocations_variance", 6), 10 * 102400 + 205 * (ASK("allocated_bytes", 6) - 10 * 1050 - 100050) + 1000000ll * 1024);
    CHECK_EQUAL(ERROR("largest_block", 6), 1000000ll * 1024);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack_error"), 3);
    CHECK_STRING(report_text(database, "SELECT damage FROM summary"), "NULL");
    sqlite3_close(database);
}

static void nothing(void)
{
    struct script script = begin(0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(TOTAL("peak_bytes"), 0);
    CHECK_EQUAL(TOTAL("peak_event"), 0);
    CHECK_EQUAL(TOTAL("peak_rss_bytes"), -999);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack_use"), 0);
    sqlite3_close(database);
}

int main(void)
{
    test_folder();
    every_column();
    peak_order();
    peak_is_last_event();
    arenas();
    temporary();
    undo();
    undo_across_threads();
    shrink();
    inherited();
    windows();
    timeline();
    sampled();
    resampled();
    nothing();
    test_folder_remove();
    return 0;
}
