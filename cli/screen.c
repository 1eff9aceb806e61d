/* See screen.h. */
#include "screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "compiler.h"
#include "memory.h"

#define MAX_ROWS 500
#define LEAST_ROWS 5
#define LEAST_COLUMNS 20
#define ESCAPE_WAIT_MS 50

/* Alternate screen, no cursor, no wrapping at the right edge; and back. */
static const char enter_sequence[] = "\033[?1049h\033[?25l\033[?7l\033[2J";
static const char leave_sequence[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

static const int quit_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

static struct termios found, ours;
static volatile sig_atomic_t is_open;  /* it is to be given back */
static volatile sig_atomic_t quit_signal, is_stopped, is_resized, is_continued;
static int wake[2] = {-1, -1};         /* a pipe: handlers wake whoever waits for a key */
static char *shown[MAX_ROWS], *next[MAX_ROWS];

/* ---- taking and giving back ---- */

static void write_all(const char *text, size_t bytes)
{
    while (bytes) {
        ssize_t written = write(STDOUT_FILENO, text, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        text += written;
        bytes -= (size_t)written;
    }
}

/* Safe in a signal handler. */
static void leave(void)
{
    write_all(leave_sequence, sizeof leave_sequence - 1);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &found);
}

static void forget_shown(void)
{
    for (int row = 0; row < MAX_ROWS; row++) {
        free(shown[row]);
        shown[row] = NULL;
    }
}

static void enter(void)
{
    tcsetattr(STDIN_FILENO, TCSADRAIN, &ours);
    write_all(enter_sequence, sizeof enter_sequence - 1);
    forget_shown();
}

void screen_close(void)
{
    if (!is_open)
        return;
    leave();
    is_open = 0;
    signal(SIGTSTP, SIG_DFL);
    for (size_t i = 0; i < ARRAY_LENGTH(quit_signals); i++)
        signal(quit_signals[i], SIG_DFL);
}

static void on_fatal(int number)
{
    if (is_open)
        leave();
    is_open = 0;
    signal(number, SIG_DFL);
    raise(number);
}

static void on_signal(int number)
{
    int saved_errno = errno;
    if (number == SIGTSTP)
        is_stopped = 1;
    else if (number == SIGCONT)
        is_continued = 1;
    else if (number == SIGWINCH)
        is_resized = 1;
    else
        quit_signal = number;
    ssize_t written = write(wake[1], "", 1);
    (void)written;
    errno = saved_errno;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    /* Whoever started us with nohup meant it. */
    if (sigaction(number, NULL, &before) == 0 && (before.sa_handler != SIG_IGN || handler == on_fatal))
        sigaction(number, &action, NULL);
}

int screen_open(void)
{
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &found) != 0 || pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    ours = found;
    ours.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    ours.c_iflag &= (tcflag_t) ~(IXON | ICRNL);
    ours.c_cc[VMIN] = 1;
    ours.c_cc[VTIME] = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(quit_signals); i++)
        handle(quit_signals[i], on_signal);
    for (size_t i = 0; i < ARRAY_LENGTH(fatal_signals); i++)
        handle(fatal_signals[i], on_fatal);
    handle(SIGTSTP, on_signal);
    handle(SIGCONT, on_signal);
    handle(SIGWINCH, on_signal);
    atexit(screen_close);
    is_open = 1;
    enter();
    return 0;
}

/* ---- the picture ---- */

void screen_size(int *ret_rows, int *ret_columns)
{
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    int rows = size.ws_row ? size.ws_row : 24, columns = size.ws_col ? size.ws_col : 80;
    *ret_rows = rows < LEAST_ROWS ? LEAST_ROWS : rows > MAX_ROWS ? MAX_ROWS : rows;
    *ret_columns = columns < LEAST_COLUMNS ? LEAST_COLUMNS : columns;
}

void screen_put(int row, const char *text)
{
    if (row < 0 || row >= MAX_ROWS)
        return;
    free(next[row]);
    next[row] = memory_copy(text);
}

