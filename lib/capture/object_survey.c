/* See object_survey.h. */
#include "object_survey.h"

#include <errno.h>
#include <stddef.h>

#include "elf_symbols.h"
#include "futex.h"
#include "object_walk.h"
#include "python_api.h"
#include "python_attach.h"
#include "python_stack.h"

#define TAKEN_STEP_NS 50000000ull
#define TAKEN_STEPS 60

static struct object_api api;
static const struct object_layout *layout;
static int api_is_known; /* 1: complete; -1: something is missing */

/* ---- finding the interpreter's functions ---- */

static const struct {
    const char *name;
    size_t place; /* in struct object_api */
    uint32_t since;        /* the version from which on it has to be there */
} wanted[] = {
    {"Py_AddPendingCall", offsetof(struct object_api, add_pending_call), 0},
    {"_PyEval_AddPendingCall", offsetof(struct object_api, add_call_anywhere), 0xffff},
    {"PyUnstable_GC_VisitObjects", offsetof(struct object_api, visit_objects), 0x030d},
    {"PyImport_GetModuleDict", offsetof(struct object_api, modules), 0},
    {"PyDict_Next", offsetof(struct object_api, next_item), 0},
    {"PyInterpreterState_ThreadHead", offsetof(struct object_api, first_thread), 0},
    {"PyThreadState_Next", offsetof(struct object_api, next_thread), 0},
    {"PyType_Type", offsetof(struct object_api, type_type), 0},
    {"PyModule_Type", offsetof(struct object_api, module_type), 0},
    {"PyFunction_Type", offsetof(struct object_api, function_type), 0},
    {"PyCell_Type", offsetof(struct object_api, cell_type), 0},
    {"PyFrame_Type", offsetof(struct object_api, frame_type), 0},
    {"PyGen_Type", offsetof(struct object_api, generator_type), 0},
    {"PyCoro_Type", offsetof(struct object_api, coroutine_type), 0},
    {"PyAsyncGen_Type", offsetof(struct object_api, async_generator_type), 0},
    {"PySet_Type", offsetof(struct object_api, set_type), 0},
    {"PyFrozenSet_Type", offsetof(struct object_api, frozenset_type), 0},
    {"PyByteArray_Type", offsetof(struct object_api, bytearray_type), 0},
    {"PyFloat_Type", offsetof(struct object_api, float_type), 0},
    {"PyUnicode_Type", offsetof(struct object_api, text_type), 0},
    {"PyBytes_Type", offsetof(struct object_api, bytes_type), 0},
    {"PyLong_Type", offsetof(struct object_api, long_type), 0},
    {"PyBool_Type", offsetof(struct object_api, bool_type), 0},
};

/* The first module that has it: data that the executable keeps a copy of (R_*_COPY) comes before the library's own. */
static uint64_t find_symbol(const struct link_map *modules, const char *name)
{
    for (const struct link_map *module = modules; module; module = module->l_next) {
        void *address = elf_symbols_find(module, name);
        if (address)
            return (uint64_t)address;
    }
    return 0;
}

/* 0: not now (the loader is at work), or never (api_is_known says so). */
static int find_api(void)
{
    const struct link_map *modules = api_is_known ? NULL : elf_symbols_modules();
    if (!modules)
        return api_is_known > 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(wanted); i++) {
        uint64_t address = find_symbol(modules, wanted[i].name);
        if (!address && python_api.version >= wanted[i].since) {
            api_is_known = -1;
            return 0;
        }
        *(uint64_t *)((char *)&api + wanted[i].place) = address;
    }
    if (python_api.version < 0x030c)
        api.add_call_anywhere = NULL; /* other arguments, and no other thread */
    if (python_api.version < 0x030d)
        api.visit_objects = NULL; /* leaves out what gc.freeze has put away */
    api_is_known = 1;
    return 1;
}

static const struct object_layout *find_layout(uint32_t version)
{
    for (unsigned i = 0; i < OBJECT_LAYOUT_COUNT; i++)
        if (object_layouts[i].version == version)
            return &object_layouts[i];
    return NULL;
}

