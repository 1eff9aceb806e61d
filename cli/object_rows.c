/* See object_rows.h. */
#include "object_rows.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "units.h"

#define TYPES_NAMED 4

static void *grown(void *array, int64_t count, size_t bytes)
{
    if (count & (count - 1))
        return array;
    return memory_resize(array, (size_t)(count ? 2 * count : 1), bytes);
}

static void load_survey(sqlite3 *database, struct object_rows *rows)
{
    sqlite3_stmt *row = query_prepare(database, "SELECT survey_id, time_ns, pause_ns, objects, unreached_objects, recorded_objects, "
                                                "recorded_bytes, outcome FROM object_survey ORDER BY survey_id DESC LIMIT 1");
    *rows = (struct object_rows){.survey_id = -1};
    if (!query_step(row))
        return;
    rows->survey_id = sqlite3_column_int64(row, 0);
    rows->time_ns = sqlite3_column_int64(row, 1);
    rows->pause_ns = sqlite3_column_int64(row, 2);
    rows->objects = sqlite3_column_int64(row, 3);
    rows->unreached_objects = sqlite3_column_int64(row, 4);
    rows->recorded_objects = sqlite3_column_int64(row, 5);
    rows->recorded_bytes = sqlite3_column_int64(row, 6);
    rows->outcome = query_text_copy(row, 7);
    sqlite3_finalize(row);
}

static struct object_line *line_of(struct object_rows *rows, sqlite3_stmt *row)
{
    int64_t frame_id = sqlite3_column_int64(row, 0);
    if (rows->line_count && rows->lines[rows->line_count - 1].frame_id == frame_id)
        return &rows->lines[rows->line_count - 1];
    rows->lines = grown(rows->lines, rows->line_count, sizeof *rows->lines);
    struct object_line *line = &rows->lines[rows->line_count++];
    *line = (struct object_line){
        .frame_id = frame_id,
        .file = query_text_copy(row, 1),
        .line = sqlite3_column_int64(row, 2),
        .function = query_text_copy(row, 3),
        .origin = query_text_copy(row, 4),
    };
    return line;
}

static int compare_lines(const void *a, const void *b)
{
    const struct object_line *left = a, *right = b;
    if (left->bytes != right->bytes)
        return left->bytes < right->bytes ? 1 : -1;
    return left->frame_id < right->frame_id ? -1 : left->frame_id > right->frame_id;
}

void object_rows_load(sqlite3 *database, struct object_rows *rows)
{
    load_survey(database, rows);
    sqlite3_stmt *row = query_prepare(database,
        "SELECT stack.line_frame_id, coalesce(file, module), line, function, origin, type, sum(objects), sum(bytes) AS bytes "
        "FROM object_type JOIN stack USING (stack_id) JOIN frame ON frame.frame_id = stack.line_frame_id "
        "WHERE survey_id = ?1 GROUP BY stack.line_frame_id, type ORDER BY stack.line_frame_id, bytes DESC, type");
    sqlite3_bind_int64(row, 1, rows->survey_id);
    while (query_step(row)) {
        struct object_line *line = line_of(rows, row);
        line->types = grown(line->types, line->type_count, sizeof *line->types);
        struct object_type_row *type = &line->types[line->type_count++];
        *type = (struct object_type_row){query_text_copy(row, 5), sqlite3_column_int64(row, 6), sqlite3_column_int64(row, 7)};
        line->objects += type->objects;
        line->bytes += type->bytes;
    }
    if (rows->line_count)
        qsort(rows->lines, (size_t)rows->line_count, sizeof *rows->lines, compare_lines);
}

void object_rows_free(struct object_rows *rows)
{
    for (int64_t i = 0; i < rows->line_count; i++) {
        for (int64_t k = 0; k < rows->lines[i].type_count; k++)
            free(rows->lines[i].types[k].type);
        free(rows->lines[i].types);
        free(rows->lines[i].file);
        free(rows->lines[i].function);
        free(rows->lines[i].origin);
    }
    free(rows->lines);
    free(rows->outcome);
}

const struct object_line *object_rows_find(const struct object_rows *rows, const char *file, int64_t line)
{
    for (int64_t i = 0; file && i < rows->line_count; i++)
        if (rows->lines[i].line == line && rows->lines[i].file && !strcmp(rows->lines[i].file, file))
            return &rows->lines[i];
    return NULL;
}

const struct object_line *object_rows_of_stack(const struct object_rows *rows, sqlite3 *database, int64_t stack_id)
{
    int64_t frame_id = -1;
    if (rows->survey_id < 0)
        return NULL;
    sqlite3_stmt *row = query_prepare(database, "SELECT line_frame_id FROM stack WHERE stack_id = ?1");
    sqlite3_bind_int64(row, 1, stack_id);
    while (query_step(row))
        frame_id = sqlite3_column_int64(row, 0);
    for (int64_t i = 0; i < rows->line_count; i++)
        if (rows->lines[i].frame_id == frame_id)
            return &rows->lines[i];
    return NULL;
}

void object_types_text(const struct object_line *line, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int64_t i = 0; i < line->type_count && i < TYPES_NAMED && used < size; i++) {
        const struct object_type_row *type = &line->types[i];
        const char *name = !strncmp(type->type, "__main__.", 9) ? type->type + 9 : type->type;
        int bytes = type->objects ? snprintf(text + used, size - used, "%s%s %s", i ? ", " : "", name, units_count(type->objects).text)
                                  : snprintf(text + used, size - used, "%stables of %s", i ? ", " : "", name);
        used += bytes > 0 ? (size_t)bytes : 0;
    }
    if (line->type_count > TYPES_NAMED && used < size)
        snprintf(text + used, size - used, ", %s", units_noun(line->type_count - TYPES_NAMED, "further type").text);
}

void object_types_json(const struct object_line *line, struct json *json)
{
    json_array(json, "types");
    for (int64_t i = 0; line && i < line->type_count; i++) {
        json_object(json, NULL);
        json_text(json, "type", line->types[i].type);
        json_integer(json, "objects", line->types[i].objects);
        json_integer(json, "bytes", line->types[i].bytes);
        json_object_end(json);
    }
    json_array_end(json);
}
