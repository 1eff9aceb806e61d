/* Options, opening and endings of the commands that read a trace: see reading.h. */
#include "reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "report_database.h"
#include "text.h"
#include "units.h"

#define PROGRESS_COLUMNS 30
#define NEXT_INDENT 17 /* "Next: heapline ", and the gap before what it tells */

const struct option_spec reading_options[] = {
    {"json", 0, OPTION_SET, offsetof(struct reading, json), 1, NULL, "write one JSON document (bytes, nanoseconds, all rows) to stdout"},
    {"color", 0, OPTION_COLOR, offsetof(struct reading, color), 0, "WHEN", "auto (default), always or never"},
    {"rebuild", 0, OPTION_SET, offsetof(struct reading, rebuild), 1, NULL, "replay the trace again even if its report is cached"},
    {"no-cache", 0, OPTION_SET, offsetof(struct reading, no_cache), 1, NULL, "leave no report database (TRACE.report) behind"},
    SYMBOL_OPTIONS,
    {0},
};

const struct option_spec row_options[] = {
    {"limit", 'n', OPTION_COUNT, offsetof(struct reading, limit), 0, "N", "show at most N rows; 0: all (the default with --json)"},
    {"sort", 's', OPTION_TEXT, offsetof(struct reading, sort), 0, "COLUMN",
     "order by a column, largest first: peak_bytes, live_bytes, allocated_bytes, copied_bytes, allocations … (or peak, live, "
     "allocated, copied), file, function"},
    {0},
};

const struct option_spec limit_options[] = {
    {"limit", 'n', OPTION_COUNT, offsetof(struct reading, limit), 0, "N", "show at most N rows; 0: all (the default with --json)"},
    {0},
};

const struct option_spec fold_options[] = {
    {"all-frames", 'a', OPTION_SET, offsetof(struct reading, all_frames), 1, NULL,
     "don't fold frames of the standard library, of imports and of the interpreter itself"},
    {0},
};

const struct option_spec by_options[] = {
    {"by", 'b', OPTION_TEXT, offsetof(struct reading, by), 0, "RULE",
     "which frame is credited: line (default: the innermost Python line, else the innermost native one), function (the same by function), "
     "python, native (the innermost native frame, with or without a line), module, or tag (what the program said it was doing)"},
    {"tag", 0, OPTION_TEXT, offsetof(struct reading, tag), 0, "NAME", "only what was allocated under this tag"},
    {0},
};

const struct option_spec fail_options[] = {
    {"fail-on", 0, OPTION_TEXTS, offsetof(struct reading, fail_on), 0, "NAME=LIMIT",
     "exit with status 1 if NAME is larger than LIMIT; may be given several times"},
    {0},
};

int reading_parse(const struct command *command, struct reading *reading, int argc, char **argv, int max_operands)
{
    reading->command = command;
    int operands = options_parse(command, reading, argc, argv, OPTIONS_ANYWHERE);
    if (operands == 0)
        fail_usage(command->name, "%s: which trace? Give the path that 'heapline run' named at its end", command->name);
    if (operands > max_operands)
        fail_usage(command->name, "%s: '%s' is one argument too many", command->name, argv[1 + max_operands]);
    reading->trace = argv[1];
    terminal_init(&reading->terminal, stdout, (enum color_choice)reading->color);
    return operands;
}

static void show_progress(void *context, double done)
{
    struct terminal *terminal = context;
    char bar[PROGRESS_COLUMNS * 4 + 1];
    terminal_bar(terminal, bar, done, PROGRESS_COLUMNS);
    fprintf(terminal->out, "\rreplaying  %s%s%s %3d %%", terminal_style(terminal, STYLE_BAR), bar,
            terminal_style(terminal, STYLE_PLAIN), (int)(done * 100));
    fflush(terminal->out);
}

/* elfutils asks wherever the variable is set. */
static void permit_debuginfod(const struct reading *reading)
{
    const char *always = getenv("HEAPLINE_DEBUGINFOD");
    if (!reading->debuginfod && (!always || strcmp(always, "1")))
        unsetenv("DEBUGINFOD_URLS");
}

/* Debug files name their folders relative to themselves: only whole paths are folders of debug files. Lives as long as the program. */
static const char *whole_path(const struct reading *reading, const char *option, const char *folder)
{
    const char *path = realpath(folder, NULL);
    if (!path)
        fail_usage(reading->command->name, "%s: --%s %s: %s", reading->command->name, option, folder, strerror(errno));
    return path;
}

