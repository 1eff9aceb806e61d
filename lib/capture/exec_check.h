/* Will the program that is about to be executed be recorded? If not, the reason and its path go into the session, for the collector to name it.
 *
 * Consumes what an exec or spawn function was given, produces notes (session.h). Any thread, and a vfork child, which has its parent's memory:
 * raw system calls only, no stack to speak of, no allocation. Keeps errno. */
#ifndef HEAPLINE_CAPTURE_EXEC_CHECK_H
#define HEAPLINE_CAPTURE_EXEC_CHECK_H

#include "session.h"

/* What is to be executed: a path, or with `search` a name that is looked for in PATH as execvp does; with `folder` not AT_FDCWD, relative to it.
 * An empty path: the file `folder` itself. */
struct exec_request {
    const char *path;
    int folder, search;
    char *const *environment;
};

/* NULL: it will be recorded, or recording children isn't wanted, or nobody can tell. Else a note, to be ended by one of the next two. */
struct session_unrecorded *exec_check_begin(const struct exec_request *request);
/* Nothing was executed. */
void exec_check_failed(struct session_unrecorded *note);
/* It runs, as this process. */
void exec_check_spawned(struct session_unrecorded *note, int pid);

#endif
