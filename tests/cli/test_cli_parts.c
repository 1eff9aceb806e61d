/* The parts of cli/ that compute: units, text, paths, trends, JSON. */
#include <locale.h>
#include <math.h>

#include "../unit/check.h"
#include "growth.h"
#include "json.h"
#include "lockstep.h"
#include "paths.h"
#include "text.h"
#include "trend.h"
#include "units.h"

static void test_units(void)
{
    CHECK_STRING(units_bytes(0).text, "0 B");
    CHECK_STRING(units_bytes(1023).text, "1023 B");
    CHECK_STRING(units_bytes(1024).text, "1.00 KiB");
    CHECK_STRING(units_bytes(10 * 1024 * 1024).text, "10.0 MiB");
    CHECK_STRING(units_bytes(1023 * 1024).text, "1023 KiB");
    CHECK_STRING(units_bytes(-1536).text, "-1.50 KiB");
    CHECK_STRING(units_bytes(INT64_MAX).text, "8.00 EiB");
    CHECK_STRING(units_bytes_short(512).text, "512");
    CHECK_STRING(units_bytes_short(1536).text, "1.5K");
    CHECK_STRING(units_bytes_short(1023ll << 30).text, "1023G");
    CHECK_STRING(units_count(999).text, "999");
    CHECK_STRING(units_count(1000).text, "1.00k");
    CHECK_STRING(units_count(18800000).text, "18.8M");
    CHECK_STRING(units_noun(0, "copy").text, "no copies");
    CHECK_STRING(units_noun(1, "copy").text, "1 copy");
    CHECK_STRING(units_noun(2000, "block").text, "2.00k blocks");
    CHECK_STRING(units_time(999).text, "999 ns");
    CHECK_STRING(units_time(1500000).text, "1.50 ms");
    CHECK_STRING(units_time(59900000000).text, "59.9 s");
    CHECK_STRING(units_time(125000000000).text, "2 min 5 s");
    CHECK_STRING(units_time(3 * 3600000000000 + 60000000000).text, "3 h 1 min");
    CHECK_STRING(units_share(1, 2).text, "50 %");
    CHECK_STRING(units_share(1, 100000).text, "<0.1 %");
    CHECK_STRING(units_share(3, 100).text, "3.0 %");
    CHECK_STRING(units_share(0, 0).text, "0 %");
}

