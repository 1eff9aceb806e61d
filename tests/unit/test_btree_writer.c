/* B-trees written page by page: SQLite finds them whole, and every value in its place. */
#include <stdlib.h>
#include <unistd.h>

#include "btree_writer.h"
#include "check.h"
#include "record.h"
#include "report_check.h"
#include "status.h"

static const int64_t edges[] = {0, 1, -1, 2, 127, 128, -128, -129, 32767, 32768, -32768, -32769, 8388607, 8388608, -8388608, -8388609,
                                2147483647, 2147483648, -2147483648, -2147483649, 140737488355327, 140737488355328, -140737488355328,
                                -140737488355329, INT64_MAX, INT64_MIN};
#define EDGE_COUNT (sizeof edges / sizeof *edges)

struct database {
    const char *path;
    struct page_file pages;
    struct record record;
    uint32_t row_root, key_root;
};

/* A table and one WITHOUT ROWID, both empty. */
static void make(struct database *made, int page_bytes)
{
    sqlite3 *database;
    char sql[256];
    made->path = test_path("tree");
    unlink(made->path);
    snprintf(sql, sizeof sql, "PRAGMA synchronous = OFF; PRAGMA page_size = %d; CREATE TABLE row (id INTEGER PRIMARY KEY, number, text); "
                              "CREATE TABLE key (a, b, c, PRIMARY KEY (a, b)) WITHOUT ROWID", page_bytes);
    CHECK_EQUAL(sqlite3_open(made->path, &database), SQLITE_OK);
    CHECK_EQUAL(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    made->row_root = (uint32_t)report_number(database, "SELECT rootpage FROM sqlite_schema WHERE name = 'row'");
    made->key_root = (uint32_t)report_number(database, "SELECT rootpage FROM sqlite_schema WHERE name = 'key'");
    CHECK_EQUAL(sqlite3_close(database), SQLITE_OK);
    CHECK_EQUAL(page_file_open(&made->pages, made->path), 0);
    CHECK_EQUAL(made->pages.page_bytes, page_bytes);
    CHECK_EQUAL(record_init(&made->record), 0);
}

/* Opens it as anybody would. */
static sqlite3 *finish(struct database *made)
{
    sqlite3 *database;
    record_done(&made->record);
    CHECK_EQUAL(page_file_close(&made->pages), 0);
    CHECK_EQUAL(sqlite3_open(made->path, &database), SQLITE_OK);
    CHECK_STRING(report_text(database, "PRAGMA integrity_check"), "ok");
    return database;
}

static void add_row(struct btree_writer *tree, struct record *record, int64_t id, int64_t number, const char *text)
{
    size_t bytes;
    record_begin(record);
    record_null(record);
    record_signed(record, number);
    CHECK_EQUAL(record_text(record, text), 0);
    const uint8_t *row = record_finish(record, &bytes);
    btree_add_row(tree, id, row, bytes);
}

static void add_key(struct btree_writer *tree, struct record *record, int64_t a, int64_t b, int64_t c)
{
    size_t bytes;
    record_begin(record);
    record_signed(record, a);
    record_signed(record, b);
    record_signed(record, c);
    const uint8_t *row = record_finish(record, &bytes);
    btree_add_key(tree, row, bytes);
}

/* So many rows in both: id i holds 7 i; key (i / 3, i) holds i * i. */
static void rows_of_any_number(int page_bytes, int64_t count)
{
    struct database made;
    struct btree_writer tree;
    make(&made, page_bytes);
    btree_begin(&tree, &made.pages, BTREE_TABLE, made.row_root);
    for (int64_t i = 0; i < count; i++)
        add_row(&tree, &made.record, i, 7 * i, "a text");
    CHECK_EQUAL(btree_end(&tree), 0);
    btree_begin(&tree, &made.pages, BTREE_INDEX, made.key_root);
    for (int64_t i = 0; i < count; i++)
        add_key(&tree, &made.record, i / 3, i, i * i);
    CHECK_EQUAL(btree_end(&tree), 0);
    sqlite3 *database = finish(&made);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM row WHERE number = 7 * id AND text = 'a text'"), count);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM key WHERE a = b / 3 AND c = b * b"), count);
    for (int64_t id = 0; id < count; id += 1 + count / 50) {
        CHECK_EQUAL(report_number(database, "SELECT number FROM row WHERE id = %lld", (long long)id), 7 * id);
        CHECK_EQUAL(report_number(database, "SELECT c FROM key WHERE a = %lld AND b = %lld", (long long)(id / 3), (long long)id), id * id);
    }
    /* It is a database like any other: it can be changed. */
    CHECK_EQUAL(sqlite3_exec(database, "PRAGMA synchronous = OFF; DELETE FROM row WHERE id % 2; DELETE FROM key WHERE b % 2; INSERT INTO row VALUES (-5, 1, 2)",
                             NULL, NULL, NULL), SQLITE_OK);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM row"), (count + 1) / 2 + 1);
    CHECK_STRING(report_text(database, "PRAGMA integrity_check"), "ok");
    CHECK_EQUAL(sqlite3_close(database), SQLITE_OK);
}

