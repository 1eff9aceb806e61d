/* See late_start.h. */
#include "late_start.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#include "capture.h"
#include "compiler.h"
#include "late_redirect.h"
#include "recorder.h"

int late_started;

static const struct link_map *find_module(const struct link_map *modules, int (*is_it)(const struct link_map *))
{
    while (modules && !is_it(modules))
        modules = modules->l_next;
    return modules;
}

static int is_ours(const struct link_map *module)
{
    return module->l_ld == _DYNAMIC;
}

static int is_libc(const struct link_map *module)
{
    const char *name = module->l_name ? module->l_name : "", *slash = strrchr(name, '/');
    return !strcmp(slash ? slash + 1 : name, "libc.so.6");
}

/* What is preloaded or linked stands before libc in the loader's list, which is in the order of loading. We are in a constructor: nobody
 * changes the list. */
int late_start_find_out(void)
{
    const struct link_map *libc = find_module(_r_debug.r_map, is_libc);
    late_started = libc && find_module(libc, is_ours) != NULL;
    return late_started;
}

static int begin(const struct attach_settings *settings)
{
    struct thread_state *thread = current_thread; /* what all threads have: none is recorded yet */
    uintptr_t was_busy = thread->busy;
    thread->busy = THREAD_INTERNAL;
    int began = capture_start_late(settings);
    thread->busy = was_busy;
    return began;
}

EXPORT int heapline_attach(const struct attach_settings *settings)
{
    int saved_errno = errno, is_first = !recorder_session, result = ATTACH_REFUSED;
    if (settings->magic != ATTACH_MAGIC || settings->bytes != sizeof *settings)
        return ATTACH_OTHER_VERSION;
    if (!late_started)
        return ATTACH_PRELOADED;
    if (late_redirect_is_active())
        return ATTACH_ALREADY;
    if (!is_first && !*recorder_mark)
        return ATTACH_FORKED;
    if (!is_first)
        recorder_follow_sampling();
    if (!is_first || begin(settings)) {
        late_redirect_start((recorder_session->flags & SESSION_COPIES) != 0);
        result = is_first ? ATTACH_STARTED : ATTACH_AGAIN;
    }
    errno = saved_errno;
    return result;
}

EXPORT int heapline_detach(void)
{
    if (!late_redirect_is_active())
        return DETACH_NOTHING;
    late_redirect_stop();
    return DETACH_DONE;
}
