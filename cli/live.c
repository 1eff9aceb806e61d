/* heapline live: a view of a running process, like top. The process feels nothing of it: what is shown is replayed from its trace. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "collector_client.h"
#include "json.h"
#include "live_document.h"
#include "live_follow.h"
#include "live_view.h"
#include "memory.h"
#include "paths.h"
#include "screen.h"
#include "units.h"

#define MS 1000000ull
#define DEFAULT_INTERVAL_MS 1000
#define LEAST_INTERVAL_MS 100
#define ROWS_PRINTED 20
#define CONTROL_L 12
/* Between looks at the keys during a long replay. */
#define REPLAY_SLICE_NS (100 * MS)
/* A sample may take a tenth of the time at most. */
#define LEAST_SHARE 10

struct live_settings {
    struct reading reading;
    int64_t interval_ms;
    int once;
    const char *filter;
};

static const struct option_spec live_options[] = {
    {"once", '1', OPTION_SET, offsetof(struct live_settings, once), 1, NULL, "print one picture and end; no terminal is needed"},
    {"json", 0, OPTION_SET, offsetof(struct reading, json), 1, NULL, "the same as one JSON document (bytes, nanoseconds, all rows)"},
    {"interval", 'i', OPTION_COUNT, offsetof(struct live_settings, interval_ms), 0, "MS", "between two samples, in milliseconds (default: 1000)"},
    {"sort", 's', OPTION_TEXT, offsetof(struct reading, sort), 0, "ORDER", "largest first: live (default), rate, growth or blocks"},
    {"filter", 0, OPTION_TEXT, offsetof(struct live_settings, filter), 0, "TEXT", "only lines whose file or function is named like this"},
    {"limit", 'n', OPTION_COUNT, offsetof(struct reading, limit), 0, "N", "with --once and --json: at most N rows; 0: all"},
    {"color", 0, OPTION_COLOR, offsetof(struct reading, color), 0, "WHEN", "auto (default), always or never"},
    SYMBOL_OPTIONS,
    {0},
};

struct live {
    const struct live_settings *settings;
    struct symbol_sources sources;
    struct live_follow follow;
    struct live_model model;
    struct live_view view;
    int64_t interval_ms;
};

/* ---- taking samples ---- */

/* Replay what there is, for so long at most. Returns 1: there is more. */
static int replay_slice(struct live *live, uint64_t slice_ns)
{
    uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + slice_ns;
    int more;
    while ((more = live_follow_step(&live->follow)) && clock_ns(CLOCK_MONOTONIC) < end_ns)
        ;
    return more;
}

static void take_sample(struct live *live)
{
    if (live_replay_name(live->follow.replay, &live->sources, NULL, NULL))
        memory_exhausted();
    live_model_update(&live->model, live->follow.replay);
    live->view.model = &live->model;
}

/* Ask, replay all of it, sample. */
static void sample_now(struct live *live)
{
    if (live_follow_all(&live->follow)) {
        live_model_done(&live->model);
        live_model_init(&live->model, live->model.fold_imports);
    }
    take_sample(live);
}

/* ---- without a terminal ---- */

static int run_once(struct live *live)
{
    const struct reading *reading = &live->settings->reading;
    sample_now(live);
    usleep((useconds_t)live->interval_ms * 1000);
    sample_now(live);
    live_model_sort(&live->model, live->view.sort);
    if (reading->json)
        live_document_write(&live->view, live->follow.state, reading_limit(reading, 0));
    else
        live_view_print(&live->view, (int)reading_limit(reading, ROWS_PRINTED));
    return CLI_DONE;
}

/* ---- keys ---- */

/* Returns 0: the view ends. */
static int type_filter(struct live_view *view, int key)
{
    size_t length = strlen(view->filter);
    if (key == SCREEN_ENTER) {
        view->is_typing = 0;
    } else if (key == SCREEN_ESCAPE) {
        view->is_typing = 0;
        view->filter[0] = '\0';
    } else if (key == SCREEN_ERASE) {
        /* A character of UTF-8, from its end. */
        while (length && ((unsigned char)view->filter[--length] & 0xc0) == 0x80)
            ;
        view->filter[length] = '\0';
    } else if (key >= ' ' && key < 256 && length + 1 < sizeof view->filter) {
        view->filter[length] = (char)key;
        view->filter[length + 1] = '\0';
    }
    return 1;
}

