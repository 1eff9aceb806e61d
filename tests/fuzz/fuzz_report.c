/* Fuzz target: any bytes as a trace, replayed into a report. Each input is taken as a file, as the payload of two blocks in a row, and of a block of
 * events and a tally, so that what lies behind the checksums is reached. What comes out must be an error, or a report whose views can all be read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "checksum.h"
#include "fuzz.h"
#include "report_database.h"
#include "trace_block.h"

static void require(int condition)
{
    if (!condition)
        abort();
}

static void read_all_rows(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement;
    int status;
    require(sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK);
    while ((status = sqlite3_step(statement)) == SQLITE_ROW)
        ;
    require(status == SQLITE_DONE);
    sqlite3_finalize(statement);
}

static void read_report(const uint8_t *bytes, size_t count)
{
    static const char *const queries[] = {
        "SELECT * FROM summary",    "SELECT * FROM lines",       "SELECT * FROM peak_lines",      "SELECT * FROM copy_lines",
        "SELECT * FROM leak_stacks", "SELECT * FROM window_use", "SELECT * FROM stack_text",      "SELECT * FROM timeline",
    };
    struct report_open_options options = {.no_cache = 1};
    struct status_detail detail = {0};
    sqlite3 *database;
    char path[64];
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    require(file >= 0 && write(file, bytes, count) == (ssize_t)count);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (!report_database_open(path, &options, &database, &detail)) {
        for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
            read_all_rows(database, queries[i]);
        require(sqlite3_close(database) == SQLITE_OK);
    } else {
        require(detail.status != STATUS_DATABASE);
    }
    close(file);
}

/* A trace of two blocks, both with this payload. */
static void read_payload(const uint8_t *payload, size_t count, uint32_t second_type)
{
    size_t bound = ZSTD_compressBound(count);
    uint8_t *file = malloc(TRACE_FILE_HEADER_BYTES + 2 * (TRACE_BLOCK_HEADER_BYTES + bound)), *to = file;
    struct trace_identity identity = {0};
    require(file != NULL);
    trace_file_header_pack(&identity, to);
    to += TRACE_FILE_HEADER_BYTES;
    for (uint32_t sequence = 0; sequence < 2; sequence++) {
        struct trace_block block = {.type = sequence ? second_type : TRACE_BLOCK_DATA, .sequence = sequence, .raw_bytes = (uint32_t)count};
        block.stored_bytes = (uint32_t)ZSTD_compress(to + TRACE_BLOCK_HEADER_BYTES, bound, payload, count, 1);
        block.payload_checksum = checksum_crc32c(to + TRACE_BLOCK_HEADER_BYTES, block.stored_bytes);
        trace_block_pack(&block, to);
        to += TRACE_BLOCK_HEADER_BYTES + block.stored_bytes;
    }
    read_report(file, (size_t)(to - file));
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_report(data, size);
    if (size <= 1u << 20) {
        read_payload(data, size, TRACE_BLOCK_DATA);
        read_payload(data, size, TRACE_BLOCK_TALLY);
    }
    return 0;
}
