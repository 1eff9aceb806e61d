/* See capture.h. */
#include "capture.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy_hooks.h"
#include "dormant.h"
#include "late_start.h"
#include "native_check.h"
#include "native_fallback.h"
#include "process_hooks.h"
#include "python_attach.h"
#include "real.h"
#include "recorder.h"
#include "sampling.h"
#include "session_start.h"
#include "thread_registry.h"

enum capture_state { CAPTURE_UNTRIED, CAPTURE_STARTING, CAPTURE_DONE };
static _Atomic uint32_t capture_state;

int capture_start(const struct attach_settings *settings)
{
    uint32_t expected = CAPTURE_UNTRIED;
    if (!atomic_compare_exchange_strong(&capture_state, &expected, CAPTURE_STARTING))
        return recorder_session != NULL;
    recorder_mark_process();
    recorder_session = session_start(settings);
    if (recorder_session)
        sampling_start();
    /* At once: other libraries' constructors, which run before ours, copy too. */
    if (recorder_session && recorder_session->flags & SESSION_COPIES)
        copy_hooks_init(recorder_session->copy_threshold_bytes);
    atomic_store(&capture_state, CAPTURE_DONE);
    return recorder_session != NULL;
}

static void drop_variable(char **environment, const char *prefix)
{
    char **kept = environment;
    for (char **entry = environment; *entry; entry++)
        if (strncmp(*entry, prefix, strlen(prefix)) != 0)
            *kept++ = *entry;
    *kept = NULL;
}

/* Take our own entry out of LD_PRELOAD=a:b c, in place. */
static void drop_from_preload(char *value)
{
    char *kept = value;
    for (char *word = value; *word;) {
        size_t bytes = strcspn(word, ": ");
        char *next = word + bytes + (word[bytes] != 0);
        if (!memmem(word, bytes, "libheapline.so", strlen("libheapline.so"))) {
            if (kept != value)
                *kept++ = ':';
            memmove(kept, word, bytes);
            kept += bytes;
        }
        word = next;
    }
    *kept = 0;
}

/* With --no-follow the target's children must not find us in their environment. */
static void leave_environment(char **environment)
{
    static const char preload[] = "LD_PRELOAD=";
    for (char **entry = environment; *entry; entry++)
        if (strncmp(*entry, preload, sizeof preload - 1) == 0) {
            drop_from_preload(*entry + sizeof preload - 1);
            if (!(*entry)[sizeof preload - 1])
                drop_variable(environment, preload);
            break;
        }
    drop_variable(environment, "HEAPLINE_");
}

/* Preloaded without `heapline run`: the children must know which run they belong to. */
static void share_session(void)
{
    static const char digits[] = "0123456789abcdef";
    char text[17] = "";
    for (int i = 0; i < 16; i++)
        text[i] = digits[recorder_session->session_id >> (60 - 4 * i) & 15];
    setenv("HEAPLINE_SESSION", text, 0);
}

/* Asks for a block as the program would, and looks whether it came by our hook. Addresses can't tell: in an executable at a fixed address
 * that takes malloc's, the visible one is the executable's own jump to it. */
static void check_interception(void)
{
    void *(*visible_malloc)(size_t) = (void *(*)(size_t))(uintptr_t)real.dlsym(RTLD_DEFAULT, "malloc");
    void (*visible_free)(void *) = (void (*)(void *))(uintptr_t)real.dlsym(RTLD_DEFAULT, "free");
    uint64_t before = recorder_own_requests;
    if (visible_malloc && visible_free)
        visible_free(visible_malloc(1));
    /* The free passes unseen where only samples are recorded. */
    if (recorder_own_requests - before < 1 + !recorder_filter)
        recorder_session->warnings |= WARNING_MALLOC_NOT_OURS;
}

/* With the session: all that serves the threads that will record. */
static void set_up(void)
{
    native_check_start(real.dlopen, real.dlsym);
    if (recorder_session->flags & SESSION_NATIVE)
        native_fallback_start(real.dlopen, real.dlsym);
    thread_registry_init();
    process_hooks_init();
}

__attribute__((constructor)) static void capture_construct(int argc, char **argv, char **environment)
{
    int saved_errno = errno;
    if (late_start_find_out())
        return; /* nothing before heapline_attach */
    if (!real_available() || !capture_start(NULL)) {
        errno = saved_errno;
        return;
    }
    struct thread_state *thread = current_thread;
    uintptr_t was_busy = thread->busy;
    thread->busy = THREAD_INTERNAL;
    check_interception();
    set_up();
    if (recorder_session->flags & SESSION_FOLLOW)
        share_session();
    else
        leave_environment(environment);
    python_attach_find();
    /* The name of the trace is this process's before a child of it, or the next image that it runs, can ask for one; and whoever waits for
     * the process finds the file when it has ended, however soon that is. Some milliseconds, once a run: the others have names of their own,
     * and wait before they execute something else or end. */
    if (!(recorder_session->flags & SESSION_LATER))
        collector_await(recorder_session);
    dormant_begin(recorder_session);
    /* Registration by a hook that runs meanwhile can't have happened: the flag kept them out. */
    thread->busy = was_busy;
    errno = saved_errno;
}

int capture_start_late(const struct attach_settings *settings)
{
    if (!real_available() || !capture_start(settings))
        return 0;
    set_up();
    python_attach_find();
    return 1;
}
