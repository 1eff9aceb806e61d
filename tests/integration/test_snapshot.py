"""heapline snapshot: a trace of all until now, while the program runs on."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from marks import check_marks
from phases import Phases
from recording import HEAPLINE, SOURCES, Trace, clean_environment, heapline, target

SOURCE = SOURCES / "phases.c"
FIGURES = ("peak_bytes", "allocated_bytes", "allocations", "temporary_allocations", "live_bytes_at_end", "live_allocations_at_end",
           "copied_bytes", "copies", "events", "lost_events", "unknown_frees")


def snapshot(pid, *arguments, **options):
    result = heapline("snapshot", pid, *arguments, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def figures(trace):
    return {name: trace.report[name] for name in FIGURES}


def test_until_now(tmp_path):
    program = Phases(tmp_path, target("phases"))
    program.go_on()
    program.ask("start")
    program.go_on()
    document = json.loads(snapshot(program.pid, "-o", tmp_path / "now.heapline", "--json"))
    now = Trace(tmp_path / "now.heapline")
    check_marks(now.lines, SOURCE, groups=["first"])
    now.check_sums()
    assert now.report["complete"] is True and now.report["processes"][0]["exit"] is None
    assert now.sql("SELECT exit_kind FROM summary") == [{"exit_kind": "snapshot"}]
    assert document["command"] == "snapshot" and document["pid"] == program.pid
    assert document["path"] == str(now.path) and document["trace"] == str(program.trace)
    assert document["file_bytes"] == now.path.stat().st_size
    assert document["live_bytes"] == now.report["live_bytes_at_end"] == sum(row["live_bytes"] for row in document["lines"])
    assert document["lines"] == sorted(document["lines"], key=lambda row: -row["live_bytes"])
    program.ask("stop")
    run = program.finish()
    assert figures(run) == figures(now)


def test_the_program_goes_on(tmp_path):
    program = Phases(tmp_path, target("phases"), options=())
    early = tmp_path / "early.heapline"
    assert snapshot(program.pid, "-o", early, "--quiet") == f"{early}\n"
    program.go_on()
    program.go_on()
    late = tmp_path / "late.heapline"
    assert "phases.c:" in snapshot(program.pid, "-o", late)
    run = program.finish()
    assert not [row for row in Trace(early).lines if row["function"] == "allocate_old"]
    (kept,) = [row for row in Trace(late).lines if row["function"] == "allocate_kept"]
    assert (kept["allocations"], kept["live_allocations"]) == (40, 30)
    (kept,) = [row for row in run.lines if row["function"] == "allocate_kept"]
    assert (kept["allocations"], kept["live_allocations"]) == (40, 0)
    assert run.report["complete"] is True and run.report["lost_events"] == 0


def test_names_of_its_own(tmp_path):
    program = Phases(tmp_path, target("phases"))
    names = [snapshot(program.pid, "--quiet", cwd=tmp_path).strip() for _ in range(3)]
    assert names == [f"t.snapshot-{number}.heapline" for number in (1, 2, 3)]
    result = heapline("snapshot", program.pid, "-o", names[0], cwd=tmp_path)
    assert result.returncode == 4 and b"exists (--force overwrites it)" in result.stderr
    snapshot(program.pid, "-o", names[0], "--force", cwd=tmp_path)
    result = heapline("snapshot", program.pid, "-o", tmp_path / "nowhere" / "s.heapline")
    assert result.returncode == 4 and b"No such file or directory" in result.stderr
    run = program.finish()
    assert [process["pid"] for process in run.report["processes"]] == [run.report["pid"]], "a snapshot is no process of the run"
    assert {path.name for path in tmp_path.iterdir() if not path.name.endswith((".report", "facts"))} == {"t.heapline", *names}


def test_the_running_trace_can_be_read(tmp_path):
    program = Phases(tmp_path, target("phases"), options=())
    program.go_on()
    program.go_on()
    snapshot(program.pid, "-o", tmp_path / "s.heapline", "--quiet")
    running = Trace(program.trace)
    assert figures(running) == figures(Trace(tmp_path / "s.heapline"))
    assert running.report["complete"] is False
    assert not (tmp_path / "t.heapline.report").exists(), "of a trace that still grows nothing is kept"
    assert running.report["recording"] is True and Trace(tmp_path / "s.heapline").report["recording"] is False
    shown = heapline("report", program.trace).stdout.decode()
    assert shown.splitlines()[1].startswith(f"pid {program.pid} ") and "still running" in shown.splitlines()[1]
    assert "! the program still runs: this is what its trace holds until now" in shown and "killed" not in shown
    # A copy isn't what the collector writes.
    shutil.copy(program.trace, tmp_path / "copy.heapline")
    assert Trace(tmp_path / "copy.heapline").report["recording"] is False
    assert "has no end" in heapline("report", tmp_path / "copy.heapline").stdout.decode()
    assert program.finish().report["recording"] is False


def test_processes_that_run_still(tmp_path):
    """The tree of a run tells those that run from those that have ended."""
    program = Phases(tmp_path, "/usr/bin/python3", "-c", "import os, sys\nended = os.spawnv(os.P_WAIT, '/bin/true', ['true'])\n"
                     "child = os.fork()\nif child == 0:\n    os.read(0, 1)\n    os._exit(3)\nprint(1, flush=True)\nos.waitpid(child, 0)", options=())
    deadline = time.monotonic() + 60
    processes = []
    while (len(processes) < 3 or any("killed" in row for row in processes)) and time.monotonic() < deadline:  # collectors are on their way
        rows = heapline("report", program.trace).stdout.decode().partition("\nProcesses ")[2].splitlines()
        processes = [row for row in rows if row.split() and row.split()[0].isdigit()]
    assert ["still running" in row for row in processes] == [True, False, True], processes
    program.go_on()
    program.process.communicate(timeout=60)
    assert b"still running" not in heapline("report", program.trace).stdout


BOUNDED = """
import random, sys
choose = random.Random(3).randrange
kept = []
for i in range(400000):
    kept.append(bytes(choose(1000)))
    if choose(3):
        kept[choose(len(kept))] = None
