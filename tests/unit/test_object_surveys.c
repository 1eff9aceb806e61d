/* object_surveys.c: properties of a trace, and the exact rows of the report database that they become. */
#include "check.h"
#include "report_check.h"

static struct script script;
static sqlite3 *database;

static void begin(void)
{
    script = (struct script){0};
    script_node(&script, 0);
    script_node(&script, 1);
    script_allocate(&script, 100, 1, 0);
}

static void open_report(const char *name)
{
    database = report_open(script_save(&script, name, TRACE_END_EXIT));
}

static void end(void)
{
    sqlite3_close(database);
    script_done(&script);
}

static int64_t rows_of(const char *table)
{
    return report_number(database, "SELECT count(*) FROM %s", table);
}

static void test_rows(void)
{
    begin();
    script_property(&script, "objects.0", "survey\t0\nsummary\t5000\t700\t90\t3\t2\t1234\t0\n"
                                          "type\t1\t2\t1000\tapp.Session\ntype\t2\t0\t234\tdict\n"
                                          "path\t1\nmodule\tapp\tmodule\nglobal\tCACHE\tdict\nkey\t'a'\tapp.Session\n");
    /* A piece says again which survey it is of; numbers of paths go on. */
    script_property(&script, "objects.1", "survey\t0\npath\t2\nframe\tmain\t/srv/app.py\ntype\t\tapp.Session\n");
    script_property(&script, "objects.2", "survey\t1\nsummary\t9000\t1\t2\t0\t1\t16\t6\ntype\t2\t1\t16\tint\n");
    script_property(&script, "objection", "survey\t7\nsummary\t1\t1\t1\t1\t1\t1\t0\n");
    open_report("rows");
    CHECK_EQUAL(rows_of("object_survey"), 2);
    CHECK_EQUAL(report_number(database, "SELECT time_ns FROM object_survey WHERE survey_id = 0"), 5000);
    CHECK_EQUAL(report_number(database, "SELECT pause_ns FROM object_survey WHERE survey_id = 0"), 700);
    CHECK_EQUAL(report_number(database, "SELECT objects FROM object_survey WHERE survey_id = 0"), 90);
    CHECK_EQUAL(report_number(database, "SELECT unreached_objects FROM object_survey WHERE survey_id = 0"), 3);
    CHECK_EQUAL(report_number(database, "SELECT recorded_objects FROM object_survey WHERE survey_id = 0"), 2);
    CHECK_EQUAL(report_number(database, "SELECT recorded_bytes FROM object_survey WHERE survey_id = 0"), 1234);
    CHECK(!strcmp(report_text(database, "SELECT group_concat(outcome) FROM (SELECT outcome FROM object_survey ORDER BY survey_id)"),
                  "whole,out of time"));
    CHECK(!strcmp(report_text(database, "SELECT group_concat(survey_id || ' ' || stack_id || ' ' || objects || ' ' || bytes || ' ' || type, ', ') "
                                        "FROM (SELECT * FROM object_type ORDER BY survey_id, stack_id)"),
                  "0 1 2 1000 app.Session, 0 2 0 234 dict, 1 2 1 16 int"));
    CHECK(!strcmp(report_text(database, "SELECT group_concat(path_id || '.' || step || ' ' || stack_id || ' ' || kind || ' ' || name || ' ' || type, "
                                        "', ') FROM (SELECT * FROM object_step ORDER BY path_id, step)"),
                  "1.0 1 module app module, 1.1 1 global CACHE dict, 1.2 1 key 'a' app.Session, 2.0 2 frame main /srv/app.py, "
                  "2.1 2 type  app.Session"));
    end();
}

/* What doesn't fit is left out, and nothing else is. */
static void test_nonsense(void)
{
    begin();
    script_property(&script, "objects.0", "summary\t1\t1\t1\t1\t1\t1\t0\ntype\t1\t1\t1\tearly\npath\t1\nmodule\tm\tt\n"); /* of no survey */
    script_property(&script, "objects.1", "survey\t4\n\n\t\nsummary\nsummary\t18446744073709551615\t2\t3\t4\t5\t6\t4294967295\n"
                                          "type\t3\t1\t1\tno such stack\ntype\t-1\t1\t1\tnor this\ntype\t1\t5\ntype\t1\t1\t2\tgood\n"
                                          "path\t99\nmodule\tm\tt\npath\t2\nattribute\n");
    open_report("nonsense");
    CHECK_EQUAL(rows_of("object_survey"), 1);
    CHECK_EQUAL(report_number(database, "SELECT time_ns FROM object_survey WHERE survey_id = 4"), INT64_MAX);
    CHECK_EQUAL(report_number(database, "SELECT recorded_bytes FROM object_survey WHERE survey_id = 4"), 6);
    CHECK(!strcmp(report_text(database, "SELECT outcome FROM object_survey"), "NULL"));
    CHECK(!strcmp(report_text(database, "SELECT group_concat(objects || ' ' || bytes || ' ' || type, ', ') FROM object_type"),
                  "5 0 , 1 2 good"));
    CHECK(!strcmp(report_text(database, "SELECT group_concat(path_id || '.' || step || ' ' || stack_id || ' ' || kind || '/' || name || '/' || type, "
                                        "', ') FROM object_step"), "1.0 2 attribute//"));
    end();
}

static void test_none(void)
{
    begin();
    open_report("none");
    CHECK_EQUAL(rows_of("object_survey") + rows_of("object_type") + rows_of("object_step"), 0);
    end();
}

int main(void)
{
    test_rows();
    test_nonsense();
    test_none();
    test_folder_remove();
    return 0;
}
