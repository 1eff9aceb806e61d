"""A terminal for programs that take all of it: a pty, and pyte, which keeps what it shows."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pyte

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


class Screen(pyte.Screen):
    """Behind a full row the cursor is on its last column, as in xterm and tmux: what is erased from there on has that column in it."""

    def erase_in_line(self, *arguments, **named):
        self.cursor.x = min(self.cursor.x, self.columns - 1)
        super().erase_in_line(*arguments, **named)


class Terminal:
    def __init__(self, command, environment, rows=24, columns=80):
        self.file, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.screen = Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.resize(rows, columns)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.file)
            os.login_tty(self.slave)
            os.execve(str(command[0]), [str(part) for part in command], environment)
        self.output = b""
        self.status = None

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, timeout=0.05):
        """What has come; False: nothing will any more."""
        if not select.select([self.file], [], [], timeout)[0]:
            return True
        try:
            piece = os.read(self.file, 65536)
        except OSError:
            return False
        self.output += piece
        self.stream.feed(piece)
        return bool(piece)

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, condition, limit=30):
        """Until the picture (a text, or a question about it) is there."""
        end = time.monotonic() + limit
        asked = condition if callable(condition) else lambda text: condition in text
        while not asked(self.text()):
            assert self.read(), f"it ended:\n{self.text()}"
            assert time.monotonic() < end, f"not seen: {condition}\n{self.text()}"
        return self.text()

    def press(self, keys):
        os.write(self.file, keys.encode())

    def line(self, beginning):
        (found,) = [line for line in self.text().splitlines() if line.startswith(beginning)]
        return found

    def is_ours(self):
        """Is the terminal as it was before the program came?"""
        return self.output.rfind(LEAVE) > self.output.rfind(ENTER) and termios.tcgetattr(self.slave) == self.before

    def wait(self, limit=20):
        """Its exit status, or minus the signal that ended it. The terminal is still there: we have it open as well."""
        end = time.monotonic() + limit
        while self.status is None:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            assert time.monotonic() < end, f"it does not end:\n{self.text()}"
        while self.read(0.1) and select.select([self.file], [], [], 0)[0]:
            pass
        return self.status

    def state(self):
        return open(f"/proc/{self.pid}/stat").read().rpartition(") ")[2][0]

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.file)
        os.close(self.slave)
