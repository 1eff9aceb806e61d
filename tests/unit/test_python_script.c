/* Requests for an interpreter's remote execution: this program's child stands for the interpreter. What it publishes lies where CPython has it; its
 * states lie in memory that the parent sees too. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "python_script.h"

__attribute__((visibility("default"), used)) uint64_t _PyRuntime[256];

enum { FINAL_314 = 0x030e02f0, FINAL_315 = 0x030f00f0 };
enum { INTERPRETER_BYTES = 4096, THREAD_BYTES = 2048, PATH_ROOM = 64 };
/* Where this interpreter keeps what it publishes. */
enum { HEAD = 1600, FINALIZING = 1608, ID = 16, NEXT = 24, MAIN_THREAD = 32, ENABLED = 3000, BREAKER = 8, REQUEST = 1024, PENDING = 4, PATH = 12 };

static char *interpreters[2]; /* the main one, and another */
static char *thread;

static void put_word(char *object, size_t offset, uint64_t value)
{
    memcpy(object + offset, &value, sizeof value);
}

static uint64_t word_of(const char *object, size_t offset)
{
    uint64_t value;
    memcpy(&value, object + offset, sizeof value);
    return value;
}

static int32_t pending(void)
{
    int32_t value;
    memcpy(&value, thread + REQUEST + PENDING, sizeof value);
    return value;
}

static void put_int(char *object, size_t offset, int32_t value)
{
    memcpy(object + offset, &value, sizeof value);
}

static void publish(uint64_t version, unsigned support)
{
    static const uint64_t supports[] = {BREAKER, REQUEST, ENABLED, PENDING, PATH, PATH_ROOM};
    memset(_PyRuntime, 0, sizeof _PyRuntime);
    memcpy(_PyRuntime, "xdebugpy", 8);
    _PyRuntime[1] = version;
    _PyRuntime[4] = FINALIZING;
    _PyRuntime[5] = HEAD;
    _PyRuntime[6] = INTERPRETER_BYTES;
    _PyRuntime[7] = ID;
    _PyRuntime[8] = NEXT;
    _PyRuntime[10] = MAIN_THREAD;
    _PyRuntime[22] = THREAD_BYTES;
    memcpy(_PyRuntime + support, supports, sizeof supports);
    put_word((char *)_PyRuntime, HEAD, (uint64_t)(uintptr_t)interpreters[1]);
    memset(interpreters[0], 0, INTERPRETER_BYTES);
    memset(interpreters[1], 0, INTERPRETER_BYTES);
    memset(thread, 0, THREAD_BYTES);
    put_word(interpreters[1], ID, 1);
    put_word(interpreters[1], NEXT, (uint64_t)(uintptr_t)interpreters[0]);
    put_word(interpreters[0], MAIN_THREAD, (uint64_t)(uintptr_t)thread);
    put_int(interpreters[0], ENABLED, 1);
}

/* A process as it is now. */
static pid_t begin(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    while (pid == 0)
        pause();
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    CHECK_EQUAL(waitpid(pid, NULL, 0), pid);
}

static void test_request(uint64_t version, unsigned support)
{
    struct python_script_place place;
    publish(version, support);
    put_word(thread, BREAKER, 0x1234567811ull); /* another asks for the GIL, and a collection is due */
    pid_t pid = begin();
    CHECK_EQUAL(python_script_open(pid, &place), 0);
    CHECK_EQUAL(python_script_put(&place, "/tmp/some/script.py"), 0);
    CHECK_STRING(thread + REQUEST + PATH, "/tmp/some/script.py");
    CHECK_EQUAL(pending(), 1);
    CHECK_EQUAL(word_of(thread, BREAKER), 0x123456783eull);
    CHECK_EQUAL(python_script_put(&place, "/tmp/another.py"), -1); /* one waits */
    CHECK_STRING(thread + REQUEST + PATH, "/tmp/some/script.py");
    python_script_take_back(&place);
    CHECK_EQUAL(pending(), 0);
    CHECK_STRING(thread + REQUEST + PATH, "");
    CHECK_EQUAL(word_of(thread, BREAKER), 0x123456783eull);
    CHECK_EQUAL(python_script_put(&place, "/234567890123456789012345678901234567890123456789012345678901234"), -1);
    CHECK_EQUAL(pending(), 0);
    CHECK_EQUAL(python_script_put(&place, "/23456789012345678901234567890123456789012345678901234567890123"), 0);
    CHECK_EQUAL(strlen(thread + REQUEST + PATH), PATH_ROOM - 1);
    CHECK_EQUAL(pending(), 1);
    end(pid);
    put_int(thread, REQUEST + PENDING, 0);
    CHECK_EQUAL(python_script_put(&place, "/tmp/some/script.py"), -1);
    python_script_close(&place);
    CHECK_EQUAL(python_script_open(pid, &place), -1);
}

static int can_open(void)
{
    struct python_script_place place;
    pid_t pid = begin();
    int status = python_script_open(pid, &place);
    if (status == 0)
        python_script_close(&place);
    end(pid);
    return status == 0;
}

static void test_refusals(void)
{
    publish(FINAL_314, 89);
    CHECK(can_open());
    publish(0x030d01f0, 89); /* 3.13 */
    CHECK(!can_open());
    publish(0x031000f0, 105); /* 3.16 */
    CHECK(!can_open());
    publish(0x030f00a3, 105); /* an alpha version */
    CHECK(!can_open());
    publish(FINAL_314, 89);
    memcpy(_PyRuntime, "something", 8);
    CHECK(!can_open());
    publish(FINAL_314, 89);
    put_int(interpreters[0], ENABLED, 0);
    put_int(interpreters[1], ENABLED, 1);
    CHECK(!can_open());
    publish(FINAL_314, 89);
    put_word((char *)_PyRuntime, FINALIZING, 1);
    CHECK(!can_open());
    publish(FINAL_314, 89);
    put_word(interpreters[0], MAIN_THREAD, 0);
    CHECK(!can_open());
    publish(FINAL_314, 89);
    put_word((char *)_PyRuntime, HEAD, 0);
    CHECK(!can_open());
    publish(FINAL_314, 89);
    put_word(interpreters[0], ID, 2); /* none is the main one */
    CHECK(!can_open());
    for (unsigned i = 0; i < 5; i++) { /* offsets beyond what they are in */
        publish(FINAL_314, 89);
        _PyRuntime[89 + i] = INTERPRETER_BYTES;
        CHECK(!can_open());
    }
}

int main(void)
{
    char *shared = mmap(NULL, 3 * INTERPRETER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    interpreters[0] = shared;
    interpreters[1] = shared + INTERPRETER_BYTES;
    thread = shared + 2 * INTERPRETER_BYTES;
    test_request(FINAL_314, 89);
    test_request(FINAL_315, 105);
    test_refusals();
    return 0;
}
