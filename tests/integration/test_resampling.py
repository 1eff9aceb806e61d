"""The sampling interval is changed while a program runs (heapline sample PID SIZE): each block counts by the interval that it was taken by. Seeds are
fixed; as threads race for when they follow, runs differ a little, and figures must lie within four standard errors of the truth."""

import json
import math
import os
import random
import subprocess
import sys

import pytest

from interpreters import every_layout
from recording import BUILD, SOURCES, Recording, clean_environment, completed, heapline, read_facts, target
from test_sampling import Truth, figures

LIBRARY = BUILD / "lib" / "capture" / "libheapline.so"
SIZES = (16, 24, 40, 64, 200, 500, 1000, 3000)
BLOCKS, THREADS = 100000, 2
SCRIPT = SOURCES / "python" / "resampled.py"
K = 1024


class Stepwise:
    """A program that goes on when it is told to, preloaded by hand: the command has no option for the seed."""

    def __init__(self, tmp_path, *command, interval=0, seed=1, options="copies"):
        self.trace, self.facts_path = tmp_path / "t.heapline", tmp_path / "facts"
        sample = f"sample={interval},seed={seed}," if interval else f"seed={seed},"
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=clean_environment(LD_PRELOAD=LIBRARY, HEAPLINE_OUTPUT=self.trace, HEAPLINE_TEST_FACTS=self.facts_path,
                                                              HEAPLINE_OPTIONS=sample + options))
        self.process.stdout.readline()

    def sample(self, size, pid=None):
        result = heapline("sample", pid or read_facts(self.facts_path)["pid"], size)
        assert result.returncode == 0, result.stderr
        return result.stdout.decode()

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def finish_at_end(self):
        """Of one that goes on as long as it gets lines."""
        self.process.stdin.close()
        self.process.stdin = None
        return self.end()

    def finish(self):
        while self.go_on():
            pass
        return self.end()

    def end(self):
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        completed(self.trace)
        return Recording(self.trace, self.process, read_facts(self.facts_path))


def run_phases(tmp_path, intervals, *command, **options):
    """Each phase by its interval."""
    program = Stepwise(tmp_path, *command, interval=intervals[0], **options)
    for before, after in zip(intervals, intervals[1:]):
        program.go_on()
        if after != before:
            program.sample(after)
    return program.finish()


def exact_or(truth, interval, of_change):
    """What was sampled has its error; an exact phase has only that of the bytes until its threads followed: one interval before, at most."""
    return truth if interval else Change(truth, of_change)


class Change:
    def __init__(self, truth, interval_before):
        self.bytes, self.count = truth.bytes, truth.count
        self.bytes_error = math.sqrt(THREADS) * (interval_before + 64 * K)

    def check(self, found_bytes):
        assert abs(found_bytes - self.bytes) <= 4 * self.bytes_error


