/* Chooses and reads sources: see viewer_sources.h. What is confidential is never opened. */
#include "viewer_sources.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "name_pattern.h"
#include "source.h"

#define MAX_FILES 400
#define MAX_FILE_BYTES (512 << 10)
#define CONFIDENTIAL_VARIABLE "HEAPLINE_CONFIDENTIAL"

/* The patterns of the variable, parted by colons. */
static int matches_variable(const char *file)
{
    const char *list = getenv(CONFIDENTIAL_VARIABLE);
    int matches = 0;
    while (list && *list && !matches) {
        size_t length = strcspn(list, ":");
        char *pattern = memory_copy_part(list, length);
        matches = name_pattern_matches(pattern, file);
        free(pattern);
        list += length + (list[length] == ':');
    }
    return matches;
}

static int is_confidential(const struct viewer_choice *choice, const char *file)
{
    for (int i = 0; i < choice->confidential->count; i++)
        if (name_pattern_matches(choice->confidential->texts[i], file))
            return 1;
    return matches_variable(file);
}

static void write_file(const struct reading *reading, sqlite3 *database, const struct viewer_choice *choice, const char *file, int64_t *left_bytes,
                       struct json *json)
{
    int is_newer = 0, confidential = is_confidential(choice, file);
    char *text = choice->no_source || confidential ? NULL : source_text_copy(reading, database, file, MAX_FILE_BYTES, &is_newer);
    int fits = text && (int64_t)strlen(text) <= *left_bytes;
    json_object(json, NULL);
    json_text(json, "file", file);
    if (fits) {
        *left_bytes -= (int64_t)strlen(text);
        json_text(json, "text", text);
        json_boolean(json, "newer", is_newer);
    } else {
        json_text(json, "absent", choice->no_source ? "left out: --no-source" : confidential ? "left out: confidential" :
                                  text ? "left out: the page would become too large" : "the file could not be read when the page was made");
    }
    json_object_end(json);
    free(text);
}

void viewer_sources_write(const struct reading *reading, sqlite3 *database, const struct viewer_choice *choice, int64_t max_bytes,
                          struct json *json)
{
    sqlite3_stmt *row = query_prepare(
        database, "SELECT file FROM line_use_inclusive WHERE file IS NOT NULL AND line IS NOT NULL GROUP BY file "
                  "ORDER BY max(origin IN ('user', 'native')) DESC, max(peak_bytes) + max(allocated_bytes) + max(copied_bytes) DESC, file LIMIT ?1");
    sqlite3_bind_int64(row, 1, MAX_FILES);
    json_array(json, "sources");
    while (query_step(row))
        write_file(reading, database, choice, (const char *)sqlite3_column_text(row, 0), &max_bytes, json);
    json_array_end(json);
}
