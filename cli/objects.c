/* heapline objects: the types of the Python objects that survive, by line, and what keeps them alive. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector_client.h"
#include "leak_rows.h"
#include "line_rows.h"
#include "memory.h"
#include "object_rows.h"
#include "paths.h"
#include "summary.h"
#include "units.h"

#define LINES_SHOWN 10
#define PATHS_SHOWN 3
#define LEAKS_FOLLOWED 6
#define LINES_FOLLOWED 6
#define STACKS_A_LINE 8
#define PATHS_FOLLOWED 3
#define TIMEOUT_S 10
#define PAUSE_MS 2000
#define POLL_US 5000
#define TYPES_BYTES 600
#define PATH_INDENT 4

struct objects_settings {
    struct reading reading;
    const char *line, *type;
    int64_t paths, timeout_s, pause_ms; /* -1: not given */
};

static const struct option_spec objects_options[] = {
    {"line", 0, OPTION_TEXT, offsetof(struct objects_settings, line), 0, "FILE[:LINE]", "only what this line, or this file, allocated"},
    {"type", 0, OPTION_TEXT, offsetof(struct objects_settings, type), 0, "NAME", "only objects of this type: Session, or app.Session"},
    {"paths", 0, OPTION_COUNT, offsetof(struct objects_settings, paths), 0, "N",
     "follow N objects of each stack and type back to what keeps them alive (default: 3; 0: none)"},
    {"timeout", 0, OPTION_COUNT, offsetof(struct objects_settings, timeout_s), 0, "SECONDS",
     "how long to wait for a safe point (default: 10)"},
    {"max-pause", 0, OPTION_COUNT, offsetof(struct objects_settings, pause_ms), 0, "MS",
     "how long the process may stand still; what has not been seen by then is left out (default: 2000)"},
    {0},
};

/* ---- whom to follow ---- */

/* "app.py:41", or "app.py" for all its lines, and the row's file and line: the file's name, or its end after a slash. */
static int is_line(const char *wanted, const char *file, int64_t line)
{
    const char *colon = strrchr(wanted, ':');
    size_t bytes = colon ? (size_t)(colon - wanted) : strlen(wanted), length = file ? strlen(file) : 0;
    if (length < bytes || strncmp(file + length - bytes, wanted, bytes) || (length > bytes && file[length - bytes - 1] != '/'))
        return 0;
    return !colon || strtoll(colon + 1, NULL, 10) == line;
}

struct choice {
    sqlite3 *database;
    char *argument; /* of the request: it ends with stack ids */
    size_t size;
    int count;
};

