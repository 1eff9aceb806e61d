/* The export 'memory_profiler': for each function of the program's own code, its lines in the table that memory_profiler prints.
 *
 * block       the lines of a function, from its `def` to its end; of a module, only the lines with figures
 * increment   what is held through a line, by itself and all that it calls (--cost: when)
 * mem usage   the total, line by line: what everything else holds, which is the increment of the first line, and the increments so far */
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "memory.h"
#include "source.h"
#include "text.h"

#define ROW "%6s %12s %12s  %10s   %s\n"
#define MIB 1048576.0
#define MAX_FILE_BYTES (16 << 20)

struct source {
    char *name;
    char *bytes;  /* the whole file */
    char **lines; /* [0] is line 1; pieces of bytes */
    int64_t count;
};

struct block_line {
    int64_t line, amount, count;
};

struct block {
    char *file, *function;
    struct block_line *lines; /* with figures; by number, one each */
    int64_t count, capacity;
    int64_t amount;           /* of all of them */
};

struct blocks {
    struct block *blocks;
    size_t count;
};

static int is_module(const char *function)
{
    return !strcmp(function, "<module>");
}

/* ---- blocks ---- */

/* The function that a comprehension or lambda is written in: 'main' of 'main.<locals>.<listcomp>'. malloc'ed; "" where its name doesn't say. */
static char *enclosing_function(const char *function)
{
    char *name = memory_copy(function ? function : "");
    for (;;) {
        char *last = strrchr(name, '.');
        const char *part = last ? last + 1 : name;
        if (part[0] != '<' || is_module(name))
            return name;
        if (last)
            *last = '\0';
        else
            *name = '\0';
        if (!*name)
            return name;
    }
}

static struct block *find_block(struct blocks *blocks, const char *file, const char *function)
{
    for (size_t i = 0; i < blocks->count; i++)
        if (!strcmp(blocks->blocks[i].function, function) && !strcmp(blocks->blocks[i].file, file))
            return &blocks->blocks[i];
    blocks->blocks = memory_resize(blocks->blocks, blocks->count + 1, sizeof *blocks->blocks);
    struct block *block = &blocks->blocks[blocks->count++];
    *block = (struct block){.file = memory_copy(file), .function = memory_copy(function)};
    return block;
}

/* Rows come by line. What a comprehension holds is part of what its line in the function holds. */
static void add_line(struct block *block, int64_t line, int64_t amount, int64_t count)
{
    if (block->count && block->lines[block->count - 1].line == line) {
        struct block_line *last = &block->lines[block->count - 1];
        block->amount += amount > last->amount ? amount - last->amount : 0;
        last->amount = amount > last->amount ? amount : last->amount;
        last->count = count > last->count ? count : last->count;
        return;
    }
    if (block->count == block->capacity) {
        block->capacity = block->capacity ? 2 * block->capacity : 16;
        block->lines = memory_resize(block->lines, (size_t)block->capacity, sizeof *block->lines);
    }
    block->lines[block->count++] = (struct block_line){line, amount, count};
    block->amount += amount;
}

static void load_blocks(const struct export *export, struct blocks *blocks)
{
    char sql[320];
    const char *amount = measures[export->cost->amount].name, *count = measures[export->cost->count].name;
    struct block *block = NULL;
    /* A program of Python is asked about its Python; another about its own native code. */
    const char *origin = query_integer(export->database, "SELECT count(*) FROM line_use_inclusive WHERE origin = 'user'") ? "user" : "native";
    snprintf(sql, sizeof sql, "SELECT file, line, function, %s, %s FROM line_use_inclusive WHERE origin = '%s' AND line > 0 "
             "AND file IS NOT NULL AND (%s > 0 OR %s > 0) ORDER BY file, line, function LIKE '%%<%%', function", amount, count, origin, amount, count);
    sqlite3_stmt *row = query_prepare(export->database, sql);
    while (query_step(row)) {
        char *function = enclosing_function((const char *)sqlite3_column_text(row, 2));
        const char *file = (const char *)sqlite3_column_text(row, 0);
        if (*function || !block || strcmp(block->file, file) != 0)
            block = find_block(blocks, file, *function ? function : "<module>");
        add_line(block, sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 3), sqlite3_column_int64(row, 4));
        free(function);
    }
}

static int compare_blocks(const void *a, const void *b)
{
    const struct block *left = a, *right = b;
    if (left->amount != right->amount)
        return left->amount < right->amount ? 1 : -1;
    return strcmp(left->file, right->file) ? strcmp(left->file, right->file) : strcmp(left->function, right->function);
}

static void free_blocks(struct blocks *blocks)
{
    for (size_t i = 0; i < blocks->count; i++) {
        free(blocks->blocks[i].file);
        free(blocks->blocks[i].function);
        free(blocks->blocks[i].lines);
    }
    free(blocks->blocks);
}

/* ---- source text ---- */

static void split_lines(struct source *source)
{
    char *at = source->bytes;
    for (int64_t capacity = 0; at && *at;) {
        if (source->count == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            source->lines = memory_resize(source->lines, (size_t)capacity, sizeof *source->lines);
        }
        source->lines[source->count++] = at;
        at += strcspn(at, "\n");
        if (*at)
            *at++ = '\0';
    }
}

static void free_source(struct source *source)
{
    free(source->name);
    free(source->bytes);
    free(source->lines);
    *source = (struct source){0};
}

