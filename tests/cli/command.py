"""Runs the command line: the real one of the build tree, and the one whose traces are report databases filled by hand."""

import fcntl
import json
import os
import pathlib
import pty
import struct
import subprocess
import termios

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("HEAPLINE_BUILD", ROOT / "build")).resolve()
HEAPLINE = BUILD / "cli" / "heapline"
ON_DATABASE = BUILD / "tests" / "cli" / "heapline_on_database"
TIMEOUT = 60


def environment(**changes):
    dropped = ("HEAPLINE_", "LD_PRELOAD", "NO_COLOR", "COLUMNS", "PYTHON")
    result = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    result.update(LC_ALL="C.UTF-8", TERM="xterm")
    result.update({key: str(value) for key, value in changes.items()})
    return result


def run(program, *arguments, env=None, **options):
    """Output as text, standard input empty."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([str(program), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT,
                          env=env or environment(), **options)


def document(program, *arguments, status=0):
    """The JSON document that a command writes; nothing else may be on its standard output."""
    result = run(program, *arguments, "--json")
    assert result.returncode == status, result.stderr
    parsed = json.loads(result.stdout)
    assert parsed["schema"] == 1 and parsed["command"] == arguments[0]
    return parsed


def on_terminal(program, *arguments, columns=80, env=None, cwd=None):
    """What a command prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen([str(program), *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
                               env=env or environment(), cwd=cwd)
    os.close(theirs)
    output = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
    os.close(ours)
    assert process.wait(timeout=TIMEOUT) == 0
    return output.decode().replace("\r\n", "\n")
