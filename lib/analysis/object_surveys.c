/* See object_surveys.h. */
#include "object_surveys.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "store_insert.h"
#include "text_field.h"

#define SUMMARY_FIELDS 7

static const char *const outcome_names[] = {
    [0] = "whole", [5] = "no memory", [6] = "out of time", [7] = "not taken", /* enum survey_outcome; the others have no survey */
};

struct surveys {
    struct insert surveys, types, steps;
    const struct definition_table *definitions;
    int64_t survey_id; /* -1: none has begun */
    int64_t path_id;   /* of the trace; -1: none has begun */
    int64_t step;
    uint64_t stack_id;
};

static uint64_t next_number(char **text)
{
    return strtoull(text_field_next(text, '\t'), NULL, 10);
}

static int next_stack(struct surveys *surveys, char **text, uint64_t *ret_stack_id)
{
    uint64_t stack_id = next_number(text);
    if (stack_id >= surveys->definitions->node_count)
        return 0;
    *ret_stack_id = stack_id;
    return 1;
}

static void add_summary(struct surveys *surveys, char *line)
{
    uint64_t fields[SUMMARY_FIELDS];
    for (int i = 0; i < SUMMARY_FIELDS; i++)
        fields[i] = next_number(&line);
    uint64_t outcome = fields[SUMMARY_FIELDS - 1];
    insert_signed(&surveys->surveys, surveys->survey_id);
    for (int i = 0; i < SUMMARY_FIELDS - 1; i++)
        insert_number(&surveys->surveys, fields[i]);
    insert_text(&surveys->surveys, outcome < sizeof outcome_names / sizeof *outcome_names ? outcome_names[outcome] : NULL);
    insert_row(&surveys->surveys);
}

static void add_type(struct surveys *surveys, char *line)
{
    uint64_t stack_id;
    if (!next_stack(surveys, &line, &stack_id))
        return;
    insert_signed(&surveys->types, surveys->survey_id);
    insert_number(&surveys->types, stack_id);
    insert_number(&surveys->types, next_number(&line));
    insert_number(&surveys->types, next_number(&line));
    insert_text(&surveys->types, line);
    insert_row(&surveys->types);
}

static void begin_path(struct surveys *surveys, char *line, int64_t *last_path)
{
    surveys->path_id = next_stack(surveys, &line, &surveys->stack_id) ? ++*last_path : -1;
    surveys->step = 0;
}

static void add_step(struct surveys *surveys, char *kind, char *line)
{
    char *name = text_field_next(&line, '\t');
    insert_signed(&surveys->steps, surveys->path_id);
    insert_signed(&surveys->steps, surveys->step++);
    insert_signed(&surveys->steps, surveys->survey_id);
    insert_number(&surveys->steps, surveys->stack_id);
    insert_text(&surveys->steps, kind);
    insert_text(&surveys->steps, name);
    insert_text(&surveys->steps, line);
    insert_row(&surveys->steps);
}

static void add_line(struct surveys *surveys, char *line, int64_t *last_path)
{
    char *kind = text_field_next(&line, '\t');
    if (!strcmp(kind, "survey")) {
        surveys->survey_id = (int64_t)(next_number(&line) & INT32_MAX);
        surveys->path_id = -1;
    } else if (surveys->survey_id < 0 || !*kind) {
        return;
    } else if (!strcmp(kind, "summary")) {
        add_summary(surveys, line);
    } else if (!strcmp(kind, "type")) {
        if (surveys->path_id < 0)
            add_type(surveys, line);
        else
            add_step(surveys, kind, line); /* a step of that kind: what leads to an object's type */
    } else if (!strcmp(kind, "path")) {
        begin_path(surveys, line, last_path);
    } else if (surveys->path_id >= 0) {
        add_step(surveys, kind, line);
    }
}

static int add_text(struct surveys *surveys, const char *text, int64_t *last_path)
{
    char *copy = strdup(text), *rest = copy;
    if (!copy)
        return STATUS_NO_MEMORY;
    surveys->survey_id = surveys->path_id = -1;
    while (*rest)
        add_line(surveys, text_field_next(&rest, '\n'), last_path);
    free(copy);
    return STATUS_OK;
}

int object_surveys_write(sqlite3 *database, const struct definition_table *definitions)
{
    struct surveys surveys = {.definitions = definitions};
    int64_t last_path = 0;
    int status = STATUS_OK;
    insert_begin(&surveys.surveys, database, "object_survey", 8);
    insert_begin(&surveys.types, database, "object_type", 5);
    insert_begin(&surveys.steps, database, "object_step", 7);
    for (uint32_t i = 0; i < definitions->property_count && !status; i++)
        if (!strncmp(definitions->properties[i].key, OBJECT_SURVEYS_PREFIX, strlen(OBJECT_SURVEYS_PREFIX)))
            status = add_text(&surveys, definitions->properties[i].value, &last_path);
    int inserted = insert_end(&surveys.surveys) | insert_end(&surveys.types) | insert_end(&surveys.steps);
    return status ? status : inserted ? STATUS_DATABASE : STATUS_OK;
}