def phase_truth(interval):
    return Truth([(size, BLOCKS * THREADS // len(SIZES)) for size in SIZES], interval or 1)


def blocks_left(halvings):
    """By size: what is left of the blocks that a thread kept in a phase, when every second one of those that were left has gone so often."""
    left = [SIZES[i % len(SIZES)] for i in range(BLOCKS // 4)]
    for _ in range(halvings):
        left = left[1::2]
    return [(size, left.count(size)) for size in SIZES]


def live_error(intervals):
    truths = [Truth([(size, THREADS * count) for size, count in blocks_left(3 - phase)], interval or 1) for phase, interval in enumerate(intervals)]
    variance = sum(truth.bytes_error ** 2 for truth, interval in zip(truths, intervals) if interval)
    return sum(truth.bytes for truth in truths), math.sqrt(variance)


SEQUENCES = [(0, 64 * K, 8 * K, 0), (64 * K, 0, 0, 256 * K), (16 * K, 128 * K, 16 * K, 1 * K)]


@pytest.mark.parametrize("intervals", SEQUENCES, ids=["exact-first", "sample-first", "never-exact"])
def test_unbiased(tmp_path, intervals):
    allocated = [0] * 4
    runs = 3
    for seed in range(1, runs + 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run = run_phases(folder, intervals, target("resampled"), seed=seed)
        report = run.report
        assert report["sampling_interval_bytes"] == max(intervals)
        assert [change["sampling_interval_bytes"] for change in report["sampling_changes"]] == [
            interval for i, interval in enumerate(intervals) if i == 0 or interval != intervals[i - 1]]
        assert report["lost_events"] == 0 and report["unknown_frees"] == 0
        variance = 0
        for phase, interval in enumerate(intervals):
            (row,) = [row for row in run.lines if row["function"] == f"allocate_{phase + 1}"]
            allocated[phase] += row["allocated_bytes"]
            truth = phase_truth(interval)
            variance += truth.bytes_error ** 2 if interval else 0
            exact_or(truth, interval, intervals[phase - 1] if phase else 0).check(row["allocated_bytes"])
        live, error = live_error(intervals)
        slack = THREADS * (max(intervals) + 64 * K)
        assert abs(report["live_bytes_at_end"] - live) <= 4 * error + slack
        # The report's own standard error is that of the sum over all phases.
        assert report["allocated_bytes_error"] == pytest.approx(math.sqrt(variance), rel=0.15)
        run.check_sums()
    for phase, interval in enumerate(intervals):
        if interval:
            truth = phase_truth(interval)
            slack = THREADS * (intervals[phase - 1] if phase else 0)
            assert abs(allocated[phase] / runs - truth.bytes) <= 4 * truth.bytes_error / math.sqrt(runs) + slack


@pytest.mark.parametrize("intervals", [(0, 1 * K, 512, 0), (1 * K, 1 * K, 1 * K, 1 * K), (1 * K, 0, 2 * K, 64 * K)], ids=["exact-first", "constant", "sample-first"])
def test_rotated(tmp_path, intervals):
    """What makes room is added up by what it stands for: totals, what is left, and errors are those of the whole. Where the machine is quick
    there are few segments, and all of them may fit: tests/unit/test_trace_rotate.c sees to it that they don't."""
    run = run_phases(tmp_path, intervals, target("resampled"), options="copies,rotate=5ms,max-trace-size=8M")
    report = run.report
    assert report["complete"] is True and report["lost_events"] == 0
    assert report["sampling_interval_bytes"] == max(intervals)
    variance = 0
    for phase, interval in enumerate(intervals):
        (row,) = [row for row in run.lines if row["function"] == f"allocate_{phase + 1}"]
        truth = phase_truth(interval)
        variance += truth.bytes_error ** 2 if interval else 0
        exact_or(truth, interval, intervals[phase - 1] if phase else 0).check(row["allocated_bytes"])
        low, high = row["interval_95"]["allocations"]
        slack = THREADS * 64 * K / min(SIZES)  # until its threads followed, another interval held
        assert low - 2.1 * truth.count_error - slack <= truth.count <= high + 2.1 * truth.count_error + slack
        if interval and intervals[phase - 1 if phase else 0] == interval:
            assert high - low == pytest.approx(2 * 1.96 * truth.count_error, rel=0.15)
    live, error = live_error(intervals)
    assert abs(report["live_bytes_at_end"] - live) <= 4 * error + THREADS * (max(intervals) + 64 * K)
    assert report["allocated_bytes_error"] == pytest.approx(math.sqrt(variance), rel=0.15)
    assert 0 < report["peak_bytes_error"] <= report["allocated_bytes_error"]
    run.check_sums()


def test_while_it_runs(tmp_path):
    """heapline live and snapshot give each line the same intervals."""
    program = Stepwise(tmp_path, target("resampled"), interval=16 * K)
    program.go_on()
    pid = read_facts(program.facts_path)["pid"]
    live = json.loads(heapline("live", pid, "--json", "--interval", 100).stdout)
    snapshot = json.loads(heapline("snapshot", pid, "-o", tmp_path / "s.heapline", "--json").stdout)
    rows = {(row["file"], row["line"], row["function"]): row for row in snapshot["lines"]}
    fields = ("live_bytes", "live_allocations", "allocated_bytes", "allocations")
    for row in live["lines"]:
        of_snapshot = rows[row["file"], row["line"], row["function"]]
        assert row["interval_95"] == {field: of_snapshot["interval_95"][field] for field in fields}
    (row,) = [row for row in live["lines"] if row["function"] == "allocate_1"]
    for field in fields:
        low, high = row["interval_95"][field]
        assert 0 < low < row[field] < high
    low, high = live["interval_95"]["live_allocations"]
    assert [low, high] == snapshot["interval_95"]["live_allocations"] and low < live["live_allocations"] < high
    metrics = heapline("metrics", pid, "--once").stdout.decode()
    for name, value in (("live_blocks_low_95", low), ("live_blocks_high_95", high), ("sampling_interval_bytes", 16 * K)):
        assert f'heapline_{name}{{pid="{pid}"}} {value}\n' in metrics
    program.sample(32 * K)
    program.go_on()
    assert f'heapline_sampling_interval_bytes{{pid="{pid}"}} {32 * K}\n' in heapline("metrics", pid, "--once").stdout.decode()
    program.finish()


def test_what_was_exact_stays_exact(tmp_path):
    """Blocks that were recorded one by one count once for ever: what is left of them is known to the byte, though its frees came by a sample."""
    run = run_phases(tmp_path, (0, 512 * K, 512 * K, 512 * K), target("resampled"))
    (row,) = [row for row in run.lines if row["function"] == "allocate_1"]
    each = BLOCKS // len(SIZES)
    assert (row["allocated_bytes"], row["allocations"]) == (THREADS * each * sum(SIZES), THREADS * BLOCKS)
    # Each phase keeps every fourth, of which an eighth is left.
    assert row["live_allocations"] == THREADS * BLOCKS // 4 // 8
    assert row["temporary_allocations"] == THREADS * BLOCKS * 3 // 4


def test_copies(tmp_path):
    """Of each size as many copies, in each phase."""
    intervals = (0, 64 * K, 8 * K, 8 * K)
    run = run_phases(tmp_path, intervals, target("resampled"))
    truths = [Truth([(size, 20000 * THREADS // len(SIZES)) for size in SIZES], interval or 1) for interval in intervals]
    error = math.sqrt(sum(truth.bytes_error ** 2 for truth, interval in zip(truths, intervals) if interval))
    found = run.report["copied_bytes"]
    assert abs(found - sum(truth.bytes for truth in truths)) <= 4 * error + THREADS * 64 * K


def test_fork(tmp_path):
    """The child's trace begins with blocks of two kinds, which keep their weights, and goes on with the interval that its parent had."""
    program = Stepwise(tmp_path, target("resampled"), "fork", options="copies,follow")
    program.go_on()
    program.sample(32 * K)
    program.go_on()
    program.go_on()
    child = read_facts(program.facts_path)["child"]
    assert "already" in program.sample(32 * K, pid=child)
    run = program.finish()
    trace = completed(run.path.with_name(f"{run.path.name}.{child}"))
    assert trace.report["sampling_interval_bytes"] == 32 * K
    (first,) = [row for row in trace.lines if row["function"] == "allocate_1"]
    assert first["live_allocations"] == BLOCKS // 4 // 8 and first["allocations"] == 0
    for phase in (2, 3, 4):
        (row,) = [row for row in trace.lines if row["function"] == f"allocate_{phase}"]
        Truth(blocks_left(4 - phase), 32 * K).check(row["live_bytes"])
    trace.check_sums()


@every_layout
@pytest.mark.parametrize("intervals", [(0, 8 * K, 0, 32 * K), (8 * K, 0, 32 * K, 0)], ids=["exact-first", "sample-first"])
def test_python(tmp_path, python, intervals):
    if python.free_threaded:
        pytest.skip("its allocators can't be exchanged while others allocate")
    run = run_phases(tmp_path, intervals, python.path, "-S", SCRIPT)
    for phase, interval in enumerate(intervals, 1):
        (found,) = figures(run, SCRIPT, f"at {phase}", "allocated_bytes")
        truth = Truth([(133, 30000)], interval or 1)
        slack = intervals[phase - 2] + 64 * K if phase > 1 else 8 * K  # tables of the interpreter's own
        assert abs(found - truth.bytes) <= (4 * truth.bytes_error if interval else 0) + slack, phase
        assert run.facts[f"neighbours_{phase}"] > 3000  # libc's blocks, as sampled ones are, lie further apart
    assert run.report["lost_events"] == 0 and run.report["unknown_frees"] == 0
    run.check_sums()


def test_answers(tmp_path):
    program = Stepwise(tmp_path, target("resampled"))
    assert "is sampled from now on, one block in 512 KiB on average, into " in program.sample("512K")
    assert "is sampled already" in program.sample("512K")
    program.go_on()
    assert "everything is recorded from now on" in program.sample(0)
    for wrong in ("many", "-1"):
        result = heapline("sample", read_facts(program.facts_path)["pid"], "--", wrong)
        assert result.returncode == 2, result.stderr
    run = program.finish()
    text = " ".join(heapline("report", run.path).stdout.decode().split())
    assert "figures are estimates, with the interval of each that holds the truth 19 times in 20: every allocation from 0 ns on, one allocation in 512 KiB on average from" in text


def test_refusals(tmp_path):
    assert heapline("sample", os.getpid(), "1M").returncode == 4


CHURNED = SOURCES / "python" / "churned.py"
CHURNED_BLOCKS = 100000


def churned_sizes(rounds):
    """What churned.py allocates in each round: bytes objects, 33 bytes larger than what they hold."""
    generator = random.Random(3)
    sizes = [size for _, size in ((generator.randrange(1000), 633 + generator.randrange(1000)) for _ in range(rounds * CHURNED_BLOCKS))]
    return [sizes[first:first + CHURNED_BLOCKS] for first in range(0, len(sizes), CHURNED_BLOCKS)]


def run_churned(tmp_path, intervals, options):
    """As run_phases, in Python: its trace is large, as sizes and lifetimes are random."""
    program = Stepwise(tmp_path, sys.executable, "-S", CHURNED, options=options)
    for before, after in zip((0, *intervals), intervals):
        if after != before:
            program.sample(after, program.process.pid)
        program.go_on()
    return program


def churned_bytes(run):
    return sum(row["allocated_bytes"] for row in run.lines if row["file"] == str(CHURNED) and row["line"] == 15)


def test_of_a_bounded_trace(tmp_path):
    """As long as events are listed, a sample of them can begin: with it, they fit."""
    run = run_churned(tmp_path, (0, 64 * K, 64 * K, 64 * K), "no-copies,max-trace-size=2M").finish_at_end()
    assert run.report["complete"] is True and run.report["stream_truncated"] is False and run.path.stat().st_size < 2 << 20
    sizes = churned_sizes(4)
    truth = Truth([(size, 1) for phase in sizes[1:] for size in phase], 64 * K)
    assert abs(churned_bytes(run) - sum(map(sum, sizes))) <= 4 * truth.bytes_error + 64 * K
    run.check_sums(stacks=False)


def test_of_a_bounded_trace_that_fills_up(tmp_path):
    """Once it was a sample it isn't added up any more, also where everything is recorded again: recording stops."""
    run = run_churned(tmp_path, (0, 64 * K, 0, 0, 0, 0), "no-copies,max-trace-size=2M").finish_at_end()
    assert run.report["complete"] is True and run.report["stream_truncated"] is False and 2 << 20 <= run.path.stat().st_size < 3 << 20
    text = " ".join(heapline("report", run.path).stdout.decode().split())
    assert "recording was stopped before the end: the trace reached its size limit" in text
    sizes = churned_sizes(6)
    assert sum(map(sum, sizes[:1])) < churned_bytes(run) < sum(map(sum, sizes))
    run.check_sums(stacks=False)


def test_of_a_bounded_trace_that_is_full(tmp_path):
    program = run_churned(tmp_path, (0, 0, 0, 0), "no-copies,max-trace-size=1M")
    result = heapline("sample", program.process.pid, "1M")
    assert result.returncode == 4 and b"its trace has reached its bound and adds events up" in result.stderr
    run = program.finish_at_end()
    assert run.report["sampling_changes"] == [] and run.report["stream_truncated"] is True
    assert churned_bytes(run) == sum(map(sum, churned_sizes(4)))
