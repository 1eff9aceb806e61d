/* The parts of `heapline diff` that compute: lines and files found again, and what is noise. */
#include <math.h>

#include "../unit/check.h"
#include "diff_files.h"
#include "diff_noise.h"
#include "line_map.h"
#include "paths.h"

static void check_map(const char *old_text, const char *new_text, const uint32_t *expected, uint32_t expected_count)
{
    uint32_t count, *map = line_map_of_texts(old_text, strlen(old_text), new_text, strlen(new_text), &count);
    CHECK_EQUAL(count, expected_count + 1);
    for (uint32_t i = 0; i < expected_count; i++)
        CHECK_EQUAL(map[i + 1], expected[i]);
    free(map);
}

static void test_texts(void)
{
    check_map("a\nb\nc\n", "a\nb\nc\n", (uint32_t[]){1, 2, 3}, 3);
    check_map("a\nb\nc\n", "x\na\nb\ny\nz\nc", (uint32_t[]){2, 3, 6}, 3);
    check_map("a\nb\nc\n", "a\nc\n", (uint32_t[]){1, 0, 2}, 3);
    /* An edited line between two that stayed; two for one can't be told. */
    check_map("a\nb\nc\n", "a\nB\nc\n", (uint32_t[]){1, 2, 3}, 3);
    check_map("a\nb\nc\n", "a\nB\nBB\nc\n", (uint32_t[]){1, 0, 4}, 3);
    /* Lines that are there more than once, beside ones that aren't. */
    check_map("{\nx\n}\n{\ny\n}\n", "{\nnew\n}\n{\nx\n}\n{\ny\n}\n", (uint32_t[]){1, 5, 6, 7, 8, 9}, 6);
    check_map("\n\n\n", "\n\n", (uint32_t[]){1, 2, 0}, 3);
    /* A function that moved over another: one of both stays, the other's lines are gone. */
    check_map("f1\nf2\nf3\ng1\n", "g1\nf1\nf2\nf3\n", (uint32_t[]){2, 3, 4, 0}, 4);
    check_map("", "a\n", NULL, 0);
    check_map("a\n", "", (uint32_t[]){0}, 1);
    check_map("a  \nb\r\n", "new\na\nb\n", (uint32_t[]){2, 3}, 2); /* ends of lines don't count */
}

static void test_shift(void)
{
    CHECK_EQUAL(line_map_shift((int64_t[]){10, 12, 20}, 3, (int64_t[]){13, 15, 23}, 3), 3);
    CHECK_EQUAL(line_map_shift((int64_t[]){10, 12, 20}, 3, (int64_t[]){10, 12, 20}, 3), 0);
    CHECK_EQUAL(line_map_shift((int64_t[]){10, 20}, 2, (int64_t[]){20, 30}, 2), 10); /* two agree, against the one that stays */
    CHECK_EQUAL(line_map_shift((int64_t[]){10, 20}, 2, (int64_t[]){20, 35}, 2), 0);  /* one against one */
    CHECK_EQUAL(line_map_shift((int64_t[]){50}, 1, (int64_t[]){41}, 1), -9);
    CHECK_EQUAL((uint64_t)line_map_shift((int64_t[]){1}, 1, NULL, 0), 0);
}

static void test_paths(void)
{
    char kind;
    CHECK_STRING(paths_portable("/srv/venv/lib/python3.12/site-packages/flask/app.py", "/srv", &kind), "flask/app.py");
    CHECK_EQUAL(kind, 'p');
    CHECK_STRING(paths_portable("/usr/lib/python3.11/json/decoder.py", "/usr", &kind), "json/decoder.py");
    CHECK_EQUAL(kind, 's');
    CHECK_STRING(paths_portable("/srv/app/views/list.py", "/srv/app", &kind), "views/list.py");
    CHECK_EQUAL(kind, 'd');
    CHECK_STRING(paths_portable("./list.py", NULL, &kind), "list.py");
    CHECK_EQUAL(kind, 'd');
    CHECK_STRING(paths_portable("/srv/app/list.py", "/home", &kind), "/srv/app/list.py");
    CHECK_EQUAL(kind, 'a');
    CHECK_EQUAL(paths_common_end("/a/b/c.py", "/x/b/c.py"), 2);
    CHECK_EQUAL(paths_common_end("/a/b/c.py", "/a/b/c.py"), 3);
    CHECK_EQUAL(paths_common_end("/a/bb/c.py", "/a/b/c.py"), 1);
    CHECK_EQUAL(paths_common_end("c.py", "/b/c.py"), 1);
    CHECK_EQUAL(paths_common_end("/b/cc.py", "/b/c.py"), 0);
    CHECK_EQUAL(paths_common_end("", ""), 0);
}