static void scroll_or_move(struct live_view *view, int by)
{
    if (view->page == LIVE_LINES)
        live_view_move(view, by);
    else
        view->scroll += by;
}

static void go_back(struct live_view *view)
{
    if (view->page == LIVE_LINES) {
        if (*view->filter)
            view->filter[0] = '\0';
        else
            view->is_selected = 0;
    }
    view->page = LIVE_LINES;
    view->scroll = 0;
}

static void enter_stacks(struct live_view *view)
{
    if (view->page != LIVE_LINES)
        return;
    if (!view->is_selected)
        live_view_move(view, 1);
    if (view->is_selected) {
        view->page = LIVE_STACKS;
        view->scroll = 0;
    }
}

static enum live_sort sort_of_key(const struct live_view *view, int key)
{
    switch (key) {
    case 's':
    case SCREEN_RIGHT:
        return (view->sort + 1) % LIVE_SORT_COUNT;
    case SCREEN_LEFT:
        return (view->sort + LIVE_SORT_COUNT - 1) % LIVE_SORT_COUNT;
    case 'l':
        return LIVE_BY_BYTES;
    case 'a':
        return LIVE_BY_RATE;
    case 'g':
        return LIVE_BY_GROWTH;
    case 'b':
        return LIVE_BY_BLOCKS;
    default:
        return view->sort;
    }
}

/* By how many rows a key moves; 0: it does something else. */
static int rows_of_key(const struct live_view *view, int key)
{
    switch (key) {
    case SCREEN_UP:
    case 'k':
        return -1;
    case SCREEN_DOWN:
    case 'j':
        return 1;
    case SCREEN_PAGE_UP:
        return -view->page_rows;
    case SCREEN_PAGE_DOWN:
        return view->page_rows;
    case SCREEN_HOME:
        return -view->row_count;
    case SCREEN_END:
        return view->row_count;
    default:
        return 0;
    }
}

/* Returns 0: the view ends. */
static int press(struct live_view *view, int key)
{
    if (key == SCREEN_CLOSED)
        return 0;
    if (view->is_typing)
        return type_filter(view, key);
    view->sort = sort_of_key(view, key);
    if (rows_of_key(view, key))
        scroll_or_move(view, rows_of_key(view, key));
    switch (key) {
    case 'q':
    case 'Q':
        return 0;
    case '/':
        view->page = LIVE_LINES;
        view->is_typing = 1;
        break;
    case 'p':
    case ' ':
        view->is_paused = !view->is_paused;
        break;
    case 't':
        view->whole_run = !view->whole_run;
        break;
    case '?':
    case 'h':
        view->page = view->page == LIVE_HELP ? LIVE_LINES : LIVE_HELP;
        break;
    case CONTROL_L:
        screen_repaint();
        break;
    case SCREEN_ENTER:
        enter_stacks(view);
        break;
    case SCREEN_ESCAPE:
    case SCREEN_ERASE:
        go_back(view);
        break;
    default:
        break;
    }
    return 1;
}

/* ---- on a terminal ---- */

static void show_replaying(struct live *live, const char *what, double done)
{
    char bar[30 * 4 + 1], text[256];
    terminal_bar(&live->settings->reading.terminal, bar, done, 30);
    snprintf(text, sizeof text, "%s  %s %3d %%   q quits", what, bar, (int)(done * 100));
    screen_put(0, text);
    screen_show();
}

static void show_naming(void *context, double done)
{
    show_replaying(context, "naming functions  ", done);
}

/* All that was recorded so far. Returns 0: the user would not wait. */
static int catch_up(struct live *live)
{
    live_follow_ask(&live->follow);
    while (replay_slice(live, REPLAY_SLICE_NS)) {
        show_replaying(live, "replaying the past", live_replay_done(live->follow.replay));
        int key = screen_key(0);
        if (key == 'q' || key == SCREEN_CLOSED)
            return 0;
    }
    if (live_replay_name(live->follow.replay, &live->sources, show_naming, live))
        memory_exhausted();
    take_sample(live);
    return 1;
}

/* Until the next sample is due. Returns 0: the view ends. */
static int serve_keys(struct live *live, uint64_t due_ns)
{
    for (;;) {
        live_view_paint(&live->view);
        uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        int wait_ms = live->view.is_paused ? -1 : now_ns < due_ns ? (int)((due_ns - now_ns) / MS) + 1 : 0;
        int key = screen_key(wait_ms);
        if (key == SCREEN_TIME && !live->view.is_paused)
            return 1;
        int was_paused = live->view.is_paused;
        if (!press(&live->view, key))
            return 0;
        if (was_paused && !live->view.is_paused)
            return 1;
    }
}

