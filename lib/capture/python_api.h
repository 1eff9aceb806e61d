/* The interpreter's exported functions and data that the recorder uses: found once by python_attach.c, read-only afterwards.
 * None of the functions allocates or creates an object. */
#ifndef HEAPLINE_CAPTURE_PYTHON_API_H
#define HEAPLINE_CAPTURE_PYTHON_API_H

#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

/* PyMemAllocatorEx; docs.python.org/3/c-api/memory.html */
struct python_allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *old, size_t size);
    void (*free)(void *context, void *object);
};

/* PyObjectArenaAllocator */
struct python_arena_allocator {
    void *context;
    void *(*map)(void *context, size_t bytes);
    void (*unmap)(void *context, void *arena, size_t bytes);
};

enum python_domain { PYTHON_RAW = 0, PYTHON_MEM = 1, PYTHON_OBJ = 2 };

struct python_api {
    uint32_t version;                                                  /* 0x030b; 0: no interpreter found */
    void (*get_allocator)(int domain, struct python_allocator *);      /* PyMem_GetAllocator */
    void (*set_allocator)(int domain, struct python_allocator *);      /* PyMem_SetAllocator */
    int (*is_initialized)(void);                                       /* Py_IsInitialized */
    int (*is_finalizing)(void);                                        /* Py_IsFinalizing */
    void *(*first_interpreter)(void);                                  /* PyInterpreterState_Head */
    void *(*next_interpreter)(void *);                                 /* PyInterpreterState_Next */
    void *(*current_state)(void);                                      /* PyThreadState_GetUnchecked: before 3.12 the GIL holder's */
    void *(*thread_state)(void);                                       /* PyGILState_GetThisThreadState: this thread's, GIL held or not */
    const char *(*version_text)(void);                                 /* Py_GetVersion */
    const void *runtime;                                               /* &_PyRuntime */
    void *code_type;                                                   /* &PyCode_Type */
    /* NULL where an interpreter has none */
    const char *(*allocator_name)(void);                               /* _PyMem_GetCurrentAllocatorName */
    void (*get_arena_allocator)(struct python_arena_allocator *);      /* PyObject_GetArenaAllocator */
    void (*set_arena_allocator)(struct python_arena_allocator *);      /* PyObject_SetArenaAllocator */
};

INTERNAL struct python_api python_api;

#endif
