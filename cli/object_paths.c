/* What keeps surviving objects alive, as text and as JSON (object_rows.h).
 *
 *   module app > CACHE (dict) > ['user-17'] (list) > [0] > Session */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "object_rows.h"
#include "paths.h"
#include "text.h"
#include "units.h"

#define STEPS_SQL \
    "SELECT path_id, step, kind, name, type FROM object_step JOIN stack USING (stack_id) " \
    "WHERE survey_id = (SELECT max(survey_id) FROM object_survey) AND stack.line_frame_id = ?1 ORDER BY path_id, step"

/* A path's text, and its text without the keys and indexes: objects that are held the same way are told once. */
struct path_text {
    char *text, *shape;
    int64_t same;
};

struct paths {
    struct path_text *paths;
    int64_t count;
};

struct writer {
    FILE *text, *shape;
    char *text_buffer, *shape_buffer;
    size_t text_bytes, shape_bytes;
};

static const char *short_type(const char *type)
{
    return !strncmp(type, "__main__.", 9) ? type + 9 : type;
}

static void begin(struct writer *writer)
{
    writer->text = memory_stream(&writer->text_buffer, &writer->text_bytes);
    writer->shape = memory_stream(&writer->shape_buffer, &writer->shape_bytes);
}

/* Steps that were taken from a path's file belong to the program's text: cleaned at the end. */
static void write_step(struct writer *writer, int64_t step, const char *kind, const char *name, const char *type)
{
    FILE *out = writer->text;
    const char *shown = short_type(type);
    fprintf(writer->shape, "%s|%s|%s\n", kind, strcmp(kind, "key") && strcmp(kind, "index") ? name : "", type);
    if (step)
        fputs(" -> ", out);
    if (!strcmp(kind, "module"))
        fprintf(out, "module %s", name);
    else if (!strcmp(kind, "frame"))
        fprintf(out, "frame of %s (%s)", name, paths_relative(type));
    else if (!strcmp(kind, "unreached"))
        fprintf(out, "(no way from a module or a frame) %s", shown);
    else if (!strcmp(kind, "interpreter"))
        fprintf(out, "%s", name);
    else if (!strcmp(kind, "key") || !strcmp(kind, "index"))
        fprintf(out, "[%s] (%s)", name, shown);
    else if (!strcmp(kind, "as key"))
        fprintf(out, "key %s (%s)", name, shown);
    else if (!strcmp(kind, "attribute"))
        fprintf(out, ".%s (%s)", name, shown);
    else if (!strcmp(kind, "closure"))
        fprintf(out, "closure variable %s (%s)", name, shown);
    else if (!strcmp(kind, "local"))
        fprintf(out, "variable %s (%s)", name, shown);
    else if (!strcmp(kind, "global"))
        fprintf(out, "%s (%s)", name, shown);
    else if (!strcmp(kind, "element"))
        fprintf(out, "an element (%s)", shown);
    else if (!strcmp(kind, "cut"))
        fprintf(out, "... (%s)", shown);
    else if (!strcmp(kind, "stack"))
        fprintf(out, "a temporary (%s)", shown);
    else if (!strcmp(kind, "type"))
        fprintf(out, "its type %s", shown);
    else
        fprintf(out, "(%s)", shown);
}

static void end(struct writer *writer, struct paths *paths)
{
    if (fclose(writer->text) || fclose(writer->shape))
        memory_exhausted();
    for (int64_t i = 0; i < paths->count; i++)
        if (!strcmp(paths->paths[i].shape, writer->shape_buffer)) {
            paths->paths[i].same++;
            free(writer->text_buffer);
            free(writer->shape_buffer);
            return;
        }
    paths->paths = memory_resize(paths->paths, (size_t)paths->count + 1, sizeof *paths->paths);
    paths->paths[paths->count++] = (struct path_text){writer->text_buffer, writer->shape_buffer, 1};
}

static struct paths load(sqlite3 *database, int64_t frame_id)
{
    struct paths paths = {0};
    struct writer writer;
    int64_t open_path = -1;
    sqlite3_stmt *row = query_prepare(database, STEPS_SQL);
    sqlite3_bind_int64(row, 1, frame_id);
    while (query_step(row)) {
        int64_t path = sqlite3_column_int64(row, 0);
        if (path != open_path && open_path >= 0)
            end(&writer, &paths);
        if (path != open_path)
            begin(&writer);
        open_path = path;
        write_step(&writer, sqlite3_column_int64(row, 1), (const char *)sqlite3_column_text(row, 2), (const char *)sqlite3_column_text(row, 3),
                   (const char *)sqlite3_column_text(row, 4));
    }
    if (open_path >= 0)
        end(&writer, &paths);
    return paths;
}

static int compare_paths(const void *a, const void *b)
{
    const struct path_text *left = a, *right = b;
    return left->same < right->same ? 1 : left->same > right->same ? -1 : strcmp(left->text, right->text);
}

int64_t object_paths_print(const struct reading *reading, sqlite3 *database, int64_t frame_id, int indent, int64_t limit)
{
    struct paths paths = load(database, frame_id);
    if (paths.count)
        qsort(paths.paths, (size_t)paths.count, sizeof *paths.paths, compare_paths);
    for (int64_t i = 0; i < paths.count; i++) {
        char *clean = text_clean(paths.paths[i].text, reading->terminal.unicode);
        if (!limit || i < limit) {
            fprintf(reading->terminal.out, "%*s", indent, "");
            terminal_wrap(reading->terminal.out, clean, reading->terminal.width, indent + 2);
            fputc('\n', reading->terminal.out);
        }
        free(clean);
        free(paths.paths[i].text);
        free(paths.paths[i].shape);
    }
    free(paths.paths);
    return paths.count;
}

void object_paths_json(sqlite3 *database, int64_t frame_id, struct json *json)
{
    int64_t open_path = -1;
    sqlite3_stmt *row = query_prepare(database, STEPS_SQL);
    sqlite3_bind_int64(row, 1, frame_id);
    json_array(json, "paths");
    while (query_step(row)) {
        int64_t path = sqlite3_column_int64(row, 0);
        if (path != open_path && open_path >= 0)
            json_array_end(json);
        if (path != open_path)
            json_array(json, NULL);
        open_path = path;
        json_object(json, NULL);
        json_text(json, "kind", (const char *)sqlite3_column_text(row, 2));
        json_text(json, "name", (const char *)sqlite3_column_text(row, 3));
        json_text(json, "type", (const char *)sqlite3_column_text(row, 4));
        json_object_end(json);
    }
    if (open_path >= 0)
        json_array_end(json);
    json_array_end(json);
}