struct symbol_sources reading_sources(struct reading *reading)
{
    permit_debuginfod(reading);
    if (reading->sysroot)
        reading->sysroot = whole_path(reading, "sysroot", reading->sysroot);
    for (int i = 0; i < reading->debug_folders.count; i++)
        reading->debug_folders.texts[i] = whole_path(reading, "debug-dir", reading->debug_folders.texts[i]);
    return (struct symbol_sources){
        .sysroot = reading->sysroot,
        .debug_folders = reading->debug_folders.texts,
        .debug_folder_count = reading->debug_folders.count,
        .files_first = reading->sysroot || reading->debug_folders.count || reading->debuginfod,
    };
}

int reading_try_open(struct reading *reading, sqlite3 **ret_database, struct status_detail *detail)
{
    struct terminal errors;
    terminal_init(&errors, stderr, (enum color_choice)reading->color);
    struct report_open_options options = {
        .progress = errors.is_terminal ? show_progress : NULL,
        .progress_context = &errors,
        .rebuild = reading->rebuild,
        .no_cache = reading->no_cache,
        .symbols = reading_sources(reading),
    };
    errno = 0;
    int status = report_database_open(reading->trace, &options, ret_database, detail);
    if (errors.is_terminal)
        fputs("\r\033[K", stderr);
    if (!status)
        reading->directory = query_property(*ret_database, "directory");
    return status;
}

sqlite3 *reading_open(struct reading *reading)
{
    struct status_detail detail = {0};
    sqlite3 *database;
    int status = reading_try_open(reading, &database, &detail);
    if (status)
        fail_trace(reading->trace, status, &detail);
    return database;
}

void reading_close(struct reading *reading, sqlite3 *database)
{
    free((char *)reading->directory);
    reading->directory = NULL;
    sqlite3_close(database);
}

int64_t reading_limit(const struct reading *reading, int64_t text_default)
{
    if (reading->limit != LIMIT_DEFAULT)
        return reading->limit;
    return reading->json ? 0 : text_default;
}

/* As a shell wants it: quoted where it must be. */
static char *shell_word(const char *trace)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-=:,@%";
    char *clean = text_clean(trace, 1);
    const char *quote = clean[strspn(clean, safe)] ? "'" : "";
    char *word = memory_format("%s%s%s", quote, clean, quote);
    free(clean);
    return word;
}

void reading_next(const struct reading *reading, const char *const *next, int pair_count)
{
    const struct terminal *terminal = &reading->terminal;
    char *word = shell_word(reading->trace);
    int widest = 0;
    for (int i = 0; i < pair_count; i++) {
        int width = (int)strlen(next[2 * i]) - 2 + text_width(word);
        widest = width > widest ? width : widest;
    }
    fputc('\n', terminal->out);
    for (int i = 0; i < pair_count; i++) {
        const char *command = next[2 * i], *mark = strstr(command, "%s");
        int width = (int)strlen(command) - 2 + text_width(word);
        fprintf(terminal->out, "%s%sheapline %.*s%s%s%s", i ? "      " : "Next: ", terminal_style(terminal, STYLE_CODE),
                (int)(mark - command), command, word, mark + 2, terminal_style(terminal, STYLE_PLAIN));
        if (NEXT_INDENT + widest + (int)strlen(next[2 * i + 1]) <= terminal->width)
            terminal_print(terminal, STYLE_DIM, "%*s  %s", widest - width, "", next[2 * i + 1]);
        fputc('\n', terminal->out);
    }
    free(word);
}

void reading_json_end(struct json *json)
{
    if (json_end(json))
        fail(CLI_SYSTEM, "cannot write the output: %s", strerror(errno));
}

sqlite3_stmt *query_prepare(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(CLI_INPUT, "the report database does not answer: %s (--rebuild makes a new one)", sqlite3_errmsg(database));
    return statement;
}

int query_step(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return 1;
    if (result != SQLITE_DONE)
        fail(CLI_INPUT, "the report database is damaged: %s (--rebuild makes a new one)", sqlite3_errmsg(sqlite3_db_handle(statement)));
    sqlite3_finalize(statement);
    return 0;
}

int64_t query_integer(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement = query_prepare(database, sql);
    int64_t value = 0;
    if (query_step(statement)) {
        value = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
    }
    return value;
}

int64_t query_sampling_interval(sqlite3 *database)
{
    return query_integer(database, "SELECT sampling_interval_bytes FROM summary");
}

char *query_text_copy(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text ? memory_copy((const char *)text) : NULL;
}

char *query_property(sqlite3 *database, const char *key)
{
    char *value = NULL;
    sqlite3_stmt *row = query_prepare(database, "SELECT value FROM property WHERE key = ?1");
    sqlite3_bind_text(row, 1, key, -1, SQLITE_STATIC);
    if (query_step(row)) {
        value = query_text_copy(row, 0);
        sqlite3_finalize(row);
    }
    return value;
}
