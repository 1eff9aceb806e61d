/* Finds CPython in the target and puts our hooks into its MEM and OBJ allocators; keeps them there.
 *
 * Three moments: the library's constructor (interpreter linked in or libpython loaded), a dlsym in a library that was loaded later (libpython as
 * a plug-in: whoever loads it asks it for Py_Initialize), and every malloc while Python is known but not initialised (hooks may have been
 * overwritten by PYTHONMALLOC, -X dev, or a second Py_Initialize).
 * Reinstalls only while no interpreter exists: later, somebody may rightly sit on top of us, and other threads allocate. */
#ifndef HEAPLINE_CAPTURE_PYTHON_ATTACH_H
#define HEAPLINE_CAPTURE_PYTHON_ATTACH_H

#include <stdint.h>

#include "compiler.h"

/* 0: no Python. 1: known, perhaps not initialised: python_attach_check is to be called from malloc hooks. */
INTERNAL uint32_t python_attached;

/* Look for a CPython in the process without taking any loader lock; install the hooks. Idempotent, and cheap while nothing new has been loaded;
 * the first interpreter found is the one that is recorded. With busy set. Does nothing while the loader is at work. */
void python_attach_find(void);

/* The same for one module, whose code was seen running for the first time: an interpreter that came as a library of a plug-in. With busy set. */
struct link_map;
void python_attach_to(const struct link_map *module);

/* From malloc hooks, while python_attached: one call into Py_IsInitialized; reinstalls lost hooks where that is safe, and installs those that
 * were left out while nothing was recorded as soon as a thread comes with the GIL. Never allocates. */
void python_attach_check(void);

/* From here on only a sample is wanted, or may be: may hooks that ask for each object replace those that record all? Does it, where a thread comes
 * with the GIL, in whose time nobody else reads the table of allocators, and ours are on top. Returns 1: it is done, or there is nothing to do. */
int python_attach_may_sample(void);

/* In a forked child: another thread may have been looking. */
void python_attach_after_fork(void);

#endif