static void test_parsing(void)
{
    uint64_t bytes = 7;
    int64_t count = 7;
    CHECK_EQUAL(units_parse_bytes("500M", &bytes), 0);
    CHECK_EQUAL(bytes, 500 << 20);
    CHECK_EQUAL(units_parse_bytes("1.5GiB", &bytes), 0);
    CHECK_EQUAL(bytes, 3ull << 29);
    CHECK_EQUAL(units_parse_bytes("2kB", &bytes), 0);
    CHECK_EQUAL(bytes, 2000);
    CHECK_EQUAL(units_parse_bytes("64k", &bytes), 0);
    CHECK_EQUAL(bytes, 65536);
    bytes = 7;
    static const char *const wrong[] = {"", "-1", "M", "5X", "5MM", "0x10", "1e30", "nan", " 5"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(units_parse_bytes(wrong[i], &bytes) != 0);
    CHECK_EQUAL(bytes, 7);
    CHECK_EQUAL(units_parse_count("42", &count), 0);
    CHECK_EQUAL(count, 42);
    CHECK(units_parse_count("4.2", &count) != 0);
    CHECK(units_parse_count("99999999999999999999", &count) != 0);
    CHECK_EQUAL(count, 42);
}

static void check_clip(const char *text, int columns, enum text_clip where, const char *expected)
{
    char *clean = text_clean(text, 1);
    text_clip(clean, columns, where, "…");
    CHECK_STRING(clean, expected);
    free(clean);
}

static void test_text(void)
{
    char *clean = text_clean("a\033[31m\xff\xc3\xa9\n", 1);
    CHECK_STRING(clean, "a?[31m?\xc3\xa9?");
    free(clean);
    clean = text_clean("\xc3\xa9", 0);
    CHECK_STRING(clean, "?");
    free(clean);
    uint32_t character = 0;
    CHECK_EQUAL(text_decode("\xf0\x9f\x90\x8d", &character), 4);
    CHECK_EQUAL(character, 0x1f40d);
    CHECK_EQUAL(text_decode("\xc0\x80", &character), 0);      /* overlong */
    CHECK_EQUAL(text_decode("\xed\xa0\x80", &character), 0);  /* a surrogate */
    CHECK_EQUAL(text_decode("\xe2\x82", &character), 0);      /* cut */
    CHECK_EQUAL(text_width("ab\xe6\xbc\xa2"), 4);
    check_clip("abcdef", 6, TEXT_CLIP_END, "abcdef");
    check_clip("abcdef", 4, TEXT_CLIP_END, "abc…");
    check_clip("abcdef", 4, TEXT_CLIP_START, "…def");
    check_clip("a\xe6\xbc\xa2\xe6\xbc\xa2", 4, TEXT_CLIP_END, "a\xe6\xbc\xa2…");
    CHECK_EQUAL(text_distance("report", "reprot"), 2);
    CHECK_EQUAL(text_distance("", "abc"), 3);
}

static void check_modules(void)
{
    static const char *const modules[][2] = {
        {"/lib/libc.so.6", "libc.so.6"}, {"app", "app"}, {"/v/pandas/_libs/lib.cpython-311-x86_64-linux-gnu.so", "_libs/lib….so"},
        {"/lib.cpython-311-x86_64-linux-gnu.so", "/lib….so"}, {"lib.cpython-311-x86_64-linux-gnu.so", "lib….so"}, {"/v/a/b.abi3.so", "b.abi3.so"},
        {"/v/a.cpython-1/libx.so.1", "libx.so.1"},
    };
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        char *shown = paths_module(modules[i][0], "…");
        CHECK_STRING(shown, modules[i][1]);
        free(shown);
    }
}

static void test_paths(void)
{
    CHECK_STRING(paths_shorten("/usr/lib/python3.11/json/decoder.py", NULL), "json/decoder.py");
    CHECK_STRING(paths_shorten("/usr/lib/python3/dist-packages/numpy/core.py", NULL), "numpy/core.py");
    CHECK_STRING(paths_shorten("/v/lib/python3.13t/site-packages/a/b.py", NULL), "a/b.py");
    CHECK_STRING(paths_shorten("/usr/lib/python311.zip/json/decoder.py", NULL), "json/decoder.py");
    CHECK_STRING(paths_shorten("/home/ada/src/batch.py", "/home/ada"), "src/batch.py");
    CHECK_STRING(paths_shorten("/home/adam/batch.py", "/home/ada"), "adam/batch.py");
    CHECK_STRING(paths_shorten("/batch.py", NULL), "/batch.py");
    CHECK_STRING(paths_shorten("/srv/batch.py", NULL), "srv/batch.py");
    CHECK_STRING(paths_shorten("./batch.py", NULL), "batch.py");
    CHECK_STRING(paths_shorten("<frozen importlib._bootstrap>", NULL), "<frozen importlib._bootstrap>");
    CHECK_EQUAL(paths_match("/a/b/text.py", "/a/b/text.py"), 3);
    CHECK_EQUAL(paths_match("/a/b/text.py", "b/text.py"), 2);
    CHECK_EQUAL(paths_match("/a/b/text.py", "text.py"), 2);
    CHECK_EQUAL(paths_match("/a/b/text.py", "c/text.py"), 1);
    CHECK_EQUAL(paths_match("/a/b/context.py", "text.py"), 0);
}

