"""--max-trace-size: a trace that reached its bound says the same as one without a bound, but for what happened when."""

import os
import signal
import subprocess
import time

import pytest

from recording import HEAPLINE, SOURCES, Trace, clean_environment, collector_of, completed, heapline, target

MIB = 1 << 20
FIGURES = ("peak_bytes", "allocated_bytes", "allocations", "temporary_allocations", "live_bytes_at_end", "live_allocations_at_end",
           "copied_bytes", "copies", "events", "lost_events", "unknown_frees", "complete")
QUIET = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


def lines_of(trace):
    """Rows by line, without what is empty for want of a file."""
    return {(row["file"], row["line"], row["function"], row["kind"]): row for row in trace.lines}


def stacks_of(trace):
    return trace.sql("SELECT * FROM stack_use ORDER BY stack_id")


def check_same(bounded, whole, size, figures=FIGURES):
    """`bounded` reached its bound, and says what `whole` says."""
    assert bounded.path.stat().st_size <= size < whole.path.stat().st_size
    assert whole.report["stream_truncated"] is False and whole.report["events_until_ns"] == whole.report["duration_ns"]
    assert bounded.report["stream_truncated"] is True and 0 < bounded.report["events_until_ns"] < bounded.report["duration_ns"]
    assert {name: bounded.report[name] for name in figures} == {name: whole.report[name] for name in figures}
    assert lines_of(bounded) == lines_of(whole)
    bounded.check_sums()


def record_both(record, *command, size=MIB, **more):
    return record(*command, options=["--max-trace-size", size], **more), record(*command, **more)


@pytest.mark.parametrize("what", ["early", "late", "kill", "none"])
def test_same_figures(record, what):
    bounded, whole = record_both(record, target("random_blocks"), 1000000, what)
    assert bounded.returncode == whole.returncode == (-signal.SIGKILL if what == "kill" else 0)
    check_same(bounded, whole, MIB)
    if what == "early":
        assert bounded.report["peak_time_ns"] < bounded.report["events_until_ns"]
    if what == "late":
        assert bounded.report["peak_time_ns"] > bounded.report["events_until_ns"]
        assert bounded.report["peak_bytes"] > 64 * MIB
    ages = [{key: row[key] is None for key in ("oldest_live_ns", "newest_live_ns")} for row in stacks_of(bounded)]
    assert ages == [{key: row[key] is None for key in ("oldest_live_ns", "newest_live_ns")} for row in stacks_of(whole)]


def test_native_stacks(record):
    bounded, whole = (record(target("random_blocks"), 1000000, options=["--native", *bound]) for bound in (["--max-trace-size", "1M"], []))
    check_same(bounded, whole, MIB)


def test_python(record):
    script = SOURCES / "python" / "random_objects.py"
    bounded, whole = record_both(record, script, 150000, environment=QUIET, stacks=False)
    assert bounded.path.stat().st_size <= MIB < whole.path.stat().st_size
    assert bounded.report["stream_truncated"] is True
    mine = [{key: row for key, row in lines_of(trace).items() if key[0] and key[0].endswith(script.name)} for trace in (bounded, whole)]
    assert mine[0] == mine[1] and len(mine[0]) > 8
    # The interpreter's own start differs by a few bytes from run to run: paths, the environment.
    assert abs(bounded.report["peak_bytes"] - whole.report["peak_bytes"]) < 4096
    assert bounded.report["peak_time_ns"] > bounded.report["events_until_ns"]


def test_threads(record):
    """Which thread comes first differs from run to run; what all do does not."""
    bounded, whole = record_both(record, target("random_blocks"), 600000, "threads")
    figures = ("allocations", "allocated_bytes", "live_bytes_at_end", "live_allocations_at_end", "lost_events", "unknown_frees", "complete")
    assert {name: bounded.report[name] for name in figures} == {name: whole.report[name] for name in figures}
    assert bounded.report["stream_truncated"] is True
    fields = ("allocations", "allocated_bytes", "live_bytes", "live_allocations")
    assert {key: [row[field] for field in fields] for key, row in lines_of(bounded).items() if key[2] != "copied_block"} == \
           {key: [row[field] for field in fields] for key, row in lines_of(whole).items() if key[2] != "copied_block"}


def test_forked_child(record):
    """The child begins with its parent's live set, of which the parent's trace doesn't list all, and has a bound of its own."""
    bounded, whole = record_both(record, target("random_blocks"), 1000000, "fork")
    check_same(bounded, whole, MIB)
    (bounded_child,), (whole_child,) = ([completed(trace.path) for traces in run.children().values() for trace in traces]
                                        for run in (bounded, whole))
    check_same(bounded_child, whole_child, MIB)
    assert bounded_child.report["allocations"] > 400000


def test_timeline(record):
    """What happened when: listed up to the bound, then in steps."""
    bounded = record(target("random_blocks"), 1000000, "late", options=["--max-trace-size", "1M"])
    document = bounded.json("timeline")
    assert document["stream_truncated"] is True and document["events_until_ns"] == bounded.report["events_until_ns"]
    rows = document["timeline"]
    assert max(row["heap_peak_bytes"] for row in rows) == bounded.report["peak_bytes"]
    assert rows[-1]["time_ns"] == bounded.report["duration_ns"] and rows[-1]["heap_bytes"] == bounded.report["live_bytes_at_end"]
    late = [row for row in rows if row["time_ns"] > document["events_until_ns"]]
    assert len(late) > 10
    text = heapline("report", bounded.path).stdout.decode()
    assert "reached its size bound" in text


def test_collector_killed(tmp_path):
    """Sums on the way outlive the collector; the program goes on."""
    trace = tmp_path / "t.heapline"
    run = subprocess.Popen([HEAPLINE, "run", "--quiet", "--max-trace-size", "1M", "-o", trace, "--", target("random_blocks"), "1000000", "sleep"],
                           env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert run.stdout.readline() == b"ready\n"
    collector = collector_of(trace)
    deadline = time.monotonic() + 30
    report = Trace(trace).report
    while time.monotonic() < deadline and report["allocations"] < 900000:
        time.sleep(0.2)
        report = Trace(trace).report
    os.kill(collector, signal.SIGKILL)
    target_pid = report["pid"]
    found = Trace(trace).check_sums()
    assert found.report["complete"] is False and found.report["stream_truncated"] is True and found.report["damage"] is None
    assert found.report["allocations"] > 900000
    os.kill(target_pid, signal.SIGTERM)
    assert run.wait(timeout=30) == -signal.SIGTERM
    run.stdout.close()


@pytest.mark.parametrize("size", ["1000", "1023K"])
def test_too_small(tmp_path, size):
    result = heapline("run", "--max-trace-size", size, "-o", tmp_path / "t.heapline", "--", target("simple"))
    assert result.returncode == 2 and b"--max-trace-size" in result.stderr and b"1.00 MiB" in result.stderr
    assert result.stdout == b"" and not list(tmp_path.iterdir())


def test_zero_is_no_bound(tmp_path):
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "--max-trace-size", "0", "-o", trace, "--", target("many_events"), 1000000)
    assert result.returncode == 13
    assert trace.stat().st_size > 2 * MIB and Trace(trace).report["stream_truncated"] is False