#define FILES 10

/* Paths of each side, and for each of the old the index of the new that it must be; -1: none. Modules begin with '!'. */
static void check_files(const char *const *old_paths, const char *const *new_paths, const int *expected)
{
    struct diff_file old_list[FILES], new_list[FILES];
    struct diff_files sides[2] = {{old_list, 0, "/home/ada/app"}, {new_list, 0, "/srv/app"}};
    for (int side = 0; side < 2; side++)
        for (const char *const *path = side ? new_paths : old_paths; *path; path++)
            sides[side].files[sides[side].count++] = (struct diff_file){.path = *path + (**path == '!'), .is_module = **path == '!'};
    uint32_t end = diff_files_match(&sides[0], &sides[1]), paired = 0;
    for (uint32_t i = 0; i < sides[0].count; i++) {
        const struct diff_file *file = &sides[0].files[i];
        CHECK_EQUAL((int64_t)(int32_t)file->partner, expected[i]);
        CHECK(file->id > 0 && file->id < end);
        if (file->partner == DIFF_NO_FILE)
            continue;
        paired++;
        CHECK_EQUAL(new_list[file->partner].id, file->id);
        CHECK_EQUAL(new_list[file->partner].partner, i);
    }
    CHECK_EQUAL(end, sides[0].count + sides[1].count - paired + 1);
    for (int side = 0; side < 2; side++)
        for (uint32_t i = 0; i < sides[side].count; i++)
            free(sides[side].files[i].key);
}

static void test_files(void)
{
    check_files((const char *const[]){"/home/ada/app/main.py", "/usr/lib/python3.11/json/decoder.py", "/home/ada/env/lib/python3.11/site-packages/flask/app.py",
                                      "<frozen importlib._bootstrap>", "!/usr/lib/libz.so.1.2.13", "!/home/ada/app/server", NULL},
                (const char *const[]){"!/srv/bin/server", "<frozen importlib._bootstrap>", "/opt/lib/python3.12/json/decoder.py", "/srv/app/main.py",
                                      "/env/lib/python3.12/site-packages/flask/app.py", "!/lib/libz.so.1.3", NULL},
                (const int[]){3, 2, 4, 1, 5, 0});
    /* By the ends of paths: the longer common one. A name that fits two is nobody's; __init__.py alone says nothing. */
    check_files((const char *const[]){"/build/a/src/blog/models.py", "/build/a/src/shop/models.py", "/build/a/util.c", "/build/a/x/__init__.py", "/build/a/same.c",
                                      NULL},
                (const char *const[]){"/ci/src/shop/models.py", "/ci/src/blog/models.py", "/ci/other/util.c", "/ci/y/__init__.py", "/ci/1/same.c", "/ci/2/same.c",
                                      NULL},
                (const int[]){1, 0, 2, -1, -1});
    /* What two files of a side would be is left to their ends. */
    check_files((const char *const[]){"/home/ada/app/run.py", NULL}, (const char *const[]){"./run.py", "/srv/app/run.py", NULL}, (const int[]){1});
    check_files((const char *const[]){NULL}, (const char *const[]){"/srv/app/run.py", NULL}, NULL);
}

static int is_near(double actual, double expected)
{
    return fabs(actual - expected) <= 1e-9 * fabs(expected) + 1e-12;
}

