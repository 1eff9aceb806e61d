/* heapline bundle: puts functions and lines of native frames into a trace, for machines that don't have the recorded files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reading.h"
#include "symbol_bundle.h"
#include "units.h"

struct bundle_settings {
    struct reading reading;
    const char *output; /* NULL: in place of the trace */
    int without_sources;
};

static const struct option_spec bundle_options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(struct bundle_settings, output), 0, "FILE", "write to FILE; without it the trace itself is replaced"},
    {"no-sources", 0, OPTION_SET, offsetof(struct bundle_settings, without_sources), 1, NULL, "leave the texts of source files out"},
    SYMBOL_OPTIONS,
    {0},
};

/* A collector locks what it writes. */
static void require_finished(const char *trace)
{
    int file = open(trace, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0 && flock(file, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK)
        fail(CLI_INPUT, "%s is still being recorded: bundle it when the program has ended", trace);
    if (file >= 0)
        close(file);
    errno = 0;
}

/* Beside the output, to be renamed when it is whole. */
static int create(const char *output, const char *trace, char *temporary, size_t size)
{
    struct stat status;
    if (snprintf(temporary, size, "%s.XXXXXX", output) >= (int)size)
        fail(CLI_SYSTEM, "the path is too long: %s", output);
    int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0)
        fail(CLI_SYSTEM, "cannot write beside %s: %s", output, strerror(errno));
    if (!stat(trace, &status) && fchmod(file, status.st_mode & 0777))
        errno = 0; /* some file systems know no modes */
    return file;
}

static void tell(const struct reading *reading, const char *output, const struct symbol_bundle_figures *figures, int64_t more_bytes)
{
    struct unit_text places = units_noun((int64_t)figures->places, "place");
    fprintf(reading->terminal.out, "%s: %s of %s, %s, %s%s\n", output, places.text, units_noun((int64_t)figures->modules, "module").text,
            units_noun((int64_t)figures->sources, "source file").text,
            more_bytes < 0 ? "-" : "+", units_bytes(more_bytes < 0 ? -more_bytes : more_bytes).text);
}

static int64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) ? 0 : (int64_t)status.st_size;
}

static int run_bundle(int argc, char **argv)
{
    struct bundle_settings settings = {.reading = READING_INIT};
    struct status_detail detail = {0};
    struct symbol_bundle_figures figures;
    char temporary[4096];
    reading_parse(&bundle_command, &settings.reading, argc, argv, 1);
    const char *trace = settings.reading.trace, *output = settings.output ? settings.output : trace;
    struct symbol_sources sources = reading_sources(&settings.reading);
    require_finished(trace);
    int64_t before = size_of(trace);
    int file = create(output, trace, temporary, sizeof temporary);
    int status = symbol_bundle_write(trace, file, &sources, settings.without_sources, &figures, &detail);
    if (close(file) && !status)
        status = STATUS_SYSTEM;
    if (!status && rename(temporary, output))
        status = STATUS_SYSTEM;
    if (status) {
        int error = errno;
        unlink(temporary);
        errno = error;
        fail_trace(trace, status, &detail);
    }
    tell(&settings.reading, output, &figures, size_of(output) - before);
    return CLI_DONE;
}

const struct command bundle_command = {
    .name = "bundle",
    .question = "put functions and lines into a trace, to read it elsewhere",
    .usage = "[OPTIONS] TRACE",
    .description = "Looks up the native frames of a trace here, where the recorded programs, libraries and debug files are, and puts functions, files "
                   "and lines into the trace, and the source files that native and Python lines are in, as far as they can be read and have not changed "
                   "since. It can then be read on a machine without those files, by every command, and lines --source shows the text; it also needs "
                   "fewer moments there. Each process of a run has a trace of its own: bundle those you take along.\n"
                   "Where --sysroot, --debug-dir or --debuginfod is given to a reading command, the files it finds come before what was bundled.",
    .examples = "heapline bundle app.heapline\n"
                "heapline bundle -o elsewhere.heapline app.heapline\n"
                "heapline bundle --sysroot /srv/image app.heapline",
    .statuses = "0  done\n2  wrong usage\n3  the trace cannot be read\n4  the system refused something",
    .options = {bundle_options},
    .run = run_bundle,
};
