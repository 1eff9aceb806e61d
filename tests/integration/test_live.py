"""heapline live: what a running process holds, on a terminal and as a document."""

import json
import os
import signal
import subprocess
import time

import pytest

from phases import program  # noqa: F401
from recording import HEAPLINE, SOURCES, Trace, clean_environment, collector_of, heapline, target
from screen import Terminal

FIGURES = ("live_bytes", "live_allocations", "allocated_bytes", "allocations")
ENDINGS = {"q": (None, 0), "Ctrl-C": ("\x03", 0), "Ctrl-\\": ("\x1c", -signal.SIGQUIT), "TERM": (signal.SIGTERM, -signal.SIGTERM),
           "HUP": (signal.SIGHUP, -signal.SIGHUP), "INT": (signal.SIGINT, 0), "SEGV": (signal.SIGSEGV, -signal.SIGSEGV),
           "ABRT": (signal.SIGABRT, -signal.SIGABRT)}


def document(pid, *arguments):
    result = heapline("live", pid, "--json", "--interval", 100, *arguments)
    assert result.returncode == 0, result.stderr
    parsed = json.loads(result.stdout)
    assert parsed["schema"] == 1 and parsed["command"] == "live"
    return parsed


def by_line(rows):
    """Rows that count something; those without allocations are copies only."""
    return {(row["file"], row["line"], row["function"], row["kind"]): {name: row[name] for name in FIGURES}
            for row in rows if any(row[name] for name in FIGURES)}


@pytest.fixture
def live(program):
    terminals = []

    def start(*arguments, rows=24, columns=80):
        environment = clean_environment(TERM="xterm", LC_ALL="C.UTF-8", NO_COLOR=None)
        terminals.append(Terminal([HEAPLINE, "live", program.pid, "--interval", 100, *arguments], environment, rows, columns))
        terminals[-1].wait_for("allocs/s" if columns >= 76 else "growth")
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def test_document(program, tmp_path):
    now = document(program.pid)
    kept = next(row for row in now["lines"] if row["function"] == "allocate_kept")
    assert {name: kept[name] for name in FIGURES} == {"live_bytes": 15000, "live_allocations": 30, "allocated_bytes": 20000, "allocations": 40}
    assert (kept["allocated_bytes_per_second"], kept["allocations_per_second"], kept["growth_bytes"]) == (0, 0, 0)
    assert now["pid"] == program.pid and now["running"] is True and now["interval_ns"] >= 100_000_000 and now["rss_bytes"] > 0
    snapshot = json.loads(heapline("snapshot", program.pid, "-o", tmp_path / "s.heapline", "--json").stdout)
    report = Trace(tmp_path / "s.heapline").report
    assert by_line(now["lines"]) == by_line(snapshot["lines"])
    assert {name: now[name] for name in ("live_bytes", "peak_bytes", "peak_time_ns", "allocated_bytes", "allocations", "copied_bytes", "copies", "events")} == {
        "live_bytes": report["live_bytes_at_end"], **{name: report[name] for name in ("peak_bytes", "peak_time_ns", "allocated_bytes", "allocations", "copied_bytes", "copies", "events")}}


def test_order_and_filter(program):
    by_live = document(program.pid)["lines"]
    assert [row["live_bytes"] for row in by_live] == sorted((row["live_bytes"] for row in by_live), reverse=True)
    by_blocks = document(program.pid, "--sort", "blocks")["lines"]
    assert [row["live_allocations"] for row in by_blocks] == sorted((row["live_allocations"] for row in by_blocks), reverse=True)
    assert [row["function"] for row in document(program.pid, "--filter", "KEPT")["lines"]] == ["allocate_kept"]
    assert document(program.pid, "--limit", 1)["lines"] == by_live[:1]


def test_once(program):
    result = heapline("live", program.pid, "--once", "--interval", 100)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("phases  pid ")
    (kept,) = [line for line in lines if "allocate_kept" in line]
    assert kept.split()[-3:] == ["14.6", "KiB", "30"]


def test_picture(live):
    terminal = live()
    (kept,) = [line for line in terminal.text().splitlines() if "phases.c:" in line and line.endswith(" 30")]
    assert "phases  pid" in terminal.text().splitlines()[0]
    assert kept.split()[1:3] == ["14.6", "KiB"]
    assert terminal.line("line ").split()[1] == ">live"
    terminal.press("b")
    terminal.wait_for(">blocks")
    terminal.press("s")
    terminal.wait_for(">live")
    assert len(terminal.text().splitlines()) == 24


def test_new_allocations_show(program, live):
    terminal = live("--filter", "phases.c")
    before = len([line for line in terminal.text().splitlines() if "phases.c:" in line])
    program.go_on()
    terminal.wait_for("4.10 KiB")  # 2 threads, 7 blocks of 300
    assert len([line for line in terminal.text().splitlines() if "phases.c:" in line]) == before + 1


