"""A program that starts and stops its own recording: heapline.h and the Python package."""

from interpreters import SOME, some_interpreters
from marks import check_marks
from recording import ROOT, SOURCES, Trace, clean_environment, heapline, run_bare, target

CODE = """
import sys, heapline
kept = []
def work(number):
    kept.append(bytearray(number))
work(10_000)
print(heapline.start(), heapline.is_recording())
work(20_000)
print(heapline.stop())
work(30_000)
"""


def test_c(record):
    run = record(target("self_control"), options=["--paused"])
    assert (run.returncode, run.stdout) == (0, b"1 1 1 1 1 1\n"), run.stderr
    check_marks(run.lines, SOURCES / "self_control.c")
    assert len(run.report["recorded"]) == 2


def test_c_without_a_recorder():
    result = run_bare(target("self_control"))
    assert (result.returncode, result.stdout) == (0, b"0 0 0 0 0 0\n")


@some_interpreters
def test_python(tmp_path, python):
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "--paused", "--python", python.path, "-o", trace, "-c", CODE,
                      environment=clean_environment(PYTHONPATH=ROOT / "python"))
    assert (result.returncode, result.stdout) == (0, b"True True\nTrue\n"), result.stderr
    rows = [row for row in Trace(trace).check_sums().lines if row["function"] == "work"]
    assert [(row["live_bytes"], row["line"]) for row in rows if row["live_bytes"] > 1000] == [(20_057, 5)]


def test_python_without_a_recorder(tmp_path):
    python = SOME[0]
    result = run_bare(python.path, "-c", CODE, environment={"PYTHONPATH": ROOT / "python"})
    assert (result.returncode, result.stdout) == (0, b"False False\nFalse\n"), result.stderr
