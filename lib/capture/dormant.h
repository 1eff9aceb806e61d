/* A process that begins paused: its calls go past us, as if we weren't there, until its collector leads them to our hooks.
 *
 * Consumes the modules that the program began with, produces the session's slot table (slot_table.h). No thread of the program would notice
 * that recording has started, as none comes by; so the collector, which has been given /proc/self/mem, changes the slots. From the
 * constructor, before main; in a forked child. Nothing is allocated from the heap. Where something is refused (no /proc, pages that must
 * not become code) the hooks stay in place, which rest. */
#ifndef HEAPLINE_CAPTURE_DORMANT_H
#define HEAPLINE_CAPTURE_DORMANT_H

#include "session.h"

/* For a session that begins paused, before its collector does: the file by which that reaches the slots, which the session then says that
 * there will be. -1: hooks stay. The caller closes it. Raw system calls only. */
int dormant_open_memory(struct session_header *session);

/* Lay down the table, and lead calls past us. From the constructor. */
void dormant_begin(struct session_header *session);

/* In a forked child: the file for its collector. -1: there is nothing to lead, or calls lead to the hooks for good now. */
int dormant_after_fork(struct session_header *child);

#endif
