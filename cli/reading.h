/* What all commands that read a trace have in common: their options, opening the report database, thresholds, small queries. */
#ifndef HEAPLINE_CLI_READING_H
#define HEAPLINE_CLI_READING_H

#include <sqlite3.h>
#include <stdint.h>

#include "command.h"
#include "json.h"
#include "message.h"
#include "symbolize.h"
#include "terminal.h"

/* The beginning of every such command's settings. */
struct reading {
    int json;
    int color;          /* enum color_choice */
    int rebuild, no_cache;
    int64_t limit;      /* LIMIT_DEFAULT: not given; 0: all */
    const char *sort;   /* NULL: the command's own */
    int all_frames;
    const char *by;     /* NULL: line */
    const char *tag;    /* only what was allocated under it; NULL: all */
    const char *suppressions; /* a file; NULL: none */
    struct text_list fail_on;
    const char *sysroot;
    struct text_list debug_folders;
    int debuginfod;     /* 1: asked for */
    /* filled by reading_begin */
    const struct command *command;
    const char *trace;  /* as it was given */
    struct terminal terminal;
    const char *directory; /* the recorded process's; NULL: unknown. Owned by the command until reading_end. */
};

#define LIMIT_DEFAULT (-1)
#define READING_INIT {.limit = LIMIT_DEFAULT}

/* Where debug files are: of every command whose settings begin with a struct reading. */
#define SYMBOL_OPTIONS \
    {"sysroot", 0, OPTION_TEXT, offsetof(struct reading, sysroot), 0, "DIR", \
     "find the recorded programs, libraries and their debug files below DIR"}, \
    {"debug-dir", 0, OPTION_TEXTS, offsetof(struct reading, debug_folders), 0, "DIR", \
     "look for debug files in DIR, which is laid out like /usr/lib/debug, too; may be given several times"}, \
    {"debuginfod", 0, OPTION_SET, offsetof(struct reading, debuginfod), 1, NULL, \
     "ask the servers of DEBUGINFOD_URLS for debug files (as HEAPLINE_DEBUGINFOD=1 does); none are asked otherwise"}

extern const struct option_spec reading_options[]; /* --json --color --rebuild --no-cache --sysroot --debug-dir --debuginfod */
extern const struct option_spec row_options[];     /* --limit --sort */
extern const struct option_spec limit_options[];   /* --limit */
extern const struct option_spec fold_options[];    /* --all-frames */
extern const struct option_spec by_options[];      /* --by --tag: attribution.h */
extern const struct option_spec fail_options[];    /* --fail-on */

#define READING_STATUSES \
    "0  done\n2  wrong usage\n3  the trace cannot be read\n4  the system refused something (no memory, output closed)"
#define READING_STATUSES_FAIL \
    "0  done\n1  a threshold of --fail-on is exceeded\n2  wrong usage\n3  the trace cannot be read\n" \
    "4  the system refused something (no memory, output closed)"

/* Parse the command line. `settings` begins with its struct reading. Returns the number of operands, the trace among them: argv[1].
 * Without a trace, or with more than `max_operands`, exits with status 2. */
int reading_parse(const struct command *command, struct reading *reading, int argc, char **argv, int max_operands);
/* Replay or find the cached report, with a bar on stderr if that is a terminal. Exits with status 3 or 4 where it can't be had. */
sqlite3 *reading_open(struct reading *reading);
/* The same for a trace that may be unreadable: returns 0, or what report_database_open does. */
int reading_try_open(struct reading *reading, sqlite3 **ret_database, struct status_detail *detail);
/* Where the options say that symbols are. */
struct symbol_sources reading_sources(struct reading *reading);
void reading_close(struct reading *reading, sqlite3 *database);

/* Rows to show in text, rows to write as JSON: the limit that was given, else the command's, else all. 0: all. */
int64_t reading_limit(const struct reading *reading, int64_t text_default);
/* The last line of a report: the next useful commands. `next` holds pairs of command with arguments (%s is the trace) and what it tells. */
void reading_next(const struct reading *reading, const char *const *next, int pair_count);
/* Close the document; fails with status 4 when stdout could not be written. */
void reading_json_end(struct json *json);

/* ---- queries: mistakes here are our own or a damaged file's, and end the program with status 3 ---- */
sqlite3_stmt *query_prepare(sqlite3 *database, const char *sql);
/* 1: a row, 0: none left; the statement is finalized then. */
int query_step(sqlite3_stmt *statement);
/* The longest there was; 0: figures are exact. */
int64_t query_sampling_interval(sqlite3 *database);
int64_t query_integer(sqlite3 *database, const char *sql);
/* malloc'ed copy of the column; NULL for NULL. */
char *query_text_copy(sqlite3_stmt *statement, int column);
/* The same of a property of the trace; NULL: the trace doesn't say. */
char *query_property(sqlite3 *database, const char *key);

/* ---- --fail-on NAME=LIMIT ---- */
enum threshold_kind {
    THRESHOLD_COUNT_OF,
    THRESHOLD_BYTES,
    THRESHOLD_SHARE,
    THRESHOLD_GREW,  /* bytes; a condition may be the limit alone: 10M */
    THRESHOLD_PERCENT, /* of growth; a condition may be the limit alone: 10%. Another value of the same name may have another kind */
};
struct threshold_value {
    const char *name;
    enum threshold_kind kind;
    int64_t value;     /* as it is in this trace; of a share THRESHOLD_SHARE_UNIT times as much, of percents 100 times */
};
/* A share is exceeded where it is reached, and a condition may be the limit alone: 0.8. */
#define THRESHOLD_SHARE_UNIT 1000000
/* Check the conditions given against what there is; with `json`, write them as "thresholds"; in text, to stderr.
 * Returns CLI_DONE or CLI_EXCEEDED. */
int reading_thresholds(const struct reading *reading, const struct threshold_value *values, int value_count, struct json *json);
/* Before the replay: are they well formed, are the names known? Else status 2. */
void reading_thresholds_validate(const struct reading *reading, const struct threshold_value *values, int value_count);

#endif
