/* heapline live --json: one sample of a running process as a document. */
#ifndef HEAPLINE_CLI_LIVE_DOCUMENT_H
#define HEAPLINE_CLI_LIVE_DOCUMENT_H

#include "live_follow.h"
#include "live_view.h"

/* To stdout, rows in the model's order, those that the view's filter lets pass; limit 0: all. */
void live_document_write(const struct live_view *view, enum follow_state state, int64_t limit);

#endif