/* SURVEY_WHOLE: it can be done. */
static enum survey_outcome what_stands_against_it(void)
{
    uint32_t flags = recorder_session->python_flags;
    if (!python_attached)
        return SURVEY_NO_PYTHON;
    if (flags & PYTHON_FREE_THREADED)
        return SURVEY_FREE_THREADED;
    layout = find_layout(python_api.version);
    if (flags & PYTHON_STACKS_OFF || !layout || api_is_known < 0)
        return SURVEY_UNKNOWN_PYTHON;
    void *first = python_api.is_initialized() && !python_api.is_finalizing() ? python_api.first_interpreter() : NULL;
    if (!first)
        return SURVEY_NO_PYTHON;
    return python_api.next_interpreter(first) ? SURVEY_SUBINTERPRETERS : SURVEY_WHOLE;
}

/* ---- the safe point ---- */

static void wait_until_taken(struct session_header *session)
{
    uint32_t walked = SURVEY_WALKED;
    atomic_store(&session->survey_state, SURVEY_WALKED);
    atomic_fetch_add(&session->collector_wake, 1);
    futex_wake(&session->collector_wake, 1);
    for (int i = 0; i < TAKEN_STEPS && atomic_load(&session->survey_state) == SURVEY_WALKED; i++) {
        if (atomic_load(&session->collector_state) == COLLECTOR_GONE)
            break;
        futex_wait(&session->survey_state, SURVEY_WALKED, TAKEN_STEP_NS);
    }
    /* Not taken: the collector, which finds it IDLE, knows that objects may have gone since. */
    atomic_compare_exchange_strong(&session->survey_state, &walked, SURVEY_IDLE);
}

/* Called by the interpreter. Always 0: no exception. In a child that was forked since, the state is another session's. */
static int at_safe_point(void *unused)
{
    struct session_header *session = recorder_session;
    struct thread_state *thread = current_thread;
    uint32_t withdrawn = SURVEY_WITHDRAWN, scheduled = SURVEY_SCHEDULED;
    int saved_errno = errno;
    (void)unused;
    if (!*recorder_mark || atomic_compare_exchange_strong(&session->survey_state, &withdrawn, SURVEY_IDLE) ||
        !atomic_compare_exchange_strong(&session->survey_state, &scheduled, SURVEY_WALKING))
        return 0;
    uintptr_t busy = thread->busy;
    if (thread_is_registered(thread))
        thread->busy = THREAD_INTERNAL;
    enum survey_outcome against = what_stands_against_it();
    if (against == SURVEY_WHOLE)
        object_walk_run(&api, layout, session);
    else
        session_survey(session)->outcome = against;
    wait_until_taken(session);
    if (thread_is_registered(thread))
        thread->busy = busy;
    errno = saved_errno;
    return 0;
}

/* It couldn't be asked for. The collector may have given up meanwhile. */
static void take_back(_Atomic uint32_t *state)
{
    uint32_t scheduled = SURVEY_SCHEDULED, withdrawn = SURVEY_WITHDRAWN;
    if (!atomic_compare_exchange_strong(state, &scheduled, SURVEY_WANTED))
        atomic_compare_exchange_strong(state, &withdrawn, SURVEY_IDLE);
}

void object_survey_schedule(void)
{
    _Atomic uint32_t *state = &recorder_session->survey_state;
    uint32_t wanted_state = SURVEY_WANTED;
    if (!atomic_compare_exchange_strong(state, &wanted_state, SURVEY_SCHEDULED))
        return; /* another thread is at it */
    enum survey_outcome against = what_stands_against_it();
    int is_asked = 0;
    if (against == SURVEY_WHOLE && find_api())
        is_asked = (api.add_call_anywhere ? api.add_call_anywhere(python_api.first_interpreter(), at_safe_point, NULL, 0)
                                          : api.add_pending_call(at_safe_point, NULL)) == 0;
    atomic_store(&session_survey(recorder_session)->refusal, against);
    if (!is_asked)
        take_back(state);
}
