/* "called from": which of the user's own lines is behind a library's line (line_rows.h). */
#include <stdlib.h>
#include <string.h>

#include "line_rows.h"
#include "memory.h"
#include "paths.h"
#include "stack_rows.h"

/* The stack credited to the line that has the most of the measure; 0: none. */
static int64_t heaviest_stack(sqlite3 *database, const struct line_row *row, enum measure measure)
{
    int64_t stack_id = 0;
    char *sql = memory_format("SELECT %s_stack_id FROM line_stack WHERE line_id = ?1", measures[measure].name);
    sqlite3_stmt *statement = query_prepare(database, sql);
    sqlite3_bind_int64(statement, 1, row->line_id);
    if (query_step(statement)) {
        stack_id = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
    }
    free(sql);
    return stack_id;
}

static int is_users(const char *origin)
{
    return origin && !strcmp(origin, "user");
}

char *line_caller(const struct reading *reading, sqlite3 *database, const struct line_row *row, enum measure measure)
{
    struct stack_walker walker;
    char *caller = NULL;
    if (!row->file || (row->line <= 0 && !reading->by) || is_users(row->origin))
        return memory_copy("");
    stack_walker_init(&walker, database);
    const struct stack_frames *frames = stack_walk(&walker, heaviest_stack(database, row, measure));
    for (int i = 0; i < frames->count && !caller; i++)
        if (is_users(frames->frames[i].origin) && frames->frames[i].file)
            caller = line_place(reading, paths_base(frames->frames[i].file), frames->frames[i].line, NULL);
    stack_walker_done(&walker);
    return caller ? caller : memory_copy("");
}
