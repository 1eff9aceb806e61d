/* Prepared INSERT statements (store_insert.h). */
#include "store_insert.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "status.h"

void insert_begin(struct insert *insert, sqlite3 *database, const char *table, int column_count)
{
    char sql[256];
    *insert = (struct insert){.column_count = column_count, .next_column = 1};
    /* A made-up trace can name a row twice (times past SQLite's range, our own property): the last one stays. */
    size_t length = (size_t)snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s VALUES (?", table);
    for (int i = 1; i < column_count && length + 3 < sizeof sql; i++, length += 2)
        memcpy(sql + length, ",?", 3);
    memcpy(sql + length, ")", 2);
    insert->failed = sqlite3_prepare_v2(database, sql, -1, &insert->statement, NULL) != SQLITE_OK;
}

void insert_signed(struct insert *insert, int64_t value)
{
    if (!insert->failed)
        insert->failed = sqlite3_bind_int64(insert->statement, insert->next_column++, value) != SQLITE_OK;
}

void insert_number(struct insert *insert, uint64_t value)
{
    insert_signed(insert, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void insert_number_or_null(struct insert *insert, uint64_t value)
{
    if (value)
        insert_number(insert, value);
    else
        insert_null(insert);
}

void insert_text(struct insert *insert, const char *text)
{
    if (!text)
        insert_null(insert);
    else if (!insert->failed)
        insert->failed = sqlite3_bind_text(insert->statement, insert->next_column++, text, -1, SQLITE_STATIC) != SQLITE_OK;
}

void insert_null(struct insert *insert)
{
    if (!insert->failed)
        insert->failed = sqlite3_bind_null(insert->statement, insert->next_column++) != SQLITE_OK;
}

void insert_row(struct insert *insert)
{
    if (insert->failed)
        return;
    insert->failed = sqlite3_step(insert->statement) != SQLITE_DONE;
    sqlite3_reset(insert->statement);
    insert->next_column = 1;
}

int insert_end(struct insert *insert)
{
    sqlite3_finalize(insert->statement);
    return insert->failed ? STATUS_DATABASE : STATUS_OK;
}
