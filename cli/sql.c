/* heapline sql: read-only SQL over the report database, as a table, CSV or JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "reading.h"
#include "table.h"
#include "text.h"

#define MAX_SQL_COLUMNS 24
#define CELL_COLUMNS 16  /* what a text column may be clipped to */

struct sql_settings {
    struct reading reading;
    int csv;
};

static const struct option_spec sql_options[] = {
    {"csv", 0, OPTION_SET, offsetof(struct sql_settings, csv), 1, NULL, "comma-separated values with a line of names (RFC 4180)"},
    {0},
};

/* ---- nothing but reading ---- */

static int authorize(void *context, int action, const char *first, const char *second, const char *database, const char *trigger)
{
    static const char *const pragmas[] = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "user_version",
                                          "function_list", "database_list", "compile_options"};
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return second && !strcasecmp(second, "load_extension") ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
        for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++)
            if (first && !strcasecmp(first, pragmas[i]) && (!second || strcasecmp(first, "user_version")))
                return SQLITE_OK;
        return SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

_Noreturn static void fail_query(sqlite3 *database, int result)
{
    if ((result & 0xff) == SQLITE_AUTH || (result & 0xff) == SQLITE_READONLY)
        fail(CLI_USAGE, "sql: the report database is read-only: SELECT from it (%s)", sqlite3_errmsg(database));
    fail(CLI_USAGE, "sql: %s", sqlite3_errmsg(database));
}

static int step(sqlite3 *database, sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        fail_query(database, result);
    return result == SQLITE_ROW;
}

/* ---- the three forms ---- */

static void print_rows(const struct sql_settings *settings, sqlite3 *database, sqlite3_stmt *statement)
{
    struct table_column columns[MAX_SQL_COLUMNS] = {0};
    int column_count = sqlite3_column_count(statement), shown = column_count < MAX_SQL_COLUMNS ? column_count : MAX_SQL_COLUMNS;
    int more = step(database, statement);
    int64_t limit = reading_limit(&settings->reading, 0), count = 0;
    for (int i = 0; i < shown; i++) {
        int type = more ? sqlite3_column_type(statement, i) : SQLITE_TEXT;
        columns[i].title = sqlite3_column_name(statement, i);
        columns[i].align = type == SQLITE_INTEGER || type == SQLITE_FLOAT ? TABLE_RIGHT : TABLE_LEFT;
        /* On a terminal long texts are clipped; elsewhere somebody may want them whole. */
        columns[i].flexible = settings->reading.terminal.is_terminal && type == SQLITE_TEXT ? CELL_COLUMNS : 0;
        columns[i].clip_start = columns[i].title && !strcmp(columns[i].title, "file");
    }
    struct table *table = table_new(&settings->reading.terminal, columns, shown);
    for (; more && (!limit || count < limit); more = step(database, statement), count++)
        for (int i = 0; i < shown; i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            table_cell(table, "%s", text ? text : "");
        }
    table_print(table);
    table_free(table);
    if (column_count > shown)
        terminal_print(&settings->reading.terminal, STYLE_DIM, "%d more columns: name those you want, or use --csv\n", column_count - shown);
}

static void print_csv_field(const char *text)
{
    if (!text)
        return;
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_csv(const struct sql_settings *settings, sqlite3 *database, sqlite3_stmt *statement)
{
    int column_count = sqlite3_column_count(statement);
    int64_t limit = reading_limit(&settings->reading, 0), count = 0;
    for (int i = 0; i < column_count; i++) {
        fputs(i ? "," : "", stdout);
        print_csv_field(sqlite3_column_name(statement, i));
    }
    fputs("\r\n", stdout);
    while (step(database, statement) && (!limit || count++ < limit)) {
        for (int i = 0; i < column_count; i++) {
            fputs(i ? "," : "", stdout);
            print_csv_field((const char *)sqlite3_column_text(statement, i));
        }
        fputs("\r\n", stdout);
    }
}

static void write_value(struct json *json, const char *key, sqlite3_stmt *statement, int column)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        json_integer(json, key, sqlite3_column_int64(statement, column));
        break;
    case SQLITE_FLOAT:
        json_real(json, key, sqlite3_column_double(statement, column));
        break;
    case SQLITE_NULL:
        json_null(json, key);
        break;
    default:
        json_text(json, key, (const char *)sqlite3_column_text(statement, column));
    }
}

