/* What an executable file is, from its first bytes: can a preloaded library of ours be loaded into it? */
#ifndef HEAPLINE_CLI_EXECUTABLE_H
#define HEAPLINE_CLI_EXECUTABLE_H

enum executable_kind {
    EXECUTABLE_FINE,
    EXECUTABLE_UNREADABLE,    /* errno says why; execve may still work */
    EXECUTABLE_SCRIPT,        /* begins with #! */
    EXECUTABLE_OTHER,         /* neither ELF nor a script */
    EXECUTABLE_STATIC,        /* no dynamic loader */
    EXECUTABLE_32_BIT,
    EXECUTABLE_FOREIGN,       /* for another processor */
    EXECUTABLE_FOREIGN_LIBC,  /* its loader is not glibc's */
    EXECUTABLE_PRIVILEGED,    /* setuid, setgid or file capabilities: the loader ignores LD_PRELOAD */
};

enum executable_kind executable_inspect(const char *path);

/* The interpreter line of a script, without "#!" and the blanks around. Returns 0, or -1 if there is none. */
int executable_script_line(const char *path, char *out, int size);

#endif
