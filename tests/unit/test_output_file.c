/* output_file.c: who gets which name. */
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "output_file.h"
#include "trace_reader.h"

static char folder[64], path[100];

static struct trace_identity identity_of(uint64_t session_id, uint32_t pid)
{
    return (struct trace_identity){.session_id = session_id, .pid = pid};
}

/* Create, write the identity, as the collector does. Returns the path it got; the file stays open and locked in *ret_output. */
static const char *create(struct output_file *ret_output, uint64_t session_id, uint32_t pid, int force, uint32_t flags)
{
    struct trace_identity identity = identity_of(session_id, pid);
    struct trace_writer *writer;
    identity.flags = flags;
    CHECK_EQUAL(output_file_create(ret_output, path, force, &identity), 0);
    CHECK_EQUAL(trace_writer_open(ret_output->file, &identity, &writer), 0);
    trace_writer_close(writer, NULL);
    return ret_output->path + strlen(path);
}

static struct trace_identity identity_in(const char *suffix)
{
    char file[200];
    struct trace_reader *reader;
    snprintf(file, sizeof file, "%s%s", path, suffix);
    CHECK_EQUAL(trace_reader_open(file, &reader, NULL), 0);
    struct trace_identity identity = trace_reader_overview(reader)->identity;
    trace_reader_close(reader);
    return identity;
}

static int is_locked(const char *suffix)
{
    char file[200];
    snprintf(file, sizeof file, "%s%s", path, suffix);
    FILE *opened = fopen(file, "r");
    int locked = opened && flock(fileno(opened), LOCK_EX | LOCK_NB) != 0;
    fclose(opened);
    return locked;
}

static void check_names_of_a_run(void)
{
    struct output_file root, child, forked, stranger, successor;
    CHECK_STRING(create(&root, 1, 100, 0, 0), "");
    CHECK(is_locked(""));
    CHECK_STRING(create(&child, 1, 200, 0, 0), ".200");
    CHECK_STRING(create(&forked, 1, 300, 0, TRACE_FORKED), ".300");
    CHECK_STRING(create(&stranger, 2, 400, 0, 0), ".400");
    /* An exec: the new program takes the name, the old one's trace steps aside. */
    output_file_close(&child);
    CHECK(!is_locked(".200"));
    CHECK_STRING(create(&successor, 1, 200, 0, 0), ".200");
    CHECK_EQUAL(identity_in(".200").flags, TRACE_EXECED);
    CHECK_EQUAL(identity_in(".200.1").flags, 0);
    output_file_close(&successor);
    CHECK_STRING(create(&successor, 1, 200, 0, 0), ".200");
    CHECK_EQUAL(identity_in(".200.2").flags, TRACE_EXECED);
    output_file_close(&root);
    output_file_close(&successor);
    CHECK_STRING(create(&successor, 1, 100, 0, 0), "");
    CHECK_EQUAL(identity_in("").flags, TRACE_EXECED);
    CHECK_EQUAL(identity_in(".100.1").flags, 0);
    /* Another run's process finds both its names taken. */
    CHECK_STRING(create(&child, 3, 300, 0, 0), ".300.1");
    output_file_close(&child);
    output_file_close(&forked);
    output_file_close(&stranger);
    output_file_close(&successor);
}

static void check_force(void)
{
    struct output_file output, other;
    CHECK_STRING(create(&output, 7, 1, 1, 0), "");
    CHECK_EQUAL(identity_in("").session_id, 7);
    /* Not what is being written … */
    CHECK_STRING(create(&other, 8, 2, 1, 0), ".2");
    output_file_close(&other);
    output_file_close(&output);
    /* … and not a forked child's parent's. */
    CHECK_STRING(create(&output, 7, 3, 1, TRACE_FORKED), ".3");
    output_file_close(&output);
    FILE *text = fopen(path, "w");
    CHECK(text && fputs("not a trace", text) >= 0 && fclose(text) == 0);
    CHECK_STRING(create(&output, 9, 4, 0, 0), ".4");
    output_file_close(&output);
    CHECK_STRING(create(&output, 9, 5, 1, 0), "");
    output_file_close(&output);
}

static void check_errors(void)
{
    struct output_file output;
    struct trace_identity identity = identity_of(1, 1);
    char long_path[OUTPUT_PATH_BYTES + 10];
    CHECK_EQUAL(output_file_create(&output, "/nonexistent/folder/x", 0, &identity), STATUS_SYSTEM);
    CHECK_EQUAL(errno, ENOENT);
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = 0;
    CHECK_EQUAL(output_file_create(&output, long_path, 0, &identity), STATUS_SYSTEM);
    CHECK_EQUAL(errno, ENAMETOOLONG);
    CHECK_EQUAL(output_file_create(&output, "/dev/null", 1, &identity), 0);
    CHECK_STRING(output.path, "/dev/null");
    output_file_close(&output);
    struct stat about;
    CHECK(stat("/dev/null", &about) == 0 && S_ISCHR(about.st_mode));
}

/* Many processes of one run at once: every one gets a file of its own, one of them PATH. */
static void check_race(void)
{
    enum { PROCESSES = 20 };
    snprintf(path, sizeof path, "%s/race", folder);
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            struct output_file output;
            const char *suffix = create(&output, 5, 1000 + (uint32_t)i, 0, 0);
            _exit(*suffix == 0);
        }
    int roots = 0;
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        CHECK(wait(&status) > 0 && WIFEXITED(status));
        roots += WEXITSTATUS(status);
    }
    CHECK_EQUAL(roots, 1);
    int found = identity_in("").pid >= 1000;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, ".%u", 1000 + i);
        if (identity_in("").pid != 1000 + i) {
            CHECK_EQUAL(identity_in(suffix).pid, 1000 + i);
            found++;
        }
    }
    CHECK_EQUAL(found, PROCESSES);
}

int main(void)
{
    strcpy(folder, "/tmp/heapline-output-XXXXXX");
    CHECK(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/trace", folder);
    check_names_of_a_run();
    snprintf(path, sizeof path, "%s/forced", folder);
    check_force();
    check_errors();
    check_race();
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0;
}
