"""However a process ends: its exit status or signal is passed on, and every figure up to then is right."""

import os
import signal
import subprocess
import time

import pytest

from marks import check_marks
from recording import HEAPLINE, SOURCES, Trace, clean_environment, run_bare, target

EXITS = {"return": 21, "exit": 22, "thread": 23, "pthread_exit": 0, "_exit": 24, "_Exit": 25, "quick_exit": 27, "handled": 31}
DEATHS = {"abort": signal.SIGABRT, "segv": signal.SIGSEGV, "fpe": signal.SIGFPE, "overflow": signal.SIGSEGV, "kill": signal.SIGKILL,
          "term": signal.SIGTERM}


@pytest.mark.parametrize("name", ["endings", "endings_o2"])
@pytest.mark.parametrize("how", EXITS)
def test_exit(record, name, how):
    run = record(target(name), how)
    assert run.returncode == EXITS[how] == run_bare(target(name), how).returncode
    check_marks(run.lines, SOURCES / "endings.c", run.facts, groups=[how])
    assert run.report["complete"] is True
    assert run.sql("SELECT exit_kind, exit_status FROM summary") == [{"exit_kind": "exit", "exit_status": EXITS[how]}]


def test_exit_past_libc(record):
    """A raw exit_group system call gives the recorder no word; nothing is lost for it."""
    run = record(target("endings"), "exit_group")
    assert run.returncode == 26
    check_marks(run.lines, SOURCES / "endings.c", run.facts)


@pytest.mark.parametrize("how", DEATHS)
def test_death_by_signal(record, how):
    run = record(target("endings"), how)
    assert run.returncode == -DEATHS[how] == run_bare(target("endings"), how).returncode
    check_marks(run.lines, SOURCES / "endings.c", run.facts)
    assert run.report["complete"] is False


def test_stopped_and_continued(tmp_path):
    trace = tmp_path / "t.heapline"
    program = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", trace, "--", target("endings"), "stop"], env=clean_environment(),
                               stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 30
    child = None
    while time.monotonic() < deadline and not child:
        child = stopped_descendant(program.pid)
        time.sleep(0.02)
    assert child, "the target never stopped"
    os.kill(child, signal.SIGCONT)
    assert program.wait(timeout=30) == 28
    check_marks(Trace(trace).check_sums().lines, SOURCES / "endings.c")


def stopped_descendant(pid):
    """A stopped process among `pid` and its descendants, or None."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)] = (int(fields[1]), fields[0])
    for candidate, (parent, state) in parents.items():
        ancestor = candidate
        while ancestor in parents and ancestor != pid:
            ancestor = parents[ancestor][0]
        if ancestor == pid and state == "T":
            return candidate
    return None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_sent_to_run_reaches_the_program(tmp_path, number):
    """A terminal's ^C or a supervisor's SIGTERM: the program dies of it, the trace is whole."""
    trace, progress = tmp_path / "t.heapline", tmp_path / "progress"
    program = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", trace, "--", target("steps"), progress], env=clean_environment(),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (progress.exists() and any(progress.read_bytes()[:8])):
        time.sleep(0.02)
    program.send_signal(number)
    assert program.wait(timeout=60) == -number
    report = Trace(trace).check_sums().report
    assert report["complete"] is False and report["lost_events"] == 0
