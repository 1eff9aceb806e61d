"""SIGKILL at any moment: the trace holds exactly a prefix of what the program did, up to at least what it had acknowledged."""

import os
import random
import signal
import subprocess
import time

import pytest

from marks import line_figures, read_marks
from recording import HEAPLINE, SOURCES, Trace, clean_environment, target


def state_after(allocated, freed):
    """Line figures of steps.c after so many allocations and so many frees."""
    def total(count):
        rounds, rest = divmod(count, 997)
        return rounds * (997 * 998 // 2) + rest * (rest + 1) // 2

    # The k-th free (from 0) is that of the block of step 3 * k.
    released = sum((3 * k) % 997 + 1 for k in range(freed % 997)) + (freed // 997) * (997 * 998 // 2)
    return {"allocations": allocated, "allocated_bytes": total(allocated), "live_bytes": total(allocated) - released,
            "live_allocations": allocated - freed}


def frees_by(allocated, last_step_done):
    """Frees that belong to `allocated` steps: steps 30, 33, 36 … free one each, the last step perhaps not yet."""
    steps = allocated if last_step_done else allocated - 1
    return max(0, (steps - 31) // 3 + 1) if steps > 30 else 0


def check_prefix(rows, acknowledged):
    mark = read_marks(SOURCES / "steps.c")[0]
    figures = line_figures(rows, mark.file, mark.line)
    got = {field: figures[field] for field in ("allocations", "allocated_bytes", "live_bytes", "live_allocations")}
    allocated = got["allocations"]
    possible = [state_after(allocated, frees_by(allocated, done)) for done in (False, True)]
    assert got in possible
    assert acknowledged <= allocated <= acknowledged + 1
    return allocated


def test_the_whole_sequence(record, tmp_path):
    run = record(target("steps"), tmp_path / "progress", 5000)
    assert run.returncode == 0
    assert check_prefix(run.lines, 5000) == 5000
    assert run.report["complete"] is True


def kill_target(tmp_path, delay, options=(), whom="target"):
    trace, progress = tmp_path / "t.heapline", tmp_path / "progress"
    run = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", trace, *options, "--", target("steps"), progress],
                           env=clean_environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (progress.exists() and any(progress.read_bytes()[:8])):
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(process_of(target("steps"), progress), signal.SIGKILL)
    status = run.wait(timeout=60)
    assert status == -signal.SIGKILL
    return Trace(trace), int.from_bytes(progress.read_bytes()[:8], "little")


def process_of(program, argument):
    """The process that runs `program argument`."""
    wanted = [os.fsencode(program), os.fsencode(argument)]
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                if words[:2] == wanted:
                    return int(entry)
            except OSError:
                continue
    raise AssertionError(f"no process runs {program} {argument}")


@pytest.mark.parametrize("attempt", range(8))
def test_kill_loses_nothing(tmp_path, attempt):
    trace, acknowledged = kill_target(tmp_path, random.uniform(0, 0.3))
    assert check_prefix(trace.lines, acknowledged) > 0
    assert trace.report["complete"] is False and trace.report["lost_events"] == 0
    trace.check_sums()


def test_kill_with_native_stacks(tmp_path):
    trace, acknowledged = kill_target(tmp_path, 0.1, options=["--native"])
    check_prefix(trace.lines, acknowledged)
    trace.check_sums()


def test_kill_of_the_command_leaves_a_readable_trace(tmp_path):
    """The command line itself is killed: the program goes on, is killed in turn, and its trace reads."""
    trace, progress = tmp_path / "t.heapline", tmp_path / "progress"
    run = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", trace, "--", target("steps"), progress, "3000000"],
                           env=clean_environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (progress.exists() and any(progress.read_bytes()[:8])):
        time.sleep(0.001)
    run.kill()
    run.wait(timeout=30)
    while time.monotonic() < deadline and int.from_bytes(progress.read_bytes()[:8], "little") < 3000000:
        time.sleep(0.02)
    assert int.from_bytes(progress.read_bytes()[:8], "little") == 3000000
    report = None
    while time.monotonic() < deadline:
        found = Trace(trace)
        report = found.report
        if report["complete"]:
            break
        time.sleep(0.1)
    assert report["complete"] is True
    assert check_prefix(found.lines, 3000000) == 3000000