static int is_same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

void screen_show(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = memory_stream(&text, &bytes);
    for (int row = 0; row < MAX_ROWS; row++) {
        if (!is_same(shown[row], next[row]))
            /* Cleared before: behind a full row the cursor stands on its last character, which clearing takes. */
            fprintf(out, "\033[%d;1H\033[K%s\033[0m", row + 1, next[row] ? next[row] : "");
        free(shown[row]);
        shown[row] = next[row];
        next[row] = NULL;
    }
    fclose(out);
    write_all(text, bytes);
    free(text);
}

void screen_repaint(void)
{
    write_all("\033[2J", 4);
    forget_shown();
}

/* ---- keys ---- */

/* As the shell wants it: the whole job stops, and what it finds meanwhile is its own terminal. */
static void suspend(void)
{
    is_stopped = 0;
    leave();
    raise(SIGSTOP);
    is_continued = 1;
}

/* What signals have told: a key, or SCREEN_TIME for nothing of the kind. */
static int told(void)
{
    char bytes[64];
    while (read(wake[0], bytes, sizeof bytes) > 0)
        ;
    if (quit_signal)
        return SCREEN_CLOSED;
    if (is_stopped)
        suspend();
    if (is_continued) {
        is_continued = 0;
        enter();
        return SCREEN_RESIZED;
    }
    if (is_resized) {
        is_resized = 0;
        screen_repaint();
        return SCREEN_RESIZED;
    }
    return SCREEN_TIME;
}

/* -1: none has come in time. */
static int read_byte(int timeout_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned char byte;
    if (poll(&input, 1, timeout_ms) != 1 || read(STDIN_FILENO, &byte, 1) != 1)
        return -1;
    return byte;
}

/* What follows ESC: CSI or SS3 sequences (ECMA-48, xterm), or nothing. */
static int read_sequence(void)
{
    static const struct {
        char text[4];
        int key;
    } keys[] = {{"A", SCREEN_UP},       {"B", SCREEN_DOWN},       {"C", SCREEN_RIGHT}, {"D", SCREEN_LEFT}, {"H", SCREEN_HOME}, {"F", SCREEN_END},
                {"5~", SCREEN_PAGE_UP}, {"6~", SCREEN_PAGE_DOWN}, {"1~", SCREEN_HOME}, {"7~", SCREEN_HOME}, {"4~", SCREEN_END}, {"8~", SCREEN_END}};
    char text[16] = "";
    int byte = read_byte(ESCAPE_WAIT_MS);
    if (byte < 0)
        return SCREEN_ESCAPE;
    if (byte != '[' && byte != 'O')
        return SCREEN_OTHER;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        byte = read_byte(ESCAPE_WAIT_MS);
        if (byte < 0)
            break;
        text[i] = (char)byte;
        if (byte >= 0x40 && byte <= 0x7e)
            break;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (!strcmp(text, keys[i].text))
            return keys[i].key;
    return SCREEN_OTHER;
}

static int read_key(void)
{
    unsigned char byte;
    ssize_t count = read(STDIN_FILENO, &byte, 1);
    if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN))
        return SCREEN_CLOSED;
    if (count < 0)
        return SCREEN_TIME;
    switch (byte) {
    case '\033':
        return read_sequence();
    case '\r':
    case '\n':
        return SCREEN_ENTER;
    case 0x7f:
    case '\b':
        return SCREEN_ERASE;
    default:
        return byte ? byte : SCREEN_OTHER;
    }
}

int screen_key(int timeout_ms)
{
    struct pollfd inputs[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = wake[0], .events = POLLIN}};
    int ready = poll(inputs, 2, timeout_ms);
    if (quit_signal || (ready > 0 && inputs[1].revents)) {
        int key = told();
        if (key != SCREEN_TIME)
            return key;
    }
    if (ready > 0 && inputs[0].revents)
        return read_key();
    return SCREEN_TIME;
}

int screen_signal(void)
{
    return quit_signal;
}
