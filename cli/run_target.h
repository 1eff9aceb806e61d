/* From the words of a command line to the program that execve gets, checked: does it exist, can the recorder be loaded into it? */
#ifndef HEAPLINE_CLI_RUN_TARGET_H
#define HEAPLINE_CLI_RUN_TARGET_H

struct run_request {
    const char *python;   /* --python; NULL: python3 */
    const char *module;   /* -m */
    const char *code;     /* -c */
    char **operands;      /* PROGRAM and its arguments; with -m and -c only the arguments. NULL-terminated */
};

struct run_target {
    char *path;           /* for execve */
    char **arguments;     /* NULL-terminated; its last ones are the operands themselves */
    char *name;           /* what the default output is called after */
};

/* Exits with status 2 where there is no such program, 4 where the system would not let the recorder into it. */
void run_target_find(const struct run_request *request, struct run_target *ret_target);
void run_target_done(struct run_target *target);

#endif
