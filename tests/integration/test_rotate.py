"""--rotate: a trace whose old parts have made room says the same as one that lists everything, but for what happened when."""

import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from recording import HEAPLINE, SOURCES, Trace, clean_environment, completed, heapline, target
from test_bound import FIGURES, MIB, QUIET, collector_of, lines_of, stacks_of

sys.path.insert(0, str(SOURCES.parent / "golden"))

import format_reader  # noqa: E402

ROTATE = ["--rotate", "100ms", "--max-trace-size", MIB]


def check_same(rotated, whole, figures=FIGURES):
    assert rotated.path.stat().st_size <= MIB < whole.path.stat().st_size
    assert whole.report["events_from_ns"] == 0
    assert 0 < rotated.report["events_from_ns"] < rotated.report["duration_ns"]
    assert {name: rotated.report[name] for name in figures} == {name: whole.report[name] for name in figures}
    assert lines_of(rotated) == lines_of(whole)
    rotated.check_sums()


@pytest.mark.parametrize("what", ["early", "late", "kill", "none"])
def test_same_figures(record, what):
    rotated, whole = (record(target("random_blocks"), 1000000, what, options=options) for options in (ROTATE, []))
    assert rotated.returncode == whole.returncode == (-signal.SIGKILL if what == "kill" else 0)
    check_same(rotated, whole)
    ages = [[{key: row[key] is None for key in ("oldest_live_ns", "newest_live_ns")} for row in stacks_of(trace)] for trace in (rotated, whole)]
    assert ages[0] == ages[1]


def test_by_size(record):
    rotated, whole = (record(target("random_blocks"), 1000000, options=options)
                      for options in (["--rotate", "20K", "--max-trace-size", MIB], []))
    check_same(rotated, whole)


def test_python(record):
    script = SOURCES / "python" / "random_objects.py"
    rotated, whole = (record(script, 150000, options=options, environment=QUIET, stacks=False) for options in (ROTATE, []))
    assert rotated.path.stat().st_size <= MIB < whole.path.stat().st_size
    mine = [{key: row for key, row in lines_of(trace).items() if key[0] and key[0].endswith(script.name)} for trace in (rotated, whole)]
    assert mine[0] == mine[1] and len(mine[0]) > 8
    assert abs(rotated.report["peak_bytes"] - whole.report["peak_bytes"]) < 4096


def test_forked_child(record):
    """The child's trace is rotated too, and begins with its parent's live set."""
    rotated, whole = (record(target("random_blocks"), 1000000, "fork", options=options) for options in (ROTATE, []))
    check_same(rotated, whole)
    (rotated_child,), (whole_child,) = ([completed(trace.path) for traces in run.children().values() for trace in traces]
                                        for run in (rotated, whole))
    check_same(rotated_child, whole_child)


def test_timeline(record):
    """Sums, then the latest detail: one line from the beginning to the end."""
    rotated = record(target("random_blocks"), 1000000, "early", options=ROTATE)
    rows = rotated.json("timeline")["timeline"]
    assert max(row["heap_peak_bytes"] for row in rows) == rotated.report["peak_bytes"] > 64 * MIB
    assert rows[-1]["time_ns"] == rotated.report["duration_ns"] and rows[-1]["heap_bytes"] == rotated.report["live_bytes_at_end"]
    before = [row for row in rows if row["time_ns"] <= rotated.report["events_from_ns"]]
    assert len(before) > 5
    assert "old parts of the trace have made room" in heapline("report", rotated.path).stdout.decode()


def test_format(record):
    """The reader that was written from the documentation alone reads the file, and checks it block by block."""
    rotated = record(target("random_blocks"), 120000, options=["--rotate", "8K", "--max-trace-size", MIB])
    read = format_reader.Trace(rotated.path.read_bytes())
    assert read.end["reason"] == 1 and read.segments > 3 and read.tallies
    figures = ("peak_bytes", "allocated_bytes", "allocations", "copied_bytes", "copies")
    assert {name: read.totals[name] for name in figures} == {name: rotated.report[name] for name in figures}


def test_bundle(record, tmp_path):
    """A bundle is a plain file, and says the same."""
    rotated = record(target("random_blocks"), 500000, options=ROTATE)
    heapline("bundle", rotated.path, "-o", tmp_path / "b.heapline", check=True)
    bundled = Trace(tmp_path / "b.heapline")
    assert {name: bundled.report[name] for name in FIGURES} == {name: rotated.report[name] for name in FIGURES}
    assert lines_of(bundled) == lines_of(rotated)


