/* heapline metrics: a running process's memory for Prometheus. What is told is replayed from its trace; a scrape asks for no more than that. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector_client.h"
#include "live_follow.h"
#include "memory.h"
#include "metrics_server.h"
#include "metrics_text.h"

#define DEFAULT_ADDRESS "127.0.0.1:9464"
#define DEFAULT_LINES 20
#define MOST_LINES 1000
/* The trace is also followed while nobody asks, so that a scrape has little to replay. */
#define FOLLOW_MS 1000

struct metrics_settings {
    struct reading reading;
    const char *address;
    int64_t line_limit;
    int once;
};

static const struct option_spec metrics_options[] = {
    {"listen", 'l', OPTION_TEXT, offsetof(struct metrics_settings, address), 0, "ADDR:PORT",
     "serve GET /metrics there (default: " DEFAULT_ADDRESS "; port 0: any that is free)"},
    {"lines", 0, OPTION_COUNT, offsetof(struct metrics_settings, line_limit), 0, "N",
     "series of their own for the N lines that hold the most (default: 20); all others are summed up in one"},
    {"once", '1', OPTION_SET, offsetof(struct metrics_settings, once), 1, NULL, "write the metrics to stdout and end, as for a textfile collector"},
    SYMBOL_OPTIONS,
    {0},
};

struct metrics {
    struct live_follow follow;
    struct live_model model;
    struct metrics_source source;
    struct symbol_sources symbols;
};

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
    is_over = number;
}

static void follow_trace(struct metrics *metrics)
{
    if (live_follow_all(&metrics->follow)) {
        live_model_done(&metrics->model);
        live_model_init(&metrics->model, 1);
    }
    metrics->source.state = metrics->follow.state;
}

/* As of now; a file in memory, to be freed. */
static char *make_text(struct metrics *metrics, size_t *ret_bytes)
{
    char *text = NULL;
    follow_trace(metrics);
    if (live_replay_name(metrics->follow.replay, &metrics->symbols, NULL, NULL))
        memory_exhausted();
    live_model_update(&metrics->model, metrics->follow.replay);
    live_model_sort(&metrics->model, LIVE_BY_BYTES);
    FILE *out = memory_stream(&text, ret_bytes);
    metrics_text_write(&metrics->source, out);
    fclose(out);
    return text;
}

static void answer(struct metrics *metrics, int connection, const char *path)
{
    static const char index[] = "heapline: metrics are at /metrics\n", absent[] = "there is only /metrics\n";
    if (!strcmp(path, "/metrics")) {
        size_t bytes;
        char *text = make_text(metrics, &bytes);
        metrics_server_answer(connection, 200, METRICS_CONTENT_TYPE, text, bytes);
        free(text);
    } else if (!strcmp(path, "/")) {
        metrics_server_answer(connection, 200, "text/plain", index, sizeof index - 1);
    } else {
        metrics_server_answer(connection, 404, "text/plain", absent, sizeof absent - 1);
    }
}

/* Until the process ends, or somebody ends us. */
static void serve(struct metrics *metrics, struct metrics_server *server)
{
    char path[256];
    while (!is_over && metrics->follow.state != FOLLOW_ENDED) {
        int connection = metrics_server_next(server, FOLLOW_MS, path, sizeof path);
        if (connection >= 0)
            answer(metrics, connection, path);
        else if (!is_over)
            follow_trace(metrics);
    }
}

static void open_server(struct metrics_server *server, const char *address)
{
    switch (metrics_server_open(server, address)) {
    case 0:
        return;
    case -1:
        fail(CLI_SYSTEM, "metrics: cannot listen at %s: %s", address, strerror(errno));
    default:
        fail_usage("metrics", "metrics: '%s' is no ADDR:PORT", address);
    }
}

static void run_server(struct metrics *metrics, const char *address)
{
    struct metrics_server server;
    struct sigaction action = {.sa_handler = on_signal};
    open_server(&server, address);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    follow_trace(metrics);
    printf("process %d at http://%s/metrics\n", (int)metrics->follow.pid, server.address);
    fflush(stdout);
    serve(metrics, &server);
    metrics_server_close(&server);
    if (metrics->follow.state == FOLLOW_ENDED)
        printf("process %d %s\n", (int)metrics->follow.pid,
               kill(metrics->follow.pid, 0) && errno == ESRCH ? "has ended" : "is no longer recorded");
}

static int run_metrics(int argc, char **argv)
{
    struct metrics_settings settings = {.reading = READING_INIT, .address = DEFAULT_ADDRESS, .line_limit = DEFAULT_LINES};
    struct metrics metrics = {0};
    settings.reading.command = &metrics_command;
    pid_t pid = collector_parse_pid(&metrics_command, &settings, argc, argv);
    if (settings.line_limit > MOST_LINES)
        fail_usage("metrics", "metrics: --lines is at most %d: each makes four series", MOST_LINES);
    terminal_init(&settings.reading.terminal, stdout, COLOR_NEVER);
    metrics.symbols = reading_sources(&settings.reading);
    metrics.source = (struct metrics_source){
        .reading = &settings.reading, .model = &metrics.model, .pid = pid, .line_limit = (uint32_t)settings.line_limit};
    live_follow_begin(&metrics.follow, "metrics", pid);
    live_model_init(&metrics.model, 1);
    if (settings.once) {
        size_t bytes;
        char *text = make_text(&metrics, &bytes);
        fwrite(text, 1, bytes, stdout);
        free(text);
    } else {
        run_server(&metrics, settings.address);
    }
    live_model_done(&metrics.model);
    live_follow_end(&metrics.follow);
    return CLI_DONE;
}

const struct command metrics_command = {
    .name = "metrics",
    .question = "a running program's memory for Prometheus to scrape",
    .usage = "[OPTIONS] PID",
    .description = "Serves a running process's memory in Prometheus's text format at /metrics: live bytes and blocks, peak, RSS, what was allocated "
                   "and copied, lost events, and the lines that hold the most. The process does not notice; a scrape costs a replay of what has "
                   "come since the last one. Anybody who reaches the address can read it: by default that is this machine only.\n"
                   "Ends with the process, with SIGINT or SIGTERM.",
    .examples = "heapline metrics 4711\n"
                "curl http://127.0.0.1:9464/metrics\n"
                "heapline metrics 4711 --listen 0.0.0.0:9100 --lines 50\n"
                "heapline metrics 4711 --once > /var/lib/node_exporter/heapline.prom",
    .statuses = COLLECTOR_STATUSES,
    .options = {metrics_options},
    .run = run_metrics,
};