static void test_trend(void)
{
    static const double x[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const double rising[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, flat[10] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
    static const double tied[] = {1, 1, 2, 2, 3}, falling[] = {5, 4, 3, 2, 1};
    CHECK(fabs(trend_slope(x, rising, 10) - 1) < 1e-12);
    CHECK(trend_slope(x, flat, 10) == 0);
    CHECK(trend_slope(x, rising, 1) == 0);
    /* One point far off moves the median of the slopes little. */
    static const double outlier[] = {1, 2, 3, 4, 500, 6, 7, 8, 9, 10};
    CHECK(trend_slope(x, outlier, 10) == 1);
    /* S = 45, variance 125: z = 44 / sqrt(125), p = 4.1515e-5. */
    CHECK(fabs(trend_rising_p(rising, 10) - 4.1515e-5) < 1e-8);
    /* S = 8, variance (5*4*15 - 2*(2*1*9)) / 18 = 14.6667: z = 7 / 3.8297 = 1.8278, p = 0.03379. */
    CHECK(fabs(trend_rising_p(tied, 5) - 0.03379) < 1e-5);
    CHECK(trend_rising_p(flat, 10) == 1);
    CHECK(trend_rising_p(falling, 5) == 1);
    CHECK(trend_rising_p(rising, 3) == 1);
}

static struct growth judge_born(const double *bytes, int count, const double *born)
{
    double seconds[64], blocks[64];
    struct growth growth;
    struct growth_series series = {.seconds = seconds, .bytes = bytes, .blocks = blocks, .count = count,
                                   .born = born, .born_count = 8, .run_seconds = count};
    for (int i = 0; i < count; i++) {
        seconds[i] = i + 1;
        blocks[i] = bytes[i] / 100;
    }
    growth_judge(&series, &growth);
    return growth;
}

static struct growth judge(const double *bytes, int count)
{
    return judge_born(bytes, count, NULL);
}

/* 32 windows with a straight line of 1 block each, from the 9th on: 1150 bytes are half of the growth. */
static void test_turnover(void)
{
    static const double stays[] = {400, 400, 400, 400, 400, 400, 400, 400}, gone[] = {800, 0, 0, 0, 0, 0, 1200, 1200},
                        half[] = {800, 0, 0, 400, 0, 0, 1000, 1000};
    double bytes[32];
    for (int i = 0; i < 32; i++)
        bytes[i] = 1000 + 100 * i;
    struct growth growth = judge_born(bytes, 32, stays);
    CHECK(growth.shape == GROWTH_STEADY && growth.confidence > 0.99 && growth.old_bytes == 1150); /* from 9 to 20.5 s */
    growth = judge_born(bytes, 32, gone);
    CHECK(growth.shape == GROWTH_TURNOVER && growth.confidence == 0 && growth.old_bytes == 0);
    growth = judge_born(bytes, 32, half); /* 8/23 of what stays, between the shares that are none and all */
    CHECK(growth.shape == GROWTH_TURNOVER && fabs(growth.confidence - (8 / 23.0 - 0.2) / 0.4) < 0.01);
    CHECK(judge(bytes, 32).old_bytes == -1);
}

/* What a sample shows of a straight line: 23 windows of growth, in grains. */
static void test_grains(void)
{
    double seconds[32], bytes[32], blocks[32] = {0};
    struct growth growth;
    struct growth_series series = {.seconds = seconds, .bytes = bytes, .blocks = blocks, .count = 32};
    for (int i = 0; i < 32; i++) {
        seconds[i] = i + 1;
        bytes[i] = 100 * i;
    }
    series.grain_bytes = 2300 / 64.0;
    growth_judge(&series, &growth);
    CHECK(growth.shape == GROWTH_STEADY && growth.confidence == 1);
    series.grain_bytes = 2300 / 24.0;
    growth_judge(&series, &growth);
    CHECK(growth.shape == GROWTH_NOISE && fabs(growth.confidence - 0.25) < 1e-9);
}

/* A straight line of so many blocks in all since warm-up, of so many bytes each. */
static struct growth judge_blocks(int is_python, double block_count, double block_bytes)
{
    double seconds[32], bytes[32], blocks[32];
    struct growth growth;
    struct growth_series series = {.seconds = seconds, .bytes = bytes, .blocks = blocks, .count = 32, .is_python = is_python};
    for (int i = 0; i < 32; i++) {
        seconds[i] = i + 1;
        blocks[i] = floor((i - 7) * block_count / 23 + 1e-9);
        blocks[i] = blocks[i] > 0 ? blocks[i] : 0;
        bytes[i] = blocks[i] * block_bytes;
    }
    growth_judge(&series, &growth);
    return growth;
}

/* 80 lists of 56 bytes, or dicts of 64, may be waiting for the next ones; larger blocks, and more, aren't. */
static void test_free_lists(void)
{
    struct growth growth = judge_blocks(1, 79, 56);
    CHECK(growth.shape == GROWTH_FREE_LIST && growth.confidence == 0);
    CHECK(judge_blocks(1, 79, 64).shape == GROWTH_FREE_LIST);
    CHECK(judge_blocks(1, 79, 65).shape == GROWTH_STEADY && judge_blocks(1, 79, 65).confidence == 1);
    CHECK(judge_blocks(0, 79, 56).shape == GROWTH_STEADY && judge_blocks(0, 79, 56).confidence == 1);
    CHECK(judge_blocks(1, 115, 56).shape == GROWTH_STEADY && judge_blocks(1, 115, 56).confidence == 1); /* 109 since the onset */
}

static void test_growth(void)
{
    double straight[32], full[32], batches[32], step[32], late[32], half[32], flat[32], churned[32];
    for (int i = 0; i < 32; i++) {
        straight[i] = 1000 + 100 * i;
        full[i] = i < 12 ? 1000 * i : 12000;
        batches[i] = 1000 * (i % 9);
        step[i] = i < 20 ? 500 : 90000;
        late[i] = i < 27 ? 500 : 500 + 1000 * (i - 26);
        half[i] = i < 14 ? 500 : 500 + 1000 * (i - 13);
        flat[i] = 5000;
        churned[i] = 100 * i + (i % 3 == 1 ? 2000 : 0); /* what leaks, and what comes and goes */
    }
    struct growth growth = judge(straight, 32);
    CHECK(growth.shape == GROWTH_STEADY && growth.confidence > 0.99);
    CHECK(fabs(growth.bytes_per_second - 100) < 1e-9 && fabs(growth.blocks_per_second - 1) < 1e-9);
    CHECK(growth.onset_seconds == 9 && growth.onset_bytes == 1800 && growth.end_bytes == 4100); /* the 8th window and 5 % of 2,400 */
    CHECK(growth.rising_windows == 23 && growth.window_count == 23 && growth.grown_bytes == 2300 && growth.grown_blocks == 23);
    growth = judge(full, 32);
    CHECK(growth.shape == GROWTH_LEVELS && growth.confidence < 0.1);
    growth = judge(batches, 32);
    CHECK(growth.shape == GROWTH_RECENT && growth.confidence < 0.1);
    growth = judge(step, 32);
    CHECK(growth.confidence < 0.1);
    growth = judge(late, 32);
    CHECK(growth.shape == GROWTH_RECENT && growth.confidence < 0.1);
    growth = judge(half, 32);
    CHECK(growth.shape == GROWTH_STEADY && growth.onset_seconds == 14);
    CHECK(fabs(growth.p - 5.537e-4) < 1e-7 && fabs(growth.confidence - (-log10(growth.p) - 2) / 2) < 1e-9);
    CHECK(fabs(growth.bytes_per_second - 1000) < 1e-9);
    growth = judge(flat, 32);
    CHECK(growth.shape == GROWTH_NONE && growth.confidence == 0 && growth.bytes_per_second == 0 && growth.end_bytes == 5000);
    growth = judge(churned, 32);
    CHECK(growth.shape == GROWTH_STEADY && growth.confidence > 0.9 && fabs(growth.bytes_per_second - 100) < 20);
    CHECK(judge(straight, 0).confidence == 0 && judge(straight, 1).confidence == 0 && judge(straight, 3).confidence == 0);
}

static int in_step(const double *a, const double *b, int count, double steps, double samples)
{
    double seconds[32];
    for (int i = 0; i < 32; i++)
        seconds[i] = 0.5 * i;
    struct lockstep_series left = {a, steps, samples}, right = {b, steps, samples};
    int found = lockstep(seconds, count, &left, &right);
    CHECK_EQUAL(lockstep(seconds, count, &right, &left), found);
    return found;
}

static void test_lockstep(void)
{
    /* Growth by 240 in 24 steps: even; by turns faster and slower, 4 % ahead in each second window; the same and even mixed; by 2 % only. */
    double even[25], turns[25], tripled[25], mixed[25], slight[25], late[25], late_too[25], flat[25] = {0};
    for (int i = 0; i < 25; i++) {
        even[i] = 10 * i;
        turns[i] = 10 * i + (i % 2 ? 9.6 : 0);
        tripled[i] = 7 + 3 * turns[i];
        mixed[i] = 10 * i + (i % 2 ? 1 : 0) + (i % 3 ? 9.6 : 0);
        slight[i] = 10 * i + (i % 2 ? 4.8 : 0);
        late[i] = i < 12 ? 0 : 10 * (i - 12);
        late_too[i] = i < 12 ? 0 : 2 * (i - 12) + (i % 2);
    }
    CHECK(in_step(turns, tripled, 25, 1000, 0));  /* proportional, whatever the shape */
    CHECK(in_step(even, slight, 25, 1000, 0));    /* rms 1.4 % of the growth */
    CHECK(!in_step(even, turns, 25, 1000, 0));    /* 2.8 % */
    CHECK(in_step(even, turns, 25, 70, 0));       /* but of steps that are a seventieth each, one of either */
    CHECK(!in_step(even, turns, 25, 74, 0));
    CHECK(!in_step(turns, mixed, 25, 1000, 0));
    CHECK(!in_step(even, late, 25, 1000, 0));
    CHECK(in_step(late, late_too, 25, 1000, 0));  /* not quite the same steps, but they wander together */
    CHECK(in_step(even, turns, 25, 1000, 800) && !in_step(even, turns, 25, 1000, 1000)); /* 0.6 sqrt(2 / n) */
    CHECK(!in_step(even, flat, 25, 1000, 0) && !in_step(flat, flat, 25, 1000, 0));
    CHECK(!in_step(even, even, 3, 1000, 0) && in_step(even, even, 4, 1000, 0));
    double back[25];
    for (int i = 0; i < 25; i++)
        back[i] = 100 - i;
    CHECK(!in_step(even, back, 25, 1000, 0));
}

static void test_json(void)
{
    static const char expected[] = "{\n  \"schema\": 1,\n  \"command\": \"test\",\n  \"text\": \"a\\\"b\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\",\n"
                                   "  \"none\": null,\n  \"rows\": [\n    {\"n\": -5, \"ok\": true, \"list\": [1, 2]},\n    {}\n  ],\n"
                                   "  \"empty\": [],\n  \"real\": 0.25,\n  \"infinite\": null\n}\n";
    char *text = NULL;
    size_t size = 0;
    struct json json;
    FILE *out = open_memstream(&text, &size);
    json_begin(&json, out, "test");
    json_text(&json, "text", "a\"b\\\n\001\xff\xc3\xa9");
    json_null(&json, "none");
    json_array(&json, "rows");
    json_object(&json, NULL);
    json_integer(&json, "n", -5);
    json_boolean(&json, "ok", 7);
    json_array(&json, "list");
    json_integer(&json, NULL, 1);
    json_integer(&json, NULL, 2);
    json_array_end(&json);
    json_object_end(&json);
    json_object(&json, NULL);
    json_object_end(&json);
    json_array_end(&json);
    json_array(&json, "empty");
    json_array_end(&json);
    json_real(&json, "real", 0.25);
    json_real(&json, "infinite", INFINITY);
    CHECK_EQUAL(json_end(&json), 0);
    fclose(out);
    CHECK_STRING(text, expected);
    free(text);
}

int main(void)
{
    check_modules();
    setlocale(LC_CTYPE, "C.UTF-8");
    test_units();
    test_parsing();
    test_text();
    test_paths();
    test_trend();
    test_growth();
    test_lockstep();
    test_turnover();
    test_grains();
    test_free_lists();
    test_json();
    return 0;
}