static void choose_stacks(struct choice *choice, const char *file, int64_t line)
{
    sqlite3_stmt *row = query_prepare(choice->database,
        "SELECT stack_id FROM stack_use JOIN stack USING (stack_id) JOIN frame ON frame.frame_id = stack.line_frame_id "
        "WHERE stack_id > 0 AND live_allocations > 0 AND frame.file = ?1 AND frame.line = ?2 ORDER BY live_bytes DESC LIMIT ?3");
    sqlite3_bind_text(row, 1, file, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(row, 2, line);
    sqlite3_bind_int64(row, 3, STACKS_A_LINE);
    while (query_step(row)) {
        size_t used = strlen(choice->argument);
        if (used + 24 < choice->size)
            snprintf(choice->argument + used, choice->size - used, "%s%lld", choice->count++ ? "," : "",
                     (long long)sqlite3_column_int64(row, 0));
    }
}

/* The lines that keep growing, then those that hold the most. */
static void choose_leaks(struct choice *choice)
{
    struct suppressions none = {0};
    struct leak_rows rows;
    leak_rows_load(choice->database, &none, 0, &rows);
    for (int64_t i = 0; i < rows.count && i < LEAKS_FOLLOWED; i++) {
        const struct set_frame *frame = &rows.set.frames[rows.rows[i].frame_id];
        if (rows.rows[i].growth.confidence >= LEAK_CONFIDENT && frame->file)
            choose_stacks(choice, frame->file, frame->line);
    }
    leak_rows_free(&rows);
}

static void choose_lines(struct choice *choice, const char *wanted)
{
    int chosen = 0;
    sqlite3_stmt *row = query_prepare(choice->database, "SELECT file, line FROM line_use WHERE kind = 'python' AND live_allocations > 0 AND "
                                                        "(?1 OR origin IN ('user', 'package')) ORDER BY live_bytes DESC, file, line");
    sqlite3_bind_int(row, 1, wanted != NULL);
    while (query_step(row)) {
        const char *file = (const char *)sqlite3_column_text(row, 0);
        int64_t line = sqlite3_column_int64(row, 1);
        if (wanted ? is_line(wanted, file, line) : chosen < LINES_FOLLOWED) {
            choose_stacks(choice, file, line);
            chosen++;
        }
    }
    if (wanted && !chosen)
        fail(CLI_USAGE, "objects: nothing that %s allocated is live", wanted);
}

/* ---- the survey ---- */

static int is_state(const char *text, const char *state)
{
    return !strncmp(text, "state=", 6) && !strncmp(text + 6, state, strlen(state));
}

static void wait_for_survey(pid_t pid, int64_t timeout_s)
{
    struct control_answer answer;
    struct collector_question poll = {.verb = CONTROL_OBJECTS, .argument = "poll"};
    int64_t polls = (timeout_s + 60) * 1000000 / POLL_US;
    do {
        usleep(POLL_US);
        collector_ask("objects", pid, &poll, &answer);
    } while (is_state(answer.text, "waiting") && polls-- > 0);
    if (is_state(answer.text, "done"))
        return;
    const char *reason = strstr(answer.text, "reason=");
    fail(CLI_SYSTEM, "objects: %.*s", reason ? (int)strcspn(reason + 7, "\n") : 0, reason ? reason + 7 : "");
}

/* Has the process surveyed, and its trace ready to be read. */
static void survey(struct objects_settings *settings, pid_t pid)
{
    struct control_answer answer;
    char argument[CONTROL_ARGUMENT_BYTES];
    struct collector_question question = {.verb = CONTROL_FLUSH};
    int64_t paths = settings->paths < 0 ? PATHS_FOLLOWED : settings->paths;
    int64_t timeout_s = settings->timeout_s < 0 ? TIMEOUT_S : settings->timeout_s;
    collector_ask("objects", pid, &question, &answer);
    settings->reading.trace = memory_copy(answer.trace_path);
    snprintf(argument, sizeof argument, "begin\ntimeout_ms=%lld\npause_ms=%lld\npaths=%lld\ntype=%.255s\nstacks=", (long long)timeout_s * 1000,
             (long long)(settings->pause_ms < 0 ? PAUSE_MS : settings->pause_ms), (long long)paths, settings->type ? settings->type : "");
    if (paths) {
        struct choice choice = {.argument = argument, .size = sizeof argument, .database = reading_open(&settings->reading)};
        if (!settings->line)
            choose_leaks(&choice);
        choose_lines(&choice, settings->line);
        reading_close(&settings->reading, choice.database);
    }
    question = (struct collector_question){.verb = CONTROL_OBJECTS, .argument = argument};
    collector_ask("objects", pid, &question, &answer);
    wait_for_survey(pid, timeout_s);
}

/* ---- what it says ---- */

static int has_type(const struct object_line *line, const char *wanted)
{
    for (int64_t i = 0; i < line->type_count; i++) {
        const char *type = line->types[i].type, *last = strrchr(type, '.');
        if (!strcmp(type, wanted) || (last && !strcmp(last + 1, wanted)))
            return 1;
    }
    return 0;
}

/* Without a wish: of the program and its packages, as imports are everywhere. */
static int is_shown(const struct objects_settings *settings, const struct object_line *line)
{
    if (settings->line && !is_line(settings->line, line->file, line->line))
        return 0;
    if (settings->type && !has_type(line, settings->type))
        return 0;
    return settings->line || settings->type || settings->reading.json || settings->reading.all_frames || !line->origin ||
           (strcmp(line->origin, "import") && strcmp(line->origin, "stdlib") && strcmp(line->origin, "system"));
}

static void print_survey(const struct reading *reading, const struct object_rows *rows)
{
    FILE *out = reading->terminal.out;
    fprintf(out, "\n%s at %s; the process stood still for %s.\n", units_noun(rows->objects, "Python object").text,
            units_time(rows->time_ns).text, units_time(rows->pause_ns).text);
    fprintf(out, "%s of them were recorded: %s with the blocks that are theirs.\n", units_count(rows->recorded_objects).text,
            units_bytes(rows->recorded_bytes).text);
    if (rows->outcome && strcmp(rows->outcome, "whole"))
        terminal_print(&reading->terminal, STYLE_WARNING, "It is not whole (%s): there are more.\n", rows->outcome);
}

static void print_line(const struct reading *reading, sqlite3 *database, const struct object_line *line)
{
    const struct terminal *terminal = &reading->terminal;
    char types[TYPES_BYTES];
    char *place = line_place(reading, line->file, line->line, line->function);
    object_types_text(line, types, sizeof types);
    fputc('\n', terminal->out);
    terminal_print(terminal, STYLE_BOLD, "%s", units_bytes(line->bytes).text);
    fputs("  ", terminal->out);
    terminal_print(terminal, STYLE_PLACE, "%s", place);
    if (line->function && line->line > 0)
        fprintf(terminal->out, "  %s", line->function);
    fprintf(terminal->out, "\n%*s", PATH_INDENT, "");
    terminal_wrap(terminal->out, types, terminal->width, PATH_INDENT);
    fputc('\n', terminal->out);
    fputs(terminal_style(terminal, STYLE_DIM), terminal->out);
    object_paths_print(reading, database, line->frame_id, PATH_INDENT, reading->limit == 0 ? 0 : PATHS_SHOWN);
    fputs(terminal_style(terminal, STYLE_PLAIN), terminal->out);
    free(place);
}

static void print_objects(const struct objects_settings *settings, sqlite3 *database, const struct object_rows *rows)
{
    const struct reading *reading = &settings->reading;
    struct summary summary;
    int64_t limit = reading_limit(reading, LINES_SHOWN), shown = 0, more = 0;
    summary_load(database, &summary);
    summary_print_title(reading, &summary);
    summary_print_warnings(reading, &summary);
    print_survey(reading, rows);
    for (int64_t i = 0; i < rows->line_count; i++) {
        if (!is_shown(settings, &rows->lines[i]))
            continue;
        if (!limit || shown < limit)
            print_line(reading, database, &rows->lines[i]);
        else
            more++;
        shown++;
    }
    if (!shown)
        fputs("\nNone of them was allocated there.\n", reading->terminal.out);
    if (more)
        terminal_print(&reading->terminal, STYLE_DIM, "\n%s (--limit 0 shows all)\n", units_noun(more, "further line").text);
    summary_free(&summary);
}

static void write_line(struct json *json, sqlite3 *database, const struct object_line *line)
{
    json_object(json, NULL);
    json_text(json, "file", line->file);
    json_line(json, "line", line->line);
    json_text(json, "function", line->function);
    json_text(json, "origin", line->origin);
    json_integer(json, "objects", line->objects);
    json_integer(json, "bytes", line->bytes);
    object_types_json(line, json);
    object_paths_json(database, line->frame_id, json);
    json_object_end(json);
}

static void write_objects(const struct objects_settings *settings, sqlite3 *database, const struct object_rows *rows)
{
    struct json json;
    int64_t limit = reading_limit(&settings->reading, 0), shown = 0;
    json_begin(&json, stdout, "objects");
    json_text(&json, "trace", settings->reading.trace);
    json_integer(&json, "time_ns", rows->time_ns);
    json_integer(&json, "pause_ns", rows->pause_ns);
    json_integer(&json, "objects", rows->objects);
    json_integer(&json, "unreached_objects", rows->unreached_objects);
    json_integer(&json, "recorded_objects", rows->recorded_objects);
    json_integer(&json, "recorded_bytes", rows->recorded_bytes);
    json_text(&json, "outcome", rows->outcome);
    json_array(&json, "lines");
    for (int64_t i = 0; i < rows->line_count; i++)
        if (is_shown(settings, &rows->lines[i]) && (!limit || shown++ < limit))
            write_line(&json, database, &rows->lines[i]);
    json_array_end(&json);
    reading_json_end(&json);
}

static int run_objects(int argc, char **argv)
{
    struct objects_settings settings = {.reading = READING_INIT, .paths = -1, .timeout_s = -1, .pause_ms = -1};
    struct object_rows rows;
    reading_parse(&objects_command, &settings.reading, argc, argv, 1);
    pid_t pid = access(settings.reading.trace, F_OK) ? collector_pid_of_text(settings.reading.trace) : 0;
    if (pid)
        survey(&settings, pid);
    sqlite3 *database = reading_open(&settings.reading);
    object_rows_load(database, &rows);
    if (rows.survey_id < 0)
        fail(CLI_INPUT, "objects: the trace holds no survey of objects: 'heapline objects PID' makes one while the process runs");
    if (settings.reading.json)
        write_objects(&settings, database, &rows);
    else
        print_objects(&settings, database, &rows);
    object_rows_free(&rows);
    reading_close(&settings.reading, database);
    return CLI_DONE;
}

const struct command objects_command = {
    .name = "objects",
    .question = "of what types are the Python objects that survive, and what keeps them alive?",
    .usage = "[OPTIONS] PID|TRACE",
    .description = "Asks a recorded process for a survey of its Python objects, and shows their types by the line that allocated them. Of the lines "
                   "that keep growing, and of those that hold the most, some objects are followed back to a module, a frame or what else "
                   "keeps them alive. The process stands still for it, 50 to 190 ms for 125,000 objects on a busy machine, and says how long. The survey stays in its "
                   "trace: 'heapline objects TRACE' shows the last one again, and leaks shows its types.\n"
                   "CPython 3.8 to 3.15 with a GIL and one interpreter. The process must run Python code, its main thread where it is older than "
                   "3.12, and allocate something, within the time that --timeout gives it.",
    .examples = "heapline objects 4711\n"
                "heapline objects 4711 --line app.py:41 --type Session --paths 10\n"
                "heapline objects service.heapline            # the last survey again",
    .statuses = "0  done\n2  wrong usage\n3  the trace cannot be read, or holds no survey\n"
                "4  there is no such process, it has no recorder, is another user's, or could not be surveyed",
    .options = {objects_options, limit_options, reading_options},
    .run = run_objects,
};
