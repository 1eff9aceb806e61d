/* See attach_python.h. The interpreter is given the path of a script. The script begins by taking away a file, the token, and so do we when we have
 * waited long enough: who has taken it away has the word. What comes too late finds none, and does nothing. */
#include "attach_python.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "python_script.h"

#define PATIENCE_MS 1000     /* for the main thread to come by */
#define CALL_LIMIT_MS 20000
#define SETTLE_MS 500
#define STEP_MS 1

#define SCRIPT "script.py"
#define TOKEN "token"
#define ANSWER "answer"

/* The folder of the files, in the process's own /tmp, which need not be ours. */
struct errand {
    pid_t pid;
    int parent, folder;
    char name[48];
    const char *library, *function;
    const uint8_t *argument; /* NULL: none */
    size_t argument_bytes;
};

/* ---- files ---- */

/* Who will read them: the user that the process accesses files as. */
static int read_owner(pid_t pid, uid_t *ret_user)
{
    char path[32], line[256];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "Uid: %*u %*u %*u %u", ret_user) == 1;
    if (file)
        fclose(file);
    return found ? 0 : -1;
}

static int make_folder(struct errand *errand)
{
    char path[48];
    uint64_t number;
    uid_t user;
    snprintf(path, sizeof path, "/proc/%d/root/tmp", (int)errand->pid);
    errand->parent = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (errand->parent < 0 || read_owner(errand->pid, &user) || getrandom(&number, sizeof number, 0) != sizeof number)
        return -1;
    snprintf(errand->name, sizeof errand->name, "heapline-attach-%016llx", (unsigned long long)number);
    if (mkdirat(errand->parent, errand->name, 0700))
        return -1;
    errand->folder = openat(errand->parent, errand->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return errand->folder < 0 || (user != geteuid() && fchown(errand->folder, user, (gid_t)-1)) ? -1 : 0;
}

static FILE *create(const struct errand *errand, const char *name)
{
    int file = openat(errand->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0)
        return NULL;
    fchmod(file, 0666); /* nobody else comes into the folder */
    return fdopen(file, "w");
}

static int finish(FILE *file)
{
    int failed = ferror(file);
    return fclose(file) || failed ? -1 : 0;
}

static void remove_files(const struct errand *errand)
{
    static const char *const names[] = {TOKEN, SCRIPT, ANSWER};
    for (size_t i = 0; errand->folder >= 0 && i < sizeof names / sizeof *names; i++)
        unlinkat(errand->folder, names[i], 0);
    if (errand->parent >= 0 && errand->name[0])
        unlinkat(errand->parent, errand->name, AT_REMOVEDIR);
    if (errand->folder >= 0)
        close(errand->folder);
    if (errand->parent >= 0)
        close(errand->parent);
}

/* ---- the script ---- */

static void put_bytes(FILE *file, const void *bytes, size_t count)
{
    fputs("b'", file);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "\\x%02x", ((const uint8_t *)bytes)[i]);
    fputc('\'', file);
}

/* Bytes instead of text: whatever the path's encoding. What it does after the call is recorded, so that is little. */
static int write_script(const struct errand *errand)
{
    FILE *file = create(errand, SCRIPT);
    if (!file)
        return -1;
    fprintf(file, "def heapline():\n"
                  "    import posix\n"
                  "    folder, digit = '/tmp/%s/', b'0'\n"
                  "    try:\n"
                  "        posix.kill(%d, 0)\n"
                  "    except ProcessLookupError:\n"
                  "        return\n"
                  "    except OSError:\n"
                  "        pass\n"
                  "    try:\n"
                  "        answer = posix.open(folder + '%s', posix.O_WRONLY | posix.O_CLOEXEC)\n"
                  "    except OSError:\n"
                  "        return\n"
                  "    try:\n"
                  "        posix.unlink(folder + '%s')\n"
                  "    except OSError:\n"
                  "        posix.close(answer)\n"
                  "        return\n"
                  "    digits = (b'0', b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'8', b'9')\n"
                  "    try:\n"
                  "        import _ctypes\n"
                  "        library = _ctypes.dlopen(", errand->name, (int)getpid(), ANSWER, TOKEN);
    put_bytes(file, errand->library, strlen(errand->library));
    fprintf(file, ", posix.RTLD_NOW)\n        arguments = (");
    if (errand->argument)
        put_bytes(file, errand->argument, errand->argument_bytes);
    else
        fputs("None", file);
    fprintf(file, ",)\n"
                  "        digit = digits[_ctypes.call_cdeclfunction(_ctypes.dlsym(library, '%s'), arguments)]\n"
                  "    except Exception:\n"
                  "        pass\n"
                  "    posix.write(answer, digit)\n"
                  "    posix.close(answer)\n"
                  "heapline()\n", errand->function);
    return finish(file);
}

