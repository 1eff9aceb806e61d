/* heapline.h: what a program may tell heapline, the memory profiler, while it is recorded.
 *
 * Header only: nothing to link, nothing to install where the program runs. Without the recorder each call is a test of one variable.
 *
 *     #include <heapline/heapline.h>
 *
 *     uint32_t outer = heapline_tag_push("GET /users");
 *     ... what is allocated and copied here, by this thread, is reported under that tag ...
 *     heapline_tag_set(outer);
 *
 * A tag is a thread's own. Tags nest. Names are kinds of work ("GET /users"), not single pieces of it ("request 1234567"): there may be
 * 2048 of them in a process; further ones are reported together, as "(other tags)". C11 and C++11. */
#ifndef HEAPLINE_H
#define HEAPLINE_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEAPLINE_RECORDER_VERSION 1

/* What the recorder shows of itself under the name `heapline_recorder`; called by the functions below. Later versions add at the end. */
struct heapline_recorder {
    uint32_t version; /* HEAPLINE_RECORDER_VERSION */
    uint32_t bytes;
    uint32_t (*find_tag)(uint32_t outer, const char *name, size_t name_bytes);
    void (*set_tag)(uint32_t tag);
    uint32_t (*get_tag)(void);
    int (*is_recording)(void);
    void *(*python_functions)(void *variable); /* for the Python package */
    int (*set_recording)(int wanted);
};

/* The recorder, if this process was started under it; else NULL. Looked for once in each file that includes this header. */
static inline const struct heapline_recorder *heapline_find_recorder(void)
{
    static const struct heapline_recorder *found;
    static int is_known;
    if (!__atomic_load_n(&is_known, __ATOMIC_ACQUIRE)) {
        const struct heapline_recorder *recorder = (const struct heapline_recorder *)dlsym(NULL, "heapline_recorder"); /* RTLD_DEFAULT */
        if (recorder && recorder->version != HEAPLINE_RECORDER_VERSION)
            recorder = NULL;
        __atomic_store_n(&found, recorder, __ATOMIC_RELAXED);
        __atomic_store_n(&is_known, 1, __ATOMIC_RELEASE);
    }
    return __atomic_load_n(&found, __ATOMIC_RELAXED);
}

/* From here on the calling thread's allocations have this tag, inside the one that it has. `name`: UTF-8, cut after 240 bytes; NULL: nothing
 * changes. Returns the tag it had, for heapline_tag_set; 0: none. Not from a signal handler. */
static inline uint32_t heapline_tag_push(const char *name)
{
    const struct heapline_recorder *recorder = heapline_find_recorder();
    uint32_t outer = 0;
    if (recorder && name) {
        outer = recorder->get_tag();
        recorder->set_tag(recorder->find_tag(outer, name, strlen(name)));
    }
    return outer;
}

/* A name as a tag that stands inside no other, to be set often: cheaper than heapline_tag_push, and how to switch between coroutines.
 * 0: no recorder. */
static inline uint32_t heapline_tag_find(const char *name)
{
    const struct heapline_recorder *recorder = heapline_find_recorder();
    return recorder && name ? recorder->find_tag(0, name, strlen(name)) : 0;
}

/* The calling thread's tag: one that was returned by a function here in this process; 0: none. */
static inline void heapline_tag_set(uint32_t tag)
{
    const struct heapline_recorder *recorder = heapline_find_recorder();
    if (recorder)
        recorder->set_tag(tag);
}

/* The calling thread's tag; 0: none, or no recorder. */
static inline uint32_t heapline_tag_get(void)
{
    const struct heapline_recorder *recorder = heapline_find_recorder();
    return recorder ? recorder->get_tag() : 0;
}

/* 1: this process is being recorded now; 0: no recorder, or paused. */
static inline int heapline_is_recording(void)
{
    const struct heapline_recorder *recorder = heapline_find_recorder();
    return recorder ? recorder->is_recording() : 0;
}

/* For the next two. */
static inline int heapline_set_recording(int wanted)
{
    const struct heapline_recorder *recorder = heapline_find_recorder();
    return recorder && recorder->bytes > offsetof(struct heapline_recorder, set_recording) ? recorder->set_recording(wanted) : 0;
}

/* Record this process from now on, as 'heapline start' does: for programs that were started paused. Other threads notice at their next event;
 * what was allocated before is not known. Takes a millisecond or so. Returns 1: it is recorded; 0: no recorder, or its collector does not
 * answer. Not from a signal handler. */
static inline int heapline_start(void)
{
    return heapline_set_recording(1);
}

/* Record no more, until the next start. The same. */
static inline int heapline_stop(void)
{
    return heapline_set_recording(0);
}

#ifdef __cplusplus
}
#endif

#endif
