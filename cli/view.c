/* heapline view: writes the page of a trace (viewer_page.h) beside it, and opens it in a browser. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "report_database.h"
#include "viewer_page.h"

struct settings {
    struct reading reading;
    const char *output;
    int no_source, no_browser;
    struct text_list confidential;
};

static const struct option_spec view_options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(struct settings, output), 0, "FILE", "write the page to FILE; without it to TRACE.html"},
    {"no-browser", 0, OPTION_SET, offsetof(struct settings, no_browser), 1, NULL, "only write it"},
    VIEWER_OPTIONS(struct settings),
    {0},
};

/* Of the run's processes, the one that was named first. Returns how many. */
static uint32_t open_processes(const struct settings *settings, sqlite3 *database, const struct report_process *found, uint32_t found_count,
                               struct viewer_process *processes)
{
    uint32_t count = 0;
    processes[count++] = (struct viewer_process){settings->reading.trace, database};
    for (uint32_t i = 1; i < found_count; i++) {
        struct reading reading = settings->reading;
        reading.trace = found[i].trace_path;
        reading.directory = NULL;
        processes[count++] = (struct viewer_process){reading.trace, reading_open(&reading)};
        free((char *)reading.directory);
    }
    return count;
}

static void write_page(struct settings *settings, FILE *out, const char *path)
{
    struct report_process *found = NULL;
    struct status_detail detail = {0};
    uint32_t found_count = 0;
    const struct viewer_choice choice = {settings->no_source, &settings->confidential};
    sqlite3 *database = reading_open(&settings->reading);
    if (report_processes_find(settings->reading.trace, &found, &found_count, &detail))
        found_count = 0;
    struct viewer_process *processes = memory_new((size_t)found_count + 1, sizeof *processes);
    uint32_t count = open_processes(settings, database, found, found_count, processes);
    viewer_page_write(&settings->reading, processes, count, &choice, out);
    if (ferror(out) || fclose(out))
        fail(CLI_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    for (uint32_t i = 1; i < count; i++)
        sqlite3_close(processes[i].database);
    free(processes);
    report_processes_free(found, found_count);
    reading_close(&settings->reading, database);
}

/* 1: a browser took it. The program that opens it ends at once, or is the browser itself: then it goes on without us. */
static int open_in_browser(const char *path)
{
    const char *browser = getenv("BROWSER");
    char *command = memory_copy_part(browser && *browser ? browser : "xdg-open", strcspn(browser && *browser ? browser : "xdg-open", ":"));
    pid_t child = command ? fork() : -1;
    if (child == 0) {
        setsid();
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(126);
        execlp(command, command, path, (char *)NULL);
        _exit(127);
    }
    int status = 0, waited = 0;
    for (; child > 0 && !waited && status < 20; status++) {
        int ended = 0;
        waited = waitpid(child, &ended, WNOHANG) == child;
        if (waited) {
            free(command);
            return WIFEXITED(ended) && WEXITSTATUS(ended) == 0;
        }
        usleep(50000);
    }
    free(command);
    return child > 0;
}

static void say(const struct settings *settings, const char *path, int is_opened)
{
    struct json json;
    if (!settings->reading.json) {
        printf("%s file://%s\n", is_opened ? "opened" : settings->no_browser ? "wrote" : "no browser answered (BROWSER, xdg-open); open", path);
        return;
    }
    json_begin(&json, stdout, "view");
    json_text(&json, "page", path);
    json_boolean(&json, "opened", is_opened);
    reading_json_end(&json);
}

static int run_view(int argc, char **argv)
{
    struct settings settings = {.reading = READING_INIT};
    char path[PATH_MAX], full[PATH_MAX];
    reading_parse(&view_command, &settings.reading, argc, argv, 1);
    viewer_page_require();
    snprintf(path, sizeof path, settings.output ? "%s" : "%s.html", settings.output ? settings.output : settings.reading.trace);
    if (access(settings.reading.trace, R_OK))
        fail(CLI_INPUT, "cannot read %s: %s", settings.reading.trace, strerror(errno));
    FILE *out = fopen(path, "we");
    if (!out)
        fail(CLI_SYSTEM, "cannot write %s: %s; -o names another file", path, strerror(errno));
    write_page(&settings, out, path);
    if (!realpath(path, full))
        snprintf(full, sizeof full, "%s", path);
    int is_opened = !settings.no_browser && open_in_browser(full);
    say(&settings, full, is_opened);
    return CLI_DONE;
}

const struct command view_command = {
    .name = "view",
    .question = "everything in one page, in a browser",
    .usage = "[-o FILE] TRACE",
    .description = "Writes an HTML page with timeline, flame graphs, tables, sources, leaks and copies of a trace and its children, and opens it "
                   "(with BROWSER, else xdg-open). The page is one file that loads nothing: it can be moved and sent as it is (docs/viewer.md).",
    .examples = "heapline view app.heapline\nheapline view --no-browser -o /tmp/app.html app.heapline",
    .statuses = READING_STATUSES,
    .options = {view_options, reading_options},
    .run = run_view,
};
