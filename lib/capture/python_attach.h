/* Finds CPython in the target and puts our hooks into its MEM and OBJ allocators; keeps them there.
 *
 * Three moments: the library's constructor (interpreter linked in or libpython loaded), every malloc while Python is known but not
 * initialised (hooks may have been overwritten by PYTHONMALLOC, -X dev, or a second Py_Initialize), and after a dlopen (libpython as a plug-in).
 * Reinstalls only while no interpreter exists: later, somebody may rightly sit on top of us, and other threads allocate. */
#ifndef HEAPLINE_CAPTURE_PYTHON_ATTACH_H
#define HEAPLINE_CAPTURE_PYTHON_ATTACH_H

#include <stdint.h>

#include "compiler.h"

/* 0: no Python. 1: known, perhaps not initialised: python_attach_check is to be called from malloc hooks. */
extern uint32_t python_attached;
/* Set by the dlopen hook; the next event's slow path calls python_attach_find. */
extern uint32_t python_maybe_loaded;

/* Look for a CPython in the process without taking any loader lock; install the hooks. Idempotent; the first interpreter found is the one
 * that is recorded. From the constructor and the slow path, with busy set. Clears python_maybe_loaded, unless the loader is at work. */
void python_attach_find(void);

/* From malloc hooks, while python_attached: one call into Py_IsInitialized; reinstalls lost hooks where that is safe. Never allocates. */
void python_attach_check(void);

#endif