static int write_files(const struct errand *errand)
{
    FILE *token = create(errand, TOKEN), *answer = create(errand, ANSWER);
    int failed = !token || !answer;
    if (token)
        failed |= finish(token);
    if (answer)
        failed |= finish(answer);
    return failed || write_script(errand) ? -1 : 0;
}

/* ---- waiting ---- */

static int process_is_there(const struct errand *errand)
{
    return kill(errand->pid, 0) == 0 || errno != ESRCH;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int is_taken(const struct errand *errand)
{
    return faccessat(errand->folder, TOKEN, F_OK, 0) != 0;
}

static int is_answered(const struct errand *errand)
{
    struct stat answer;
    return fstatat(errand->folder, ANSWER, &answer, 0) == 0 && answer.st_size > 0;
}

/* Does the main thread wait in a system call? Then it isn't between its look at the request and the script. */
static int is_waiting(const struct errand *errand)
{
    char path[32], text[16] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)errand->pid);
    FILE *file = fopen(path, "re");
    int is_read = file && fgets(text, sizeof text, file);
    if (file)
        fclose(file);
    return is_read && text[0] >= '0' && text[0] <= '9';
}

static int await(const struct errand *errand, int (*condition)(const struct errand *), int limit_ms)
{
    int64_t end_ms = now_ms() + limit_ms;
    while (!condition(errand)) {
        if (now_ms() >= end_ms || !process_is_there(errand))
            return 0;
        usleep(STEP_MS * 1000);
    }
    return 1;
}

/* ---- */

static enum attach_python_status read_answer(const struct errand *errand, int *ret_result)
{
    char digit = '0';
    if (!await(errand, is_answered, CALL_LIMIT_MS))
        return process_is_there(errand) ? ATTACH_PYTHON_AT_WORK : ATTACH_PYTHON_NOT;
    int file = openat(errand->folder, ANSWER, O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, &digit, 1) != 1 || digit < '1' || digit > '9')
        digit = '0';
    if (file >= 0)
        close(file);
    if (digit == '0')
        return ATTACH_PYTHON_NOT;
    *ret_result = digit - '0';
    return ATTACH_PYTHON_CALLED;
}

static enum attach_python_status run_errand(struct errand *errand, const struct python_script_place *place, int *ret_result)
{
    char path[96];
    if (make_folder(errand) || write_files(errand))
        return ATTACH_PYTHON_NOT;
    snprintf(path, sizeof path, "/tmp/%s/%s", errand->name, SCRIPT);
    if (python_script_put(place, path))
        return ATTACH_PYTHON_NOT;
    if (await(errand, is_taken, PATIENCE_MS))
        return read_answer(errand, ret_result);
    python_script_take_back(place);
    if (unlinkat(errand->folder, TOKEN, 0))
        return read_answer(errand, ret_result);
    await(errand, is_waiting, SETTLE_MS); /* the script must be there for who has read its path */
    return ATTACH_PYTHON_NOT;
}

enum attach_python_status attach_by_python(pid_t pid, const char *library, const char *function, const void *argument, size_t argument_bytes,
                                           int *ret_result)
{
    struct errand errand = {.pid = pid, .parent = -1, .folder = -1, .library = library, .function = function, .argument = argument,
                            .argument_bytes = argument_bytes};
    struct python_script_place place;
    sigset_t all, before;
    if (python_script_open(pid, &place))
        return ATTACH_PYTHON_NOT;
    /* Whoever ends us now leaves a request behind. */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    enum attach_python_status status = run_errand(&errand, &place, ret_result);
    remove_files(&errand);
    python_script_close(&place);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}
