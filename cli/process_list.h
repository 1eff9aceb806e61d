/* The processes of a run, as a tree: who started whom, what each needed, and what all of them did together. */
#ifndef HEAPLINE_CLI_PROCESS_LIST_H
#define HEAPLINE_CLI_PROCESS_LIST_H

#include "json.h"
#include "reading.h"
#include "report_database.h"

struct process_list {
    struct report_process *processes; /* the trace's own first, then by their start */
    uint32_t count;
    uint32_t *order; /* parents before their children; NULL: no memory, as they come */
    uint32_t *depths; /* by place in `processes`; NULL with `order` */
};

/* Empty where the neighbours of the trace can't be looked at. */
void process_list_load(const struct reading *reading, struct process_list *ret_list);
void process_list_free(struct process_list *list);

/* `exit`: the exit status, minus the signal's number, or null where neither is known. */
void process_list_write_exit(struct json *json, const char *kind, int64_t status);

/* `processes`, and `all_processes`, their sums; those of a sample are not known, and null. */
void process_list_write(struct json *json, const struct process_list *list);
/* A warning that names the programs which were executed and not recorded; nothing where all were. */
void process_list_print_unrecorded(const struct reading *reading, const struct process_list *list);
/* Nothing where there is but one. */
void process_list_print(const struct reading *reading, const struct process_list *list, int64_t limit);

#endif
