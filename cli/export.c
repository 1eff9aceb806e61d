/* heapline export: a trace's figures, symbols resolved, in the formats of other programs. */
#include <errno.h>
#include <string.h>

#include "compiler.h"
#include "cost.h"
#include "export.h"

struct export_settings {
    struct reading reading;
    const char *format, *output, *cost;
};

static const struct option_spec export_options[] = {
    {"format", 'f', OPTION_TEXT, offsetof(struct export_settings, format), 0, "FORMAT", "folded, speedscope, csv or json"},
    {"output", 'o', OPTION_TEXT, offsetof(struct export_settings, output), 0, "FILE", "write to FILE; without it to standard output"},
    {"cost", 'c', OPTION_TEXT, offsetof(struct export_settings, cost), 0, "WHAT",
     "of folded: peak (default), live, allocated, temporary or copied"},
    {0},
};

static const struct format {
    const char *name;
    void (*write)(const struct export *export);
} formats[] = {
    {"folded", export_folded},
    {"speedscope", export_speedscope},
    {"csv", export_csv},
    {"json", export_json},
};

static const struct format *parse_format(const struct export_settings *settings)
{
    const char *name = settings->format ? settings->format : settings->reading.json ? "json" : NULL;
    for (size_t i = 0; name && i < ARRAY_LENGTH(formats); i++)
        if (!strcmp(name, formats[i].name))
            return &formats[i];
    if (!name)
        fail_usage("export", "export: which --format? folded, speedscope, csv or json");
    fail_usage("export", "export: --format is folded, speedscope, csv or json, not '%s'", name);
}

static FILE *open_output(const char *path)
{
    if (!path || !strcmp(path, "-"))
        return stdout;
    FILE *out = fopen(path, "we");
    if (!out)
        fail(CLI_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    return out;
}

static void close_output(FILE *out, const char *path)
{
    int is_broken = fflush(out) != 0 || ferror(out);
    if (out != stdout)
        is_broken |= fclose(out) != 0;
    if (is_broken)
        fail(CLI_SYSTEM, "cannot write %s: %s", path ? path : "standard output", strerror(errno));
}

static int run_export(int argc, char **argv)
{
    struct export_settings settings = {.reading = READING_INIT};
    reading_parse(&export_command, &settings.reading, argc, argv, 1);
    const struct format *format = parse_format(&settings);
    struct export export = {.reading = &settings.reading, .cost = cost_parse("export", settings.cost)->amount, .is_folded = !settings.reading.all_frames};
    export.database = reading_open(&settings.reading);
    export.out = open_output(settings.output);
    format->write(&export);
    close_output(export.out, settings.output);
    reading_close(&settings.reading, export.database);
    return CLI_DONE;
}

const struct command export_command = {
    .name = "export",
    .question = "for other programs: folded stacks, speedscope, CSV, JSON",
    .usage = "--format FORMAT [-o FILE] TRACE",
    .description = "Writes what a trace says, with functions and lines resolved, for other programs.\n"
                   "folded: a line a stack, callers first, with one figure (--cost), as flamegraph.pl and inferno read it. speedscope: a file for "
                   "www.speedscope.app, with a profile for each figure. csv: a row a source line. json: lines and stacks with all their figures.\n"
                   "The interpreter's own frames are left out of folded and speedscope's stacks, unless --all-frames asks for them.",
    .examples = "heapline export --format folded app.heapline | flamegraph.pl > peak.svg\n"
                "heapline export --format folded --cost copied -o copied.folded app.heapline\n"
                "heapline export --format speedscope -o app.speedscope.json app.heapline\n"
                "heapline export --format csv -o lines.csv app.heapline",
    .statuses = READING_STATUSES,
    .options = {export_options, fold_options, reading_options},
    .run = run_export,
};