print("waiting", flush=True)
sys.stdin.readline()
"""


def test_beyond_the_bound(tmp_path):
    """What was only added up is in the snapshot as well."""
    trace = tmp_path / "t.heapline"
    run = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", trace, "--max-trace-size", "1M", "-c", BOUNDED], env=clean_environment(),
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"waiting\n"
    pid = Trace(trace).report["pid"]
    snapshot(pid, "-o", tmp_path / "s.heapline", "--quiet")
    os.kill(pid, signal.SIGKILL)
    run.wait(timeout=60)
    now, end = Trace(tmp_path / "s.heapline"), Trace(trace)
    assert now.report["stream_truncated"] is True and now.report["complete"] is True
    assert figures(now) == figures(end)
    assert now.lines == end.lines
    now.check_sums()


def test_refusals(tmp_path):
    result = heapline("snapshot", os.getpid(), cwd=tmp_path)
    assert result.returncode == 4 and b"has no recorder" in result.stderr
    result = heapline("snapshot", os.getpid(), "-o", tmp_path / "s.heapline")
    assert result.returncode == 4 and b"has no recorder" in result.stderr
    for arguments in ([], ["x"], ["1", "2"]):
        assert heapline("snapshot", *arguments).returncode == 2, arguments
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_other_users_are_refused(tmp_path):
    program = Phases(tmp_path, target("phases"))
    tmp_path.chmod(0o777)
    result = heapline("snapshot", program.pid, "-o", tmp_path / "s.heapline", user=65534, group=65534, extra_groups=[])
    assert result.returncode == 4, result.stderr
    program.finish()
    assert not (tmp_path / "s.heapline").exists()