static void numbers_of_every_width(void)
{
    struct database made;
    struct btree_writer tree;
    make(&made, 4096);
    btree_begin(&tree, &made.pages, BTREE_TABLE, made.row_root);
    for (size_t i = 0; i < EDGE_COUNT; i++)
        add_row(&tree, &made.record, (int64_t)i - 2, edges[i], NULL);
    record_begin(&made.record);
    record_null(&made.record);
    record_number(&made.record, UINT64_MAX);
    record_number_or_null(&made.record, 0);
    size_t bytes;
    const uint8_t *row = record_finish(&made.record, &bytes);
    btree_add_row(&tree, INT64_MAX, row, bytes);
    CHECK_EQUAL(btree_end(&tree), 0);
    sqlite3 *database = finish(&made);
    for (size_t i = 0; i < EDGE_COUNT; i++)
        CHECK_EQUAL(report_number(database, "SELECT number FROM row WHERE id = %d AND text IS NULL", (int)i - 2), edges[i]);
    CHECK_EQUAL(report_number(database, "SELECT number FROM row WHERE id = 9223372036854775807 AND text IS NULL"), INT64_MAX);
    sqlite3_close(database);
}

static void texts_of_any_length(int page_bytes)
{
    struct database made;
    struct btree_writer tree;
    char *text = malloc(100001);
    CHECK(text);
    make(&made, page_bytes);
    btree_begin(&tree, &made.pages, BTREE_TABLE, made.row_root);
    int count = 0;
    for (int length = 0; length <= 100000; length += length < 2 * page_bytes ? 1 + page_bytes / 512 : 9973) {
        memset(text, 'a' + length % 26, (size_t)length);
        text[length] = 0;
        add_row(&tree, &made.record, ++count, length, text);
    }
    CHECK_EQUAL(btree_end(&tree), 0);
    sqlite3 *database = finish(&made);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM row WHERE length(text) = number AND "
                                        "trim(text, char(97 + number %% 26)) = ''"), count);
    sqlite3_close(database);
    free(text);
}

static void order_is_checked(void)
{
    struct database made;
    struct btree_writer tree;
    make(&made, 4096);
    btree_begin(&tree, &made.pages, BTREE_TABLE, made.row_root);
    add_row(&tree, &made.record, 5, 0, NULL);
    add_row(&tree, &made.record, 5, 0, NULL);
    CHECK_EQUAL(btree_end(&tree), STATUS_CORRUPT);
    record_done(&made.record);
    CHECK_EQUAL(page_file_close(&made.pages), 0);
}

static void files_that_do_not_suit(void)
{
    struct page_file pages;
    sqlite3 *database;
    const char *path = test_path("auto");
    CHECK_EQUAL(page_file_open(&pages, test_path("absent")), STATUS_SYSTEM);
    CHECK_EQUAL(sqlite3_open(path, &database), SQLITE_OK);
    CHECK_EQUAL(sqlite3_exec(database, "PRAGMA auto_vacuum = FULL; CREATE TABLE t (a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    CHECK_EQUAL(page_file_open(&pages, path), STATUS_DATABASE);
}

/* The page that holds the byte at 2^30 stays empty. */
static void page_of_the_lock(void)
{
    const uint32_t lock_page = (1u << 30) / 65536 + 1;
    struct database made;
    uint8_t *page = calloc(1, 65536);
    CHECK(page);
    make(&made, 65536);
    made.pages.next_page = lock_page - 1;
    CHECK_EQUAL(page_file_append(&made.pages, page), lock_page - 1);
    CHECK_EQUAL(page_file_next(&made.pages), lock_page + 1);
    CHECK_EQUAL(page_file_after(&made.pages, lock_page - 1), lock_page + 1);
    CHECK_EQUAL(page_file_append(&made.pages, page), lock_page + 1);
    CHECK_EQUAL(page_file_after(&made.pages, lock_page + 1), lock_page + 2);
    record_done(&made.record);
    CHECK_EQUAL(page_file_close(&made.pages), 0);
    CHECK_EQUAL(truncate(made.path, 0), 0);
    free(page);
}

int main(void)
{
    static const int64_t counts[] = {0, 1, 2, 20, 40, 41, 100, 999, 12345, 100000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        rows_of_any_number(512, counts[i]);
        rows_of_any_number(4096, counts[i]);
    }
    for (int64_t count = 1; count < 400; count += 3)
        rows_of_any_number(512, count);
    rows_of_any_number(65536, 30000);
    numbers_of_every_width();
    texts_of_any_length(512);
    texts_of_any_length(4096);
    order_is_checked();
    files_that_do_not_suit();
    page_of_the_lock();
    test_folder_remove();
    return 0;
}