def test_filter(live):
    terminal = live()
    terminal.press("/kept")
    terminal.wait_for("filter: kept_")
    rows = [line for line in terminal.text().splitlines() if "phases.c:" in line]
    assert len(rows) == 1 and rows[0].split()[-1] == "30"
    terminal.press("\x7f\x7f\x7f\x7f")
    terminal.wait_for("filter: _")
    terminal.press("nowhere\r")
    terminal.wait_for("no line is named like the filter")
    terminal.press("\x1b")
    terminal.wait_for("q quit")


def test_stacks_of_a_line(live):
    terminal = live("--filter", "kept")
    terminal.press("\r")
    text = terminal.wait_for("live, 100 %, in 30 blocks")
    assert "allocate_kept" in text.splitlines()[0]
    frames = [line.split()[-1] for line in text.splitlines() if line.startswith("    ")]
    assert frames[0] == "allocate_kept"
    terminal.press("\x1b")
    terminal.wait_for(">live")


def test_pause(program, live):
    terminal = live("--filter", "phases.c")
    terminal.press("p")
    before = terminal.wait_for("PAUSED")
    program.go_on()
    for _ in range(10):
        terminal.read()
    assert terminal.text() == before
    terminal.press("p")
    terminal.wait_for("4.10 KiB")
    assert "PAUSED" not in terminal.text()


@pytest.mark.parametrize("ending", ENDINGS)
def test_gives_the_terminal_back(live, program, ending):
    how, status = ENDINGS[ending]
    terminal = live()
    assert not terminal.is_ours()
    if isinstance(how, signal.Signals):
        os.kill(terminal.pid, how)
    else:
        terminal.press(how or "q")
    assert terminal.wait() == status
    terminal.wait_for(lambda _: terminal.is_ours())
    assert program.go_on(), "the program goes on"


def test_suspended_and_resumed(live):
    terminal = live()
    terminal.press("\x1a")
    terminal.wait_for(lambda _: terminal.state() == "T" and terminal.is_ours())
    terminal.screen.reset()
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.wait_for("allocs/s")
    assert not terminal.is_ours()
    terminal.press("q")
    assert terminal.wait() == 0
    terminal.wait_for(lambda _: terminal.is_ours())


def test_any_size(live):
    terminal = live()
    for rows, columns in ((12, 60), (50, 150), (5, 30), (24, 80)):
        terminal.resize(rows, columns)
        terminal.wait_for(lambda text: "growth" in text or rows < 8)
        for _ in range(3):
            terminal.read()
        widths = [len(line) for line in terminal.text().splitlines()]
        assert max(widths) <= columns and len(widths) <= rows
    terminal.press("q")
    assert terminal.wait() == 0


def test_resized_while_it_asks(program, live):
    """A change of size interrupts whatever the view waits for, and is no answer."""
    terminal, collector = live(), collector_of(program.trace)
    os.kill(collector, signal.SIGSTOP)
    try:
        for columns in (100, 90, 110, 80):
            time.sleep(0.3)
            terminal.resize(24, columns)
    finally:
        os.kill(collector, signal.SIGCONT)
    terminal.wait_for("q quit")
    terminal.press("q")
    assert terminal.wait() == 0
    assert b"no longer recorded" not in terminal.output


def test_ends_with_the_program(program, live):
    terminal = live()
    program.finish()
    assert terminal.wait() == 0
    terminal.wait_for(lambda _: terminal.is_ours() and b"heapline report" in terminal.output)
    after = terminal.output.rpartition(b"\x1b[?1049l")[2].decode()
    assert f"process {program.pid} has ended: heap " in after and f"heapline report {program.trace}" in after


LONG = "import sys\nkept = [bytes(100) for i in range(200)]\nfor i in range(3_000_000): object()\nprint('done', flush=True)\nsys.stdin.readline()"


def test_a_long_past(tmp_path):
    run = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", tmp_path / "t.heapline", "-c", LONG], env=clean_environment(), stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"done\n"
    pid = Trace(tmp_path / "t.heapline").report["pid"]
    now = document(pid, "--filter", "<string>")
    run.communicate(b"\n")
    assert sum(row["allocations"] for row in now["lines"] if row["line"] == 3) >= 3_000_000
    assert sum(row["live_bytes"] for row in now["lines"] if row["line"] == 2) >= 200 * 100


def test_refusals(program):
    result = heapline("live", program.pid)
    assert result.returncode == 4 and b"are no terminal" in result.stderr
    result = heapline("live", os.getpid(), "--once")
    assert result.returncode == 4 and b"has no recorder" in result.stderr
    for arguments in ([], ["x"], [program.pid, "--sort", "size"], [program.pid, "--interval", "5"]):
        assert heapline("live", *arguments).returncode == 2, arguments
