/* Opens and loads the traces that are compared: see diff_sides.h. */
#include "diff_sides.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "count_interval.h"
#include "memory.h"

/* ---- TRACE@MOMENT ---- */

/* "1h2m3.5s", "10s", "250ms", "10". Returns 0 or -1. */
static int parse_seconds(const char *text, double *ret_seconds)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"s", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    double seconds = 0;
    if (!*text)
        return -1;
    while (*text) {
        char *end;
        if (!strchr("0123456789.", *text))
            return -1;
        double number = strtod(text, &end);
        if (end == text || !(number >= 0 && number < 1e12))
            return -1;
        size_t length = strspn(end, "abcdefghijklmnopqrstuvwxyz"), i = 0, count = sizeof units / sizeof *units;
        while (i < count && (strlen(units[i].unit) != length || strncmp(units[i].unit, end, length)))
            i++;
        if (i == count && (length || *end))
            return -1;
        seconds += number * (i < count ? units[i].seconds : 1);
        text = end + length;
    }
    *ret_seconds = seconds;
    return 0;
}

static int parse_point(const char *text, struct diff_point *ret_point)
{
    struct diff_point point = {.moment = MOMENT_TIME, .share = -1};
    char *end;
    if (!strcmp(text, "peak") || !strcmp(text, "end") || !strcmp(text, "exit")) {
        point.moment = *text == 'p' ? MOMENT_PEAK : text[1] == 'x' ? MOMENT_EXIT : MOMENT_END;
    } else if (!strcmp(text, "start")) {
        point.share = 0;
    } else if (*text && text[strlen(text) - 1] == '%' && strchr("0123456789.", *text)) {
        point.share = strtod(text, &end) / 100;
        if (strcmp(end, "%") || !(point.share <= 1))
            return -1;
    } else if (parse_seconds(text, &point.seconds)) {
        return -1;
    }
    *ret_point = point;
    return 0;
}

void diff_side_parse(struct diff_side *side, const struct reading *reading, const char *operand)
{
    const char *mark = strrchr(operand, '@');
    size_t length = strlen(operand);
    side->point = (struct diff_point){.moment = MOMENT_WHOLE, .share = -1};
    side->moment_ns = side->window_id = -1;
    if (mark && mark != operand && access(operand, F_OK)) {
        if (!parse_point(mark + 1, &side->point))
            length = (size_t)(mark - operand);
        else if (!strchr(mark, '/'))
            fail_usage("diff", "diff: '%s' is no moment: 10s, 1h30m, 50%%, start, peak, exit or end", mark + 1);
    }
    side->path = memory_copy_part(operand, length);
    side->reading = *reading;
    side->reading.trace = side->path;
}

/* ---- what stacks used ---- */

static void add_measure(struct diff_side *side, int64_t stack_id, enum measure bytes, int64_t amount, int64_t count)
{
    struct diff_use *use = &side->uses[stack_set_index(&side->set, stack_id)];
    use->measures[bytes] += amount;
    use->measures[bytes + 1] += count;
}

static void load_run(struct diff_side *side)
{
    sqlite3_stmt *row = query_prepare(side->database, "SELECT stack_id, peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, "
                                                      "allocations, temporary_allocations, copied_bytes, copies FROM stack_use");
    while (query_step(row)) {
        struct diff_use *use = &side->uses[stack_set_index(&side->set, sqlite3_column_int64(row, 0))];
        for (int m = 0; m < MEASURE_COUNT; m++)
            use->measures[m] += sqlite3_column_int64(row, 1 + m);
    }
}

/* The peak's and the end's figures are those of the run, which here are what is live. */
static void load_live(struct diff_side *side)
{
    sqlite3_stmt *row = query_prepare(side->database, side->point.moment == MOMENT_PEAK
                                                          ? "SELECT stack_id, peak_bytes, peak_allocations FROM stack_use"
                                                          : "SELECT stack_id, live_bytes, live_allocations FROM stack_use");
    while (query_step(row))
        add_measure(side, sqlite3_column_int64(row, 0), LIVE_BYTES, sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2));
    side->moment_ns = side->point.moment == MOMENT_PEAK ? side->summary.peak_time_ns : side->summary.duration_ns;
}

static void load_window(struct diff_side *side)
{
    double wanted_ns = side->point.share >= 0 ? side->point.share * (double)side->summary.duration_ns : side->point.seconds * 1e9;
    int is_exit = side->point.moment == MOMENT_EXIT;
    sqlite3_stmt *row = query_prepare(side->database, is_exit ? "SELECT window_id, end_time_ns, heap_bytes FROM window WHERE end_time_ns <= ?1 ORDER BY window_id DESC LIMIT 1"
                                                              : "SELECT window_id, end_time_ns, heap_bytes FROM window ORDER BY abs(end_time_ns - ?1), window_id LIMIT 1");
    wanted_ns = is_exit ? (double)side->teardown_ns : wanted_ns;
    sqlite3_bind_double(row, 1, wanted_ns);
    if (!query_step(row))
        fail(CLI_INPUT, "diff: '%s' is too short a recording to know its moments", side->path);
    side->window_id = sqlite3_column_int64(row, 0);
    side->moment_ns = sqlite3_column_int64(row, 1);
    side->unknown_bytes = sqlite3_column_int64(row, 2);
    sqlite3_finalize(row);
    row = query_prepare(side->database, "SELECT stack_id, live_bytes, live_allocations FROM live_span WHERE ?1 BETWEEN first_window_id AND last_window_id");
    sqlite3_bind_int64(row, 1, side->window_id);
    while (query_step(row)) {
        add_measure(side, sqlite3_column_int64(row, 0), LIVE_BYTES, sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2));
        side->unknown_bytes -= sqlite3_column_int64(row, 1);
    }
}