def start(trace, *arguments):
    return subprocess.Popen([HEAPLINE, "run", "--quiet", "--rotate", "20K", "--max-trace-size", "1M", "-o", trace, "--",
                             target("random_blocks"), *map(str, arguments)],
                            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("round", range(5))
def test_collector_killed(tmp_path, round):
    """At any moment: what is in the file is whole, and the program goes on."""
    for attempt in range(10):  # on a busy machine the program may have ended before
        trace = tmp_path / f"{attempt}.heapline"
        run, collector = start(trace, 5000000), None
        while not collector and run.poll() is None:
            time.sleep(0.01)
            collector = collector_of(trace) if trace.exists() else None
        time.sleep(0.1 + 0.4 * random.Random(round).random())
        if collector and collector_of(trace) == collector:
            os.kill(collector, signal.SIGKILL)
        assert run.wait(timeout=60) == 0
        run.stdout.close()
        found = Trace(trace).check_sums()
        if found.report["complete"] is False:
            break
    assert found.report["complete"] is False and found.report["damage"] is None
    assert found.report["allocations"] > 0


@pytest.mark.parametrize("value", ["", "0", "30m", "1x", "h", "-1", "1h2"])
def test_refused(tmp_path, value):
    result = heapline("run", "--rotate", value, "-o", tmp_path / "t.heapline", "--", target("simple"))
    assert result.returncode == 2 and b"--rotate" in result.stderr and not list(tmp_path.iterdir())


def test_weights_as_documented(record):
    """A reader that was written from the document weighs the sampled blocks as the writer has."""
    rotated = record(target("random_blocks"), 400000, options=["--rotate", "10ms", "--max-trace-size", MIB, "--sample", "2K"], check=False)
    read = format_reader.Trace(rotated.path.read_bytes())
    assert read.tallies and read.tallies[-1]["longest_interval"] == 2048 and read.segments
    figures = ("peak_bytes", "allocated_bytes", "allocations", "copied_bytes", "copies")
    assert {name: read.totals[name] for name in figures} == {name: rotated.report[name] for name in figures}


def test_of_a_sample(record):
    """By a mean of one byte hardly a block is missed, and each counts about once: figures are those of an exact recording, nearly."""
    rotated = record(target("random_blocks"), 1000000, options=[*ROTATE, "--sample", "1"], check=False)
    whole = record(target("random_blocks"), 1000000)
    assert 0 < rotated.report["events_from_ns"] and rotated.report["sampling_interval_bytes"] == 1
    for figure in ("allocated_bytes", "peak_bytes", "live_bytes_at_end", "allocations"):
        assert rotated.report[figure] == pytest.approx(whole.report[figure], rel=0.001, abs=1000), figure
    rotated.check_sums()


CHURN = """
import random
import sys
random = random.Random(3)
for count in (1000, 150000):
    print(flush=True)
    sys.stdin.readline()
    kept = [None] * 1000
    for number in range(count):
        place, size = random.randrange(1000), 600 + random.randrange(1000)
        kept[place] = bytes(size)
print(flush=True)
sys.stdin.readline()
"""
CHURNED = re.compile(r'^(heapline_[a-z_]+)\{pid="\d+"(?:,line="[^"]*churn\.py:11".*)?\} (\d+)$', re.MULTILINE)


def churning(tmp_path, bound):
    """Goes on with each line it gets; waits after 1000 blocks, and after 150000."""
    (tmp_path / "churn.py").write_text(CHURN)
    run = subprocess.Popen([HEAPLINE, "run", "--quiet", "--rotate", "20K", "--max-trace-size", bound, "-o", tmp_path / "t.heapline", "--",
                            tmp_path / "churn.py"], env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"\n"
    go_on(run)
    return run, Trace(tmp_path / "t.heapline").report["pid"]


def go_on(run):
    run.stdin.write(b"\n")
    run.stdin.flush()
    assert run.stdout.readline() == b"\n"


def test_followed_while_parts_make_room(tmp_path):
    """heapline metrics has read what made room since: it says the same as one that has just begun."""
    run, pid = churning(tmp_path, "2M")
    metrics = subprocess.Popen([HEAPLINE, "metrics", str(pid), "--listen", "127.0.0.1:0"], env=clean_environment(), stdout=subprocess.PIPE, text=True)
    url = metrics.stdout.readline().split()[-1]

    def served():
        return dict(CHURNED.findall(urllib.request.urlopen(url, timeout=60).read().decode()))

    first = served()
    assert first["heapline_line_allocations_total"] == "1000"
    go_on(run)
    deadline, last = time.monotonic() + 60, served()
    while last["heapline_line_allocations_total"] != "151000" and time.monotonic() < deadline:
        time.sleep(0.1)
        last = served()
    assert last["heapline_line_allocations_total"] == "151000" and last["heapline_line_live_blocks"] == "1000"
    again = dict(CHURNED.findall(heapline("metrics", pid, "--once").stdout.decode()))
    figures = {"heapline_live_bytes", "heapline_peak_bytes", "heapline_allocated_bytes_total", "heapline_line_live_bytes"}
    assert {name: last[name] for name in figures} == {name: again[name] for name in figures}
    metrics.kill()
    metrics.communicate()
    run.communicate(b"\n", timeout=60)
    trace = Trace(tmp_path / "t.heapline")
    assert run.returncode == 0 and trace.report["events_from_ns"] > 0
