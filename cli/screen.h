/* The whole terminal as a screen of lines, and its keys; given back as it was found, however the program ends.
 *
 * Plain sequences of ECMA-48 that every terminal in use knows. Only lines that changed are written. One screen a program, one thread; the
 * handlers of signals belong to it while it is open. */
#ifndef HEAPLINE_CLI_SCREEN_H
#define HEAPLINE_CLI_SCREEN_H

enum screen_key {
    SCREEN_TIME = 0,   /* nothing was pressed in time */
    SCREEN_RESIZED = 256,
    SCREEN_UP, SCREEN_DOWN, SCREEN_LEFT, SCREEN_RIGHT, SCREEN_PAGE_UP, SCREEN_PAGE_DOWN, SCREEN_HOME, SCREEN_END,
    SCREEN_ESCAPE, SCREEN_ENTER, SCREEN_ERASE, SCREEN_OTHER,
    SCREEN_CLOSED,     /* the terminal has gone, or a signal asks for the end: screen_signal */
};

/* Take the terminal over. Returns 0, or -1: standard input and output are not one that can. */
int screen_open(void);
/* Give it back. Also done at exit, and by fatal signals. */
void screen_close(void);

void screen_size(int *ret_rows, int *ret_columns);
/* Put a line, from 0, into the next picture; text that fits, with styles but no line break. */
void screen_put(int row, const char *text);
/* Show the picture. Rows that were not put are empty. */
void screen_show(void);
/* Write all of the next picture, whatever is there. */
void screen_repaint(void);

/* The next key, of which printable ones are themselves, waiting so long at most. Suspends and resumes where the user does. */
int screen_key(int timeout_ms);
/* The signal that asked for the end; 0: none. */
int screen_signal(void);

#endif
