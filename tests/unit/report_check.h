/* Helpers of the tests of lib/analysis: make a trace file from a script (trace_script.h), open its report, ask it. */
#ifndef HEAPLINE_TESTS_REPORT_CHECK_H
#define HEAPLINE_TESTS_REPORT_CHECK_H

#include "replay.h"
#include "report_database.h"
#include "trace_script.h"

/* A folder of this test's own, removed by test_folder_remove. Also becomes XDG_CACHE_HOME, so that no test writes elsewhere. */
const char *test_folder(void);
void test_folder_remove(void);
/* A path in it; a static buffer for each of four calls in turn. */
const char *test_path(const char *name);

/* Write the script's trace to test_path(name). end_reason < 0: no end block. Returns the path. */
const char *script_save(struct script *script, const char *name, int end_reason);

/* Definitions with text. They return the new number. */
uint32_t script_code(struct script *script, const char *file, const char *name, int32_t first_line, uint32_t python_version,
                     const void *table, uint32_t table_bytes);
uint32_t script_python_node(struct script *script, uint32_t caller_id, uint32_t code_id, int32_t instruction);
uint32_t script_module(struct script *script, const char *path, const char *build_id, uint32_t build_id_bytes);
uint32_t script_native_node(struct script *script, uint32_t caller_id, uint32_t module_id, uint64_t address);
void script_thread(struct script *script, uint32_t thread_id, const char *name);
void script_property(struct script *script, const char *key, const char *value);

/* Events without a slot of their own. */
void script_time(struct script *script, uint64_t time_ns);
void script_switch(struct script *script, uint32_t thread_id);
void script_copy(struct script *script, uint64_t size_bytes, uint32_t stack_id);
/* Returns the slot. */
uint32_t script_undo_free(struct script *script, uint64_t size_bytes, uint32_t stack_id, unsigned flags);

/* What an open trace file says, which is whole. */
struct replay *replay_file(int file);

/* Open without a cache. */
sqlite3 *report_open(const char *path);
/* The first column of the first row. A missing row fails the test; NULL counts as -999. */
int64_t report_number(sqlite3 *database, const char *sql, ...) __attribute__((format(printf, 2, 3)));
/* The same as text, in a static buffer for each of four calls in turn; "NULL" for NULL. */
const char *report_text(sqlite3 *database, const char *sql, ...) __attribute__((format(printf, 2, 3)));

/* The rules that hold for every report: sums of rows are totals, and so on. */
void check_report_rules(sqlite3 *database);

#endif