static void test_levels(void)
{
    double line[16], jump[16], wave[16], loud[16];
    for (int i = 0; i < 16; i++) {
        line[i] = 1000.0 + 50 * i;
        jump[i] = i < 5 ? 0 : 1e6;
        wave[i] = 50.0 * i + 10 * (i % 2);
        loud[i] = wave[i] + (i == 7 ? 1e6 : 0);
    }
    CHECK(noise_of_levels(line, 16) == 0); /* growth is no noise */
    CHECK(noise_of_levels(jump, 16) == 0); /* nor is a table that was loaded */
    CHECK(is_near(noise_of_levels(wave, 16), pow(1.482602 * 20, 2) / 6));
    CHECK(is_near(noise_of_levels(loud, 16), pow(1.482602 * 20, 2) / 6)); /* one outlier moves nothing */
    CHECK(noise_of_levels(wave, 4) == 0);
}

static void test_sample(void)
{
    CHECK(is_near(noise_seen_blocks(1e6, 10, 100000), 10 * -expm1(-1)));
    CHECK(noise_seen_blocks(1e9, 1, 1000) >= NOISE_FEW_BLOCKS && noise_seen_blocks(100, 1, 0) >= NOISE_FEW_BLOCKS && noise_seen_blocks(0, 0, 1000) == 0);
}

static void test_scatter(void)
{
    double old_counts[24], new_counts[24];
    struct noise_scatter scatter;
    for (int i = 0; i < 24; i++) {
        old_counts[i] = 100 * (i + 1);
        new_counts[i] = 2 * old_counts[i];
    }
    new_counts[3] *= 50; /* what grew */
    noise_scatter(old_counts, new_counts, 24, &scatter);
    CHECK(is_near(scatter.ratio, 2) && scatter.dispersion == 0 && scatter.row_count == 24);
    /* A third was done once, at the start, the rest twice as often. */
    for (int i = 0; i < 24; i++)
        new_counts[i] = i % 3 ? 2 * old_counts[i] : old_counts[i];
    noise_scatter(old_counts, new_counts, 24, &scatter);
    CHECK(is_near(scatter.ratio, 2) && scatter.dispersion == 0);
    /* Each row is off by its root: as from Poisson's distribution, or so. */
    for (int i = 0; i < 24; i++)
        new_counts[i] = old_counts[i] + (i % 2 ? 1 : -1) * sqrt(2 * old_counts[i]);
    noise_scatter(old_counts, new_counts, 24, &scatter);
    CHECK(fabs(scatter.ratio - 1) < 0.05 && scatter.dispersion > 0.4 && scatter.dispersion < 0.8);
    CHECK(is_near(noise_of_scatter(&(struct noise_scatter){.dispersion = 2}, 100, 4, 300, 9), 2 * (100 * 100 / 4.0 + 300 * 300 / 9.0)));
    CHECK(noise_of_scatter(&(struct noise_scatter){.dispersion = 2}, 0, 0, 0, 0) == 0);
    /* Rows of few blocks, and few rows, tell nothing. */
    noise_scatter(old_counts, new_counts, SCATTER_ROWS - 1, &scatter);
    CHECK(scatter.ratio == 1 && scatter.dispersion == 0);
    for (int i = 0; i < 24; i++)
        old_counts[i] = SCATTER_COUNT - 1;
    noise_scatter(old_counts, new_counts, 24, &scatter);
    CHECK(scatter.ratio == 1 && scatter.dispersion == 0 && scatter.row_count == 0);
}

static void test_judgement(void)
{
    CHECK(noise_significance(0, 0) == 0 && noise_significance(5, 0) == 1 && noise_significance(-5, 0) == 1);
    CHECK(fabs(noise_significance(1, 1) - 0.682689) < 1e-6);
    CHECK(fabs(noise_significance(-2, 1) - 0.954500) < 1e-6);
    CHECK(is_near(noise_certain(-10, 4), 4) && noise_certain(5, 4) == 0 && noise_certain(10, 0) == 10);
}

int main(void)
{
    test_texts();
    test_shift();
    test_paths();
    test_files();
    test_levels();
    test_sample();
    test_scatter();
    test_judgement();
    return 0;
}