static void load_source(const struct export *export, struct source *source, const char *file)
{
    if (source->name && !strcmp(source->name, file))
        return;
    int is_newer;
    free_source(source);
    source->name = memory_copy(file);
    source->bytes = source_text_copy(export->reading, export->database, file, MAX_FILE_BYTES, &is_newer);
    split_lines(source);
}

static const char *line_text(const struct source *source, int64_t line)
{
    return line >= 1 && line <= source->count ? source->lines[line - 1] : "";
}

static size_t indent_of(const char *line)
{
    return strspn(line, " \t");
}

static int is_blank(const char *line)
{
    return !line[strspn(line, " \t\r")];
}

/* 'def NAME' or 'async def NAME' of a qualified name's last part. */
static int defines(const char *line, const char *function)
{
    const char *name = strrchr(function, '.') ? strrchr(function, '.') + 1 : function;
    line += indent_of(line);
    if (!strncmp(line, "async ", 6))
        line += 6 + indent_of(line + 6);
    if (strncmp(line, "def ", 4) != 0)
        return 0;
    line += 4 + indent_of(line + 4);
    size_t length = strlen(name);
    return !strncmp(line, name, length) && (line[length] == '(' || line[length] == ' ' || line[length] == '[');
}

/* From `def` to the last line that is indented deeper. Where there is none, the lines with figures. Returns whether it begins with its def. */
static int find_extent(const struct block *block, const struct source *source, int64_t *ret_first, int64_t *ret_last)
{
    int64_t first = block->lines[0].line, last = block->lines[block->count - 1].line, def = first;
    while (def >= 1 && def <= source->count && !defines(line_text(source, def), block->function))
        def--;
    *ret_first = first;
    *ret_last = last;
    if (def < 1 || def > source->count)
        return 0;
    size_t indent = indent_of(line_text(source, def));
    for (int64_t line = last + 1; line <= source->count; line++) {
        if (is_blank(line_text(source, line)))
            continue;
        if (indent_of(line_text(source, line)) <= indent)
            break;
        *ret_last = line;
    }
    *ret_first = def;
    return 1;
}

/* ---- the table ---- */

static void print_row(FILE *out, const struct source *source, int64_t line, const int64_t *figures)
{
    char number[24], usage[40] = "", increment[40] = "", count[24] = "";
    snprintf(number, sizeof number, "%lld", (long long)line);
    if (figures) {
        snprintf(usage, sizeof usage, "%5.1f MiB", (double)figures[0] / MIB);
        snprintf(increment, sizeof increment, "%5.1f MiB", (double)figures[1] / MIB);
        snprintf(count, sizeof count, "%lld", (long long)figures[2]);
    }
    fprintf(out, ROW, number, usage, increment, count, line_text(source, line));
}

static void print_lines(FILE *out, const struct block *block, const struct source *source, struct block_line rest)
{
    int64_t first, last, used = rest.amount;
    int has_def = find_extent(block, source, &first, &last), is_whole = source->count && !is_module(block->function);
    const struct block_line *next = block->lines, *end = block->lines + block->count;
    for (int64_t line = first; line <= last; line++) {
        int has_figures = next < end && next->line == line;
        int64_t figures[3] = {used, 0, 0};
        if (has_def && line == first) {
            figures[1] += rest.amount;
            figures[2] += rest.count;
        }
        if (has_figures) {
            used += next->amount;
            figures[0] = used;
            figures[1] += next->amount;
            figures[2] += next->count;
            next++;
        }
        if (is_whole || has_figures)
            print_row(out, source, line, has_figures || (has_def && line == first) ? figures : NULL);
    }
}

static void print_block(const struct export *export, const struct block *block, const struct source *source, int64_t total, int64_t total_count)
{
    struct block_line rest = {.amount = total - block->amount, .count = total_count};
    FILE *out = export->out;
    for (int64_t i = 0; i < block->count; i++)
        rest.count -= block->lines[i].count;
    rest.amount = rest.amount > 0 ? rest.amount : 0; /* a function that calls itself holds the same twice */
    rest.count = rest.count > 0 ? rest.count : 0;
    fprintf(out, "Filename: %s\n\n", block->file);
    int width = fprintf(out, "%6s %12s %12s  %10s   %s\n", "Line #", "Mem usage", "Increment", "Occurrences", "Line Contents") - 1;
    for (int i = 0; i < width; i++)
        putc('=', out);
    putc('\n', out);
    print_lines(out, block, source, rest);
    fputs("\n\n", out);
}

void export_memory_profiler(const struct export *export)
{
    struct blocks blocks = {0};
    struct source source = {0};
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT coalesce(sum(%s), 0) FROM stack_use", measures[export->cost->amount].name);
    int64_t total = query_integer(export->database, sql);
    snprintf(sql, sizeof sql, "SELECT coalesce(sum(%s), 0) FROM stack_use", measures[export->cost->count].name);
    int64_t total_count = query_integer(export->database, sql);
    if (!measures[export->cost->amount].is_bytes)
        fail_usage("export", "export: memory_profiler's table shows bytes: --cost is peak, live, allocated or copied");
    load_blocks(export, &blocks);
    if (blocks.count)
        qsort(blocks.blocks, blocks.count, sizeof *blocks.blocks, compare_blocks);
    for (size_t i = 0; i < blocks.count; i++) {
        load_source(export, &source, blocks.blocks[i].file);
        print_block(export, &blocks.blocks[i], &source, total, total_count);
    }
    free_source(&source);
    free_blocks(&blocks);
}