static void watch(struct live *live)
{
    if (!catch_up(live))
        return;
    uint64_t cost_ns = 0;
    while (live->follow.state != FOLLOW_ENDED) {
        uint64_t interval_ns = (uint64_t)live->interval_ms * MS;
        if (interval_ns < cost_ns * LEAST_SHARE)
            interval_ns = cost_ns * LEAST_SHARE;
        if (!serve_keys(live, clock_ns(CLOCK_MONOTONIC) + interval_ns))
            return;
        uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        sample_now(live);
        cost_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
        live->view.status = live->follow.state == FOLLOW_SILENT ? "the collector does not answer: figures are not new" : NULL;
    }
}

/* What is left on the terminal when the view has gone. */
static void say_how_it_ended(const struct live *live)
{
    const struct replay *replay = live->model.replay;
    if (live->follow.state != FOLLOW_ENDED || !replay)
        return;
    int is_over = replay->overview.has_end;
    printf("process %d %s: heap %s, peak %s, %s allocated\n", (int)live->follow.pid, is_over ? "has ended" : "is no longer recorded",
           units_bytes((int64_t)replay->totals.live_bytes).text, units_bytes((int64_t)replay->totals.peak_bytes).text,
           units_bytes((int64_t)replay->totals.allocated_bytes).text);
    printf("heapline report %s\n", paths_relative(live->follow.trace_path));
}

static int run_on_terminal(struct live *live)
{
    if (screen_open())
        fail(CLI_SYSTEM, "live: standard input and output are no terminal (--once prints one picture, --json a document)");
    watch(live);
    screen_close();
    say_how_it_ended(live);
    int number = screen_signal();
    if (number && number != SIGINT) {
        live_follow_end(&live->follow);
        raise(number);
    }
    return CLI_DONE;
}

static enum live_sort parse_sort(const struct reading *reading)
{
    int sort = reading->sort ? live_sort_parse(reading->sort) : LIVE_BY_BYTES;
    if (sort < 0)
        fail_usage("live", "live: cannot sort by '%s': there are live, rate, growth and blocks", reading->sort);
    return (enum live_sort)sort;
}

static int run_live(int argc, char **argv)
{
    struct live_settings settings = {.reading = READING_INIT, .interval_ms = DEFAULT_INTERVAL_MS};
    struct reading *reading = &settings.reading;
    reading->command = &live_command;
    pid_t pid = collector_parse_pid(&live_command, &settings, argc, argv);
    struct live live = {.settings = &settings, .interval_ms = settings.interval_ms};
    if (live.interval_ms < LEAST_INTERVAL_MS || live.interval_ms > 3600000)
        fail_usage("live", "live: --interval is from %d to 3600000 milliseconds", LEAST_INTERVAL_MS);
    enum live_sort sort = parse_sort(reading);
    terminal_init(&reading->terminal, stdout, (enum color_choice)reading->color);
    live.sources = reading_sources(reading);
    live_follow_begin(&live.follow, "live", pid);
    live_model_init(&live.model, !reading->json);
    live.view = (struct live_view){.reading = reading, .model = &live.model, .pid = pid, .sort = sort, .whole_run = 1};
    snprintf(live.view.filter, sizeof live.view.filter, "%s", settings.filter ? settings.filter : "");
    int status = settings.once || reading->json ? run_once(&live) : run_on_terminal(&live);
    live_model_done(&live.model);
    live_follow_end(&live.follow);
    return status;
}

const struct command live_command = {
    .name = "live",
    .question = "a running program's lines, like top: what they hold, allocate, grow",
    .usage = "[OPTIONS] PID",
    .description = "Shows a running process: heap and RSS over time, and its lines by what they hold, how fast they allocate, and how much they "
                   "have grown. Sorts, filters, pauses, and shows the stacks behind a line; '?' lists the keys. The process is not stopped and "
                   "does not notice: everything is replayed from its trace.\n"
                   "Ends with the process, with q, or with Ctrl-C, which leave the process alone.",
    .examples = "heapline live 4711\n"
                "heapline live 4711 --sort growth --filter cache\n"
                "heapline live 4711 --once\n"
                "heapline live 4711 --json --interval 5000    # rates over five seconds",
    .statuses = COLLECTOR_STATUSES,
    .options = {live_options},
    .run = run_live,
};
