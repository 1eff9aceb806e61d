"""Recording that begins later and ends earlier than the program: --paused, heapline start and heapline stop."""

import os
import subprocess
import sys

import pytest

from interpreters import every_layout
from marks import check_marks
from phases import Phases
from recording import SOURCES, Recording, completed, heapline, target

SOURCE = SOURCES / "phases.c"
SCRIPT = SOURCES / "python" / "phases.py"


def spans(trace):
    found = trace.report["recorded"]
    times = [time for span in found for time in (span["start_ns"], span["end_ns"])]
    assert times == sorted(times) and (not times or times[-1] <= trace.report["duration_ns"])
    return len(found)


def text_report(trace):
    result = heapline("report", trace.path)
    assert result.returncode == 0
    return " ".join(result.stdout.decode().split())


@pytest.mark.parametrize("options", [[], ["--native"], ["--no-copies"]], ids=["plain", "native", "no-copies"])
def test_paused_to_the_end(record, options):
    run = record(target("simple"), options=["--paused", *options])
    assert run.returncode == 17 and run.stdout == b"simple: done\n"
    assert run.report["events"] == 0 and run.report["allocations"] == 0 and run.report["copies"] == 0
    assert run.report["complete"] is True
    assert spans(run) == 0
    assert f"nothing was recorded: the program ran paused, and nobody said 'heapline start {run.report['pid']}'" in text_report(run)


def test_recorded_from_start_to_end(record):
    run = record(target("simple"))
    assert run.report["recorded"] == [{"start_ns": 0, "end_ns": run.report["duration_ns"]}]
    assert "recorded only" not in text_report(run)


def test_start(tmp_path):
    program = Phases(tmp_path, target("phases"))
    program.go_on()
    assert "is recorded from now on, into " in program.ask("start")
    program.go_on()
    assert "is recorded already" in program.ask("start")
    assert "is no longer recorded" in program.ask("stop")
    program.go_on()
    assert "is not being recorded" in program.ask("stop")
    run = program.finish()
    check_marks(run.lines, SOURCE, run.facts, groups=["first"])
    # Of each thread four old blocks that were freed, and one that was resized.
    assert run.report["unknown_frees"] == 2 * 5
    assert run.report["lost_events"] == 0 and run.report["complete"] is True
    assert spans(run) == 1
    assert "'at the end' means the last stop" in text_report(run)
    run.check_sums()


def test_start_again(tmp_path):
    program = Phases(tmp_path, target("phases"))
    program.go_on()
    program.ask("start")
    program.go_on()
    program.ask("stop")
    program.go_on()
    program.ask("start")
    run = program.finish()
    check_marks(run.lines, SOURCE, run.facts, groups=["last"])
    # Live at the stop, and forgotten since: nobody saw what became of it.
    kept = [row for row in run.lines if row["function"] == "allocate_kept"]
    assert [(row["allocations"], row["live_bytes"], row["live_allocations"]) for row in kept] == [(40, 0, 0)]
    assert spans(run) == 2
    assert "blocks allocated before the last start are not known" in text_report(run)
    run.check_sums()


def test_sample_while_paused(tmp_path):
    """What holds from the next start on, each time."""
    program = Phases(tmp_path, target("phases"))
    program.go_on()
    later = f"process {program.pid} is not being recorded; from the next 'heapline start {program.pid}' on "
    for _ in range(2):
        assert program.ask("sample", "512K") == later + "it is sampled, one block in 512 KiB on average\n"
    program.ask("start")
    program.go_on()
    assert "is sampled already, one block in 512 KiB on average, into " in program.ask("sample", "512K")
    program.ask("stop")
    program.go_on()
    assert program.ask("sample", "0") == later + "everything is\n"
    program.ask("start")
    run = program.finish()
    check_marks(run.lines, SOURCE, run.facts, groups=["last"])
    assert [change["sampling_interval_bytes"] for change in run.report["sampling_changes"]] == [0, 512 << 10, 0]


def test_stop_without_pause(tmp_path):
    program = Phases(tmp_path, target("phases"), options=())
    program.go_on()
    program.ask("stop")
    run = program.finish()
    old = [row for row in run.lines if row["function"] == "allocate_old"]
    assert [(row["allocations"], row["live_bytes"]) for row in old] == [(20, 20000)]
    assert not [row for row in run.lines if row["function"] == "allocate_kept"]
    assert spans(run) == 1 and run.report["recorded"][0]["start_ns"] == 0
    run.check_sums()


def test_the_trace_can_be_read_after_a_stop(tmp_path):
    program = Phases(tmp_path, target("phases"))
    program.go_on()
    program.ask("start")
    program.go_on()
    program.ask("stop")
    for _ in range(100):
        trace = Recording(program.trace, program.process, {})
        if trace.report["events"]:
            break
    check_marks(trace.lines, SOURCE, groups=["first"])
    program.finish()


def test_child_of_a_paused_process(tmp_path):
    program = Phases(tmp_path, target("phases"), "fork")
    program.go_on()
    program.ask("start")
    program.go_on()
    program.ask("stop")
    run = program.finish()
    assert run.report["events"] == 0 and spans(run) == 0
    child = completed(tmp_path / f"t.heapline.{run.facts['pid']}")
    check_marks(child.lines, SOURCE, groups=["first"])
    assert spans(child) == 1
    child.check_sums()


@every_layout
def test_python(tmp_path, python):
    if python.free_threaded:
        pytest.skip("without a GIL nobody can take over the allocators of a running interpreter")
    program = Phases(tmp_path, python.path, SCRIPT)
    program.go_on()
    program.ask("start")
    program.go_on()
    program.ask("stop")
    run = program.finish()
    check_marks(run.lines, SCRIPT)
    assert run.report["lost_events"] == 0
    run.check_sums()


@every_layout
def test_python_paused_to_the_end(record, python):
    run = record(python.path, "-c", "print(len([object() for i in range(1000)]))", options=["--paused"])
    assert run.stdout == b"1000\n" and run.report["events"] == 0


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_refusals(verb):
    result = heapline(verb, os.getpid())
    assert result.returncode == 4 and b"has no recorder" in result.stderr
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    result = heapline(verb, finished.pid)
    assert result.returncode == 4 and b"there is no process" in result.stderr
    for arguments in ([], ["x"], ["-1"], ["0"], ["1", "2"]):
        assert heapline(verb, *arguments).returncode == 2, arguments


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_other_users_are_refused(tmp_path):
    program = Phases(tmp_path, target("phases"))
    program.go_on()
    result = heapline("start", program.pid, user=65534, group=65534, extra_groups=[])
    assert result.returncode == 4 and b"another user's" in result.stderr
    run = program.finish()
    assert spans(run) == 0 and run.report["events"] == 0