static void write_rows(const struct sql_settings *settings, sqlite3 *database, sqlite3_stmt *statement)
{
    struct json json;
    int column_count = sqlite3_column_count(statement);
    int64_t limit = reading_limit(&settings->reading, 0), count = 0;
    /* The first row is computed before anything is written: most errors come with it. */
    int more = step(database, statement);
    json_begin(&json, stdout, "sql");
    json_array(&json, "columns");
    for (int i = 0; i < column_count; i++)
        json_text(&json, NULL, sqlite3_column_name(statement, i));
    json_array_end(&json);
    json_array(&json, "rows");
    for (; more && (!limit || count < limit); more = step(database, statement), count++) {
        json_object(&json, NULL);
        for (int i = 0; i < column_count; i++)
            write_value(&json, sqlite3_column_name(statement, i), statement, i);
        json_object_end(&json);
    }
    json_array_end(&json);
    reading_json_end(&json);
}

/* ---- statements ---- */

/* Several statements, one after the other; as JSON or CSV only one can be told apart. */
static void run_statements(const struct sql_settings *settings, sqlite3 *database, const char *sql)
{
    int done = 0;
    while (*sql) {
        sqlite3_stmt *statement = NULL;
        int result = sqlite3_prepare_v2(database, sql, -1, &statement, &sql);
        if (result)
            fail_query(database, result);
        if (!statement)
            continue;
        if (done && (settings->reading.json || settings->csv))
            fail_usage("sql", "sql: one statement at a time with --json and --csv");
        if (done)
            putchar('\n');
        if (settings->reading.json)
            write_rows(settings, database, statement);
        else if (settings->csv)
            print_csv(settings, database, statement);
        else
            print_rows(settings, database, statement);
        sqlite3_finalize(statement);
        done = 1;
    }
    if (!done)
        fail_usage("sql", "sql: the query is empty");
}

static char *read_standard_input(void)
{
    char *text = NULL;
    size_t size = 0;
    if (getdelim(&text, &size, '\0', stdin) < 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void print_schema(const struct sql_settings *settings, sqlite3 *database)
{
    const struct terminal *terminal = &settings->reading.terminal;
    sqlite3_stmt *row = query_prepare(database, "SELECT type, name, (SELECT group_concat(name, ', ') FROM pragma_table_info(m.name)) "
                                                "FROM sqlite_schema AS m WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' "
                                                "ORDER BY type DESC, name");
    fputs("Views answer questions, tables hold all there is. Sizes are bytes, times nanoseconds.\n\n", terminal->out);
    while (query_step(row)) {
        fprintf(terminal->out, "%-5s  ", (const char *)sqlite3_column_text(row, 0));
        terminal_print(terminal, STYLE_BOLD, "%s", (const char *)sqlite3_column_text(row, 1));
        fprintf(terminal->out, " (%s)\n", (const char *)sqlite3_column_text(row, 2));
    }
    terminal_heading(terminal, "Examples", NULL);
    fprintf(terminal->out,
            "  heapline sql TRACE \"SELECT file, line, peak_bytes FROM line_use ORDER BY peak_bytes DESC LIMIT 10\"\n"
            "  heapline sql TRACE \"SELECT origin, sum(allocated_bytes) FROM line_use GROUP BY origin\"\n"
            "  heapline sql --csv TRACE \"SELECT * FROM timeline\" > timeline.csv\n");
}

static int run_sql(int argc, char **argv)
{
    struct sql_settings settings = {.reading = READING_INIT};
    struct reading *reading = &settings.reading;
    int operands = reading_parse(&sql_command, reading, argc, argv, 2);
    if (settings.csv && reading->json)
        fail_usage("sql", "sql: --csv or --json, not both");
    sqlite3 *database = reading_open(reading);
    char *query = operands == 2 ? memory_copy(argv[2]) : NULL;
    if (!query && (!isatty(STDIN_FILENO) || reading->json || settings.csv)) {
        query = read_standard_input();
        if (!query)
            fail_usage("sql", "sql: no query was given, neither as an argument nor on the standard input");
    }
    if (query) {
        sqlite3_set_authorizer(database, authorize, NULL);
        run_statements(&settings, database, query);
        sqlite3_set_authorizer(database, NULL, NULL);
    } else {
        print_schema(&settings, database);
    }
    free(query);
    reading_close(reading, database);
    return CLI_DONE;
}

const struct command sql_command = {
    .name = "sql",
    .question = "ask the report database in SQL",
    .usage = "[OPTIONS] TRACE [QUERY]",
    .description = "Runs a query (SQLite's SQL, read-only) over the replayed report. Without QUERY it is read from the standard input; on a "
                   "terminal the tables, their columns and a few examples are shown instead.",
    .examples = "heapline sql app.heapline\n"
                "heapline sql app.heapline \"SELECT file, sum(peak_bytes) FROM line_use GROUP BY file\"\n"
                "heapline sql --csv app.heapline \"SELECT * FROM timeline\" > timeline.csv",
    .statuses = "0  done\n2  wrong usage, or SQLite does not accept the query\n3  the trace cannot be read\n"
                "4  the system refused something",
    .options = {sql_options, limit_options, reading_options},
    .run = run_sql,
};
