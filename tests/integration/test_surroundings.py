"""Recorded programs in unusual surroundings: strange names, a terminal, a recorder within a recorder, an emptied environment."""

import os
import pty
import subprocess
import time

import pytest

from interpreters import DEFAULT
from marks import check_marks, line_figures
from recording import HEAPLINE, SOURCES, Trace, clean_environment, heapline, target


@pytest.mark.parametrize("name", ["two words", "quo\"te'd", "new\nline", "täb\tünicode €", "-dash", "per%cent %s", "b\\ack"])
def test_names_of_files_and_functions(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    script, trace = folder / f"{name}.py", folder / f"{name}.heapline"
    script.write_text("def größe():\n    return bytearray(50_000)\n\n\nkept = größe()\n", encoding="utf-8")
    result = heapline("run", "--quiet", "--python", DEFAULT.path, "-o", trace, "--", script)
    assert result.returncode == 0, result.stderr
    rows = Trace(trace).check_sums().lines
    (row,) = [row for row in rows if row["function"] == "größe"]
    assert row["file"] == str(script) and row["line"] == 2 and row["allocated_bytes"] >= 50_057
    assert heapline("lines", "--source", script, trace).returncode == 0


def test_name_that_is_no_utf8(tmp_path):
    script = os.fsencode(tmp_path) + b"/bad\xff\xfe.py"
    with open(script, "w") as file:
        file.write("kept = bytearray(50_000)\n")
    trace = tmp_path / "t.heapline"
    result = subprocess.run([HEAPLINE, "run", "--quiet", "--python", DEFAULT.path, "-o", trace, "--", script], env=clean_environment(),
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    rows = Trace(trace).check_sums().lines
    (row,) = [row for row in rows if (row["file"] or "").startswith(str(tmp_path)) and row["line"] == 1]
    assert row["allocated_bytes"] >= 50_057


def test_trace_in_the_current_folder(tmp_path):
    for name in ("t.heapline", "-t.heapline"):
        result = heapline("run", "--quiet", f"--output={name}" if name[0] == "-" else "-o", *([name] if name[0] != "-" else []),
                          "--", target("simple"), cwd=tmp_path)
        assert result.returncode == 17, result.stderr
        Trace(tmp_path / name).check_sums()


def test_program_by_another_name(record, tmp_path):
    """A link's name is the program's, as several programs may be one file."""
    link = tmp_path / "other name"
    link.symlink_to(target("simple"))
    run = record(link)
    check_marks(run.lines, SOURCES / "simple.c")
    paths = [row["path"] for row in run.sql("SELECT path FROM module")]
    assert str(link) in paths and str(target("simple")) not in paths


def test_recorder_within_a_recorder(tmp_path):
    outer, inner = tmp_path / "outer.heapline", tmp_path / "inner.heapline"
    result = heapline("run", "--quiet", "-o", outer, "--", HEAPLINE, "run", "--quiet", "-o", inner, "--", target("simple"))
    assert (result.returncode, result.stdout) == (17, b"simple: done\n"), result.stderr
    check_marks(Trace(inner).check_sums().lines, SOURCES / "simple.c")
    Trace(outer).check_sums()


def test_emptied_environment(tmp_path):
    """A program that runs another one with an environment of its own takes the recorder out of it: nothing else changes."""
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "-o", trace, "--", "/usr/bin/env", "-i", target("simple"))
    assert (result.returncode, result.stdout) == (17, b"simple: done\n"), result.stderr
    Trace(trace).check_sums()


def test_interrupt_from_the_terminal(tmp_path):
    """^C on a terminal reaches the program once, and `run` waits for what it makes of it."""
    trace, ready = tmp_path / "t.heapline", tmp_path / "ready"
    code = ("import sys, time\ntry:\n    open(sys.argv[1], 'w').close()\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
            "    print('interrupted', flush=True)\n    time.sleep(0.3)\n    sys.exit(7)\n")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(HEAPLINE, [str(HEAPLINE), "run", "--quiet", "-o", str(trace), "--", DEFAULT.path, "-c", code, str(ready)],
                  clean_environment())
    deadline = time.monotonic() + 30
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.write(terminal, b"\x03")
    output = b""
    try:
        while part := os.read(terminal, 4096):
            output += part
    except OSError:
        pass
    os.close(terminal)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 7
    assert output.count(b"interrupted") == 1
    assert Trace(trace).check_sums().report["complete"] is True


@pytest.mark.parametrize("name", ["allocators", "mappings", "simple"])
def test_timeline_reaches_the_peak(record, name):
    run = record(target(name))
    points = run.json("timeline")["timeline"]
    assert max(point["heap_peak_bytes"] for point in points) == run.report["peak_bytes"]
    assert points[-1]["heap_bytes"] == run.report["live_bytes_at_end"]
    assert [point["time_ns"] for point in points] == sorted(point["time_ns"] for point in points)


def test_inclusive_lines(record):
    """A line's inclusive figures hold its own and those of all it calls: main's are everything that main did."""
    run = record(target("allocators"), options=["--native"])
    own = {(row["file"], row["line"], row["function"]): row for row in run.lines}
    inclusive = {(row["file"], row["line"], row["function"]): row for row in run.json("lines", "--inclusive")["lines"]}
    assert set(own) <= set(inclusive)
    for key, row in own.items():
        for field in ("allocated_bytes", "allocations", "live_bytes", "peak_bytes", "copied_bytes"):
            assert row[field] <= inclusive[key][field] <= run.report.get(field, 1 << 62), (key, field)
    source = (SOURCES / "allocators.c").read_text().splitlines()
    call = line_figures(list(inclusive.values()), "allocators.c", source.index("    churn();") + 1)
    assert call["allocations"] == 1200 and call["allocated_bytes"] == 500500 + 9600 and call["live_bytes"] == 0


def test_rows_are_limited_and_sorted(record):
    run = record(target("allocators"))
    rows = run.json("lines", "--sort", "allocations", "--limit", "5")["lines"]
    assert len(rows) == 5
    assert [row["allocations"] for row in rows] == sorted((row["allocations"] for row in run.lines), reverse=True)[:5]


def test_numbers_of_a_query_keep_their_digits(record):
    run = record(target("simple"))
    (row,) = run.sql("SELECT 1234567890123.5 AS real, 0.1 AS tenth, 9223372036854775807 AS whole, NULL AS absent")
    assert row == {"real": 1234567890123.5, "tenth": 0.1, "whole": 9223372036854775807, "absent": None}
