/* The pictures of heapline live: the overview, the stacks of a line, and the help. Consumes a live_model, produces lines of a screen, each made
 * to fit. One thread; allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_LIVE_VIEW_H
#define HEAPLINE_CLI_LIVE_VIEW_H

#include <sys/types.h>

#include "live_model.h"
#include "reading.h"

#define LIVE_FILTER_BYTES 64

enum live_page { LIVE_LINES, LIVE_STACKS, LIVE_HELP };

struct live_view {
    const struct reading *reading; /* terminal, folders */
    struct live_model *model;
    pid_t pid;
    enum live_page page;
    enum live_sort sort;
    int is_paused;
    int whole_run;              /* the graph shows all of it, else the last minutes */
    char filter[LIVE_FILTER_BYTES];
    int is_typing;              /* the filter */
    int is_selected;            /* a row is: `selected` says which, by its line_id */
    uint32_t selected;
    int scroll;                 /* first row, or first line of the stacks */
    int page_rows;              /* set by the painter: how many rows there is room for */
    int row_count;              /* and how many there are */
    const char *status;         /* what goes below; NULL: the keys */
};

/* Paint the page and show it. */
void live_view_paint(struct live_view *view);

/* Select the row so many further down; negative: up. */
void live_view_move(struct live_view *view, int rows);

/* The overview's head and its rows as plain text, without a screen. */
void live_view_print(struct live_view *view, int row_limit);

/* What all stacks of the same frames hold together; stack_id: one of them. */
struct live_stack_sum {
    uint32_t stack_id;
    uint64_t live_bytes, live_allocations, allocated_bytes;
};
/* The stacks that a row is made of: the largest by the view's order. To be freed; returns how many. */
size_t live_view_stacks(const struct live_view *view, const struct live_row *row, size_t limit, struct live_stack_sum **ret_stacks);
const struct live_row *live_view_selected(const struct live_view *view);

#endif
