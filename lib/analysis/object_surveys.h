/* Surveys of the Python objects that a trace holds (docs/objects.md), as rows of the report database.
 *
 * Consumes the properties objects.0, objects.1, … (docs/trace_format.md, "Surveys of objects"), produces the tables object_survey, object_type and
 * object_step. Trusts nothing in the trace: lines that don't fit are left out. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_OBJECT_SURVEYS_H
#define HEAPLINE_ANALYSIS_OBJECT_SURVEYS_H

#include <sqlite3.h>

#include "definition_table.h"

#define OBJECT_SURVEYS_PREFIX "objects."

/* Returns 0, STATUS_DATABASE or STATUS_NO_MEMORY. */
int object_surveys_write(sqlite3 *database, const struct definition_table *definitions);

#endif
