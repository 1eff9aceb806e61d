/* Keeping reports (report_cache.h). A trace is recognised by its size, times, inode and the bytes at both ends, where its identity
 * and its end block are; the versions of schema and replay are part of the key as well. */
#include "report_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "byte_hash.h"
#include "replay.h"
#include "store.h"

#define END_BYTES 512
/* Reports up to this size are checked page by page when they are opened again; that takes up to 20 ms. */
#define CHECKED_REPORT_BYTES (8 << 20)

static uint64_t hash_of_piece(int file, off_t offset)
{
    unsigned char bytes[END_BYTES];
    ssize_t count = pread(file, bytes, sizeof bytes, offset);
    return hash_bytes(HASH_BYTES_START, bytes, count > 0 ? (size_t)count : 0);
}

/* 0: this system's own. */
static uint64_t hash_of_sources(const struct symbol_sources *symbols)
{
    uint64_t hash = HASH_BYTES_START;
    if (!symbols->sysroot && !symbols->debug_folder_count)
        return 0;
    if (symbols->sysroot)
        hash = hash_bytes(hash, symbols->sysroot, strlen(symbols->sysroot) + 1);
    for (int i = 0; i < symbols->debug_folder_count; i++)
        hash = hash_bytes(hash_number(hash), symbols->debug_folders[i], strlen(symbols->debug_folders[i]));
    return hash;
}

int report_key_read(const char *trace_path, const struct symbol_sources *symbols, struct report_key *ret_key)
{
    struct stat status;
    int file = open(trace_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return STATUS_SYSTEM;
    if (fstat(file, &status) || !S_ISREG(status.st_mode)) {
        close(file);
        return STATUS_SYSTEM;
    }
    struct report_key key = {0};
    key.being_written = flock(file, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
    off_t tail = status.st_size > END_BYTES ? status.st_size - END_BYTES : 0;
    snprintf(key.text, sizeof key.text, "schema %d replay %d size %lld time %lld.%09ld inode %llu head %016llx tail %016llx "
             "symbols %016llx",
             STORE_SCHEMA_VERSION, REPLAY_VERSION, (long long)status.st_size, (long long)status.st_mtim.tv_sec,
             status.st_mtim.tv_nsec, (unsigned long long)status.st_ino, (unsigned long long)hash_of_piece(file, 0),
             (unsigned long long)hash_of_piece(file, tail), (unsigned long long)hash_of_sources(symbols));
    close(file);
    *ret_key = key;
    return STATUS_OK;
}

static int path_in_user_cache(const char *trace_path, char path[PATH_MAX])
{
    char absolute[PATH_MAX];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (!realpath(trace_path, absolute))
        return STATUS_SYSTEM;
    unsigned long long hash = hash_bytes(HASH_BYTES_START, absolute, strlen(absolute));
    int length = cache && *cache == '/' ? snprintf(path, PATH_MAX, "%s/heapline/%016llx.report", cache, hash)
                 : home && *home == '/' ? snprintf(path, PATH_MAX, "%s/.cache/heapline/%016llx.report", home, hash)
                                        : PATH_MAX;
    return length < PATH_MAX ? STATUS_OK : STATUS_SYSTEM;
}

int report_cache_path(const char *trace_path, int place, char path[PATH_MAX])
{
    if (place)
        return path_in_user_cache(trace_path, path);
    return snprintf(path, PATH_MAX, "%s.report", trace_path) < PATH_MAX ? STATUS_OK : STATUS_SYSTEM;
}

/* The first column of the first row as text, to be freed. NULL: none, or an error. */
static char *query_text(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    char *text = NULL;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_text(statement, 0))
        text = strdup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return text;
}

static int query_is(sqlite3 *database, const char *sql, const char *expected)
{
    char *text = query_text(database, sql);
    int equal = text && !strcmp(text, expected);
    free(text);
    return equal;
}

static int is_whole(sqlite3 *database, const char *report_path)
{
    struct stat file;
    char bytes[32];
    if (stat(report_path, &file))
        return 0;
    snprintf(bytes, sizeof bytes, "%lld", (long long)file.st_size);
    return query_is(database, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", bytes) &&
           (file.st_size > CHECKED_REPORT_BYTES || query_is(database, "PRAGMA quick_check(1)", "ok"));
}

int report_cache_open(const char *report_path, const char *key, sqlite3 **ret_database)
{
    sqlite3 *database = NULL;
    if (sqlite3_open_v2(report_path, &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        query_is(database, "SELECT value FROM property WHERE key = '" STORE_KEY_PROPERTY "'", key) &&
        is_whole(database, report_path)) {
        *ret_database = database;
        return STATUS_OK;
    }
    sqlite3_close(database);
    return STATUS_DATABASE;
}

/* A report, or nothing at all: may be replaced. */
static int is_replaceable(const char *report_path)
{
    unsigned char header[72] = {0};
    const unsigned char application[] = {STORE_APPLICATION_ID >> 24, (STORE_APPLICATION_ID >> 16) & 255,
                                         (STORE_APPLICATION_ID >> 8) & 255, STORE_APPLICATION_ID & 255};
    int file = open(report_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return errno == ENOENT;
    ssize_t count = read(file, header, sizeof header);
    close(file);
    /* https://www.sqlite.org/fileformat.html, 1.3: the application id is at offset 68. */
    return !count || (count == sizeof header && !memcmp(header, "SQLite format 3", 16) && !memcmp(header + 68, application, 4));
}

static void make_folders(const char *report_path)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", report_path);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
}

int report_cache_create(const char *trace_path, const char *report_path, char temporary_path[PATH_MAX])
{
    struct stat trace;
    char user_path[PATH_MAX];
    if (!is_replaceable(report_path) || stat(trace_path, &trace) ||
        snprintf(temporary_path, PATH_MAX, "%s.XXXXXX", report_path) >= PATH_MAX)
        return STATUS_SYSTEM;
    if (!path_in_user_cache(trace_path, user_path) && !strcmp(user_path, report_path))
        make_folders(report_path);
    int file = mkostemp(temporary_path, O_CLOEXEC);
    if (file < 0)
        return STATUS_SYSTEM;
    /* Whoever may read the trace may read its report. */
    if (fchmod(file, trace.st_mode & 0644) && errno == EPERM)
        errno = 0;
    close(file);
    return STATUS_OK;
}