/* Of moments, what is live is that moment's; of windows it isn't known. */
static void load_errors(struct diff_side *side)
{
    if (!count_errors_known(side->database) || side->window_id >= 0)
        return;
    side->errors = memory_new(side->set.stack_count, sizeof *side->errors);
    sqlite3_stmt *row = query_prepare(side->database, "SELECT stack_id, " COUNT_ERROR_COLUMNS " FROM stack_error");
    while (query_step(row)) {
        struct count_error error = count_error_read(row, 1);
        if (side->point.moment == MOMENT_PEAK)
            error.live = error.peak;
        count_error_add(&side->errors[stack_set_index(&side->set, sqlite3_column_int64(row, 0))], &error);
    }
}

void diff_side_open(struct diff_side *side, int folds)
{
    side->database = reading_open(&side->reading);
    summary_load(side->database, &side->summary);
    stack_set_load(side->database, &side->set);
    if (folds)
        stack_set_fold_interpreter(&side->set);
    side->uses = memory_new(side->set.stack_count, sizeof *side->uses);
    side->teardown_ns = query_integer(side->database, "SELECT coalesce(teardown_ns, -1) FROM summary");
    if (side->point.moment == MOMENT_WHOLE)
        load_run(side);
    else if (side->point.moment == MOMENT_TIME || (side->point.moment == MOMENT_EXIT && side->teardown_ns >= 0))
        load_window(side);
    else
        load_live(side);
    load_errors(side);
}

void diff_side_close(struct diff_side *side)
{
    stack_set_free(&side->set);
    summary_free(&side->summary);
    reading_close(&side->reading, side->database);
    free(side->uses);
    free(side->errors);
    free(side->path);
}

/* ---- levels over time ---- */

/* The windows behind warm-up, a quarter of the run, and before teardown. */
static void find_windows(const struct diff_side *side, int64_t *ret_first, int64_t *ret_count)
{
    int64_t count = query_integer(side->database, "SELECT count(*) FROM window");
    int64_t before_end = query_integer(side->database, "SELECT count(*) FROM window, summary WHERE end_time_ns <= coalesce(teardown_ns, end_time_ns)");
    *ret_first = count / 4;
    *ret_count = before_end > *ret_first ? before_end - *ret_first : 0;
}

int diff_side_level_count(const struct diff_side *side)
{
    int64_t first, count;
    find_windows(side, &first, &count);
    return count < 1 << 16 ? (int)count : 0;
}

void diff_side_each_level(const struct diff_side *side, void (*visit)(void *context, const struct diff_level *level), void *context)
{
    int64_t from, count;
    find_windows(side, &from, &count);
    sqlite3_stmt *row = query_prepare(side->database, "SELECT stack_id, first_window_id, last_window_id, live_bytes, live_allocations FROM live_span");
    while (query_step(row)) {
        int64_t first = sqlite3_column_int64(row, 1) - from, last = sqlite3_column_int64(row, 2) - from;
        if (last < 0 || first >= count)
            continue;
        struct diff_level level = {
            .stack = stack_set_index(&side->set, sqlite3_column_int64(row, 0)),
            .first = first < 0 ? 0 : (int)first,
            .last = last < count ? (int)last : (int)count - 1,
            .bytes = sqlite3_column_int64(row, 3),
            .allocations = sqlite3_column_int64(row, 4),
        };
        visit(context, &level);
    }
}

/* ---- source files ---- */

static FILE *open_source(const struct diff_side *side, const char *file)
{
    char *path = file[0] != '/' && side->reading.directory ? memory_format("%s/%s", side->reading.directory, file) : memory_copy(file);
    FILE *opened = fopen(path, "re");
    free(path);
    return opened;
}

static int is_unchanged(const struct diff_side *side, FILE *opened)
{
    struct stat status;
    return !fstat(fileno(opened), &status) && S_ISREG(status.st_mode) &&
           status.st_mtim.tv_sec * INT64_C(1000000000) + status.st_mtim.tv_nsec <= side->summary.start_realtime_ns;
}

int diff_side_is_unchanged(const struct diff_side *side, const char *file)
{
    FILE *opened = open_source(side, file);
    if (!opened)
        return -1;
    int unchanged = is_unchanged(side, opened);
    fclose(opened);
    return unchanged;
}

static char *read_all(FILE *opened, size_t *ret_bytes)
{
    char *text = NULL;
    size_t bytes = 0, size = 0, got;
    do {
        size += 65536;
        text = memory_resize(text, size, 1);
        got = fread(text + bytes, 1, size - bytes, opened);
        bytes += got;
    } while (bytes == size);
    *ret_bytes = bytes;
    return text;
}

static char *bundled_source(const struct diff_side *side, const char *file, size_t *ret_bytes)
{
    char *text = NULL;
    sqlite3_stmt *row = query_prepare(side->database, "SELECT text FROM source WHERE file = ?1");
    sqlite3_bind_text(row, 1, file, -1, SQLITE_STATIC);
    if (query_step(row)) {
        text = query_text_copy(row, 0);
        *ret_bytes = text ? strlen(text) : 0;
        sqlite3_finalize(row);
    }
    return text;
}

char *diff_side_source(const struct diff_side *side, const char *file, size_t *ret_bytes)
{
    char *text = bundled_source(side, file, ret_bytes);
    FILE *opened = text ? NULL : open_source(side, file);
    if (opened && is_unchanged(side, opened))
        text = read_all(opened, ret_bytes);
    if (opened)
        fclose(opened);
    return text;
}
