"""--sample: estimates from a part of the blocks. Seeds are fixed, so every run gives the same figures; they must lie within four standard
errors of the truth, which the tests compute from the programs' known blocks."""

import math

import pytest

from interpreters import some_interpreters
from recording import BUILD, SOURCES, Recording, completed, heapline, read_facts, run_bare, target
from test_paused import Phases, spans

LIBRARY = BUILD / "lib" / "capture" / "libheapline.so"
INTERVAL = 64 << 10
SIZES = (16, 24, 40, 64, 200, 500, 1000, 0)
SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture
def sample(tmp_path):
    """sample(program, *arguments, seed, interval, options) -> Recording, preloaded by hand: the command has no option for the seed."""
    count = 0

    def run(program, *arguments, seed=1, interval=INTERVAL, options="no-copies", environment=None):
        nonlocal count
        count += 1
        trace, facts = tmp_path / f"{count}.heapline", tmp_path / f"{count}.facts"
        result = run_bare(program, *arguments, environment={
            "LD_PRELOAD": LIBRARY, "HEAPLINE_OUTPUT": trace, "HEAPLINE_TEST_FACTS": facts,
            "HEAPLINE_OPTIONS": f"sample={interval},seed={seed},{options}", **(environment or {})})
        assert result.returncode == 0, result.stderr
        recording = completed(trace)
        assert recording.report["sampling_interval_bytes"] == interval
        assert recording.report["lost_events"] == 0 and recording.report["unknown_frees"] == 0
        recording.check_sums()
        return Recording(trace, result, read_facts(facts))

    return run


class Truth:
    """Blocks by size: their sums, and the standard errors that estimates of these have."""

    def __init__(self, blocks, interval=INTERVAL):
        self.bytes = sum(size * count for size, count in blocks)
        self.count = sum(count for size, count in blocks if size)  # none of no bytes is ever sampled
        odds = {size: 1 / -math.expm1(-size / interval) - 1 for size, _ in blocks if size}
        self.bytes_error = math.sqrt(sum(count * size ** 2 * odds[size] for size, count in blocks if size))
        # Whole numbers: each of some 1/(1 + odds) samples is rounded at random.
        self.count_error = math.sqrt(sum(count * (odds[size] + 0.25 / (1 + odds[size])) for size, count in blocks if size))

    def check(self, found_bytes, found_count=None, runs=1):
        assert abs(found_bytes - self.bytes) <= 4 * self.bytes_error / math.sqrt(runs), (found_bytes, self.bytes, self.bytes_error)
        if found_count is not None:
            assert abs(found_count - self.count) <= 4 * self.count_error / math.sqrt(runs), (found_count, self.count, self.count_error)


ALL = Truth([(size, 125000) for size in SIZES])
AT_PEAK = Truth([(size, 31250) for size in SIZES])
# Of the kept blocks every fourth, whose sizes are the first and the fifth.
AT_END = Truth([(16, 31250), (200, 31250)])


def test_unbiased(sample):
    runs = [sample(target("sampled"), "mixed", seed=seed).report for seed in SEEDS]
    assert len({run["allocated_bytes"] for run in runs}) == len(SEEDS)
    for run in runs:
        ALL.check(run["allocated_bytes"], run["allocations"])
        AT_PEAK.check(run["peak_bytes"])
        AT_END.check(run["live_bytes_at_end"], run["live_allocations_at_end"])
        assert run["allocated_bytes_error"] == pytest.approx(ALL.bytes_error, rel=0.1)
        assert run["peak_bytes_error"] == pytest.approx(AT_PEAK.bytes_error, rel=0.2)

    def mean(field):
        return sum(run[field] for run in runs) / len(runs)

    ALL.check(mean("allocated_bytes"), mean("allocations"), runs=len(runs))
    AT_END.check(mean("live_bytes_at_end"), mean("live_allocations_at_end"), runs=len(runs))


def test_a_seed_gives_the_same_sample(sample):
    first, second = (sample(target("sampled"), "mixed").report for _ in range(2))
    assert all(first[field] == second[field] for field in ("allocated_bytes", "allocations", "peak_bytes", "live_bytes_at_end", "events"))


@pytest.mark.parametrize("interval", [1000, 1 << 20])
def test_other_intervals(sample, interval):
    run = sample(target("sampled"), "mixed", interval=interval).report
    truth = Truth([(size, 125000) for size in SIZES], interval)
    truth.check(run["allocated_bytes"], run["allocations"])
    # As many events as samples and their ends: no other block is recorded.
    expected = sum(125000 * -math.expm1(-size / interval) for size in SIZES)
    assert run["events"] <= 2 * expected + 8 * math.sqrt(expected) + 20


def test_what_is_freed_is_gone(sample):
    run = sample(target("sampled"), "threads", interval=4000)
    Truth([(size, 31250) for size in SIZES], 4000).check(run.report["allocated_bytes"], run.report["allocations"])
    # Of each size there are a little fewer or more than that; and all of them are freed by other threads.
    assert [row for row in run.lines if row["function"] == "allocate" and (row["live_bytes"] or row["live_allocations"])] == []


def test_reallocs(sample):
    run = sample(target("sampled"), "reallocs", options="copies")
    steps = [50 << i for i in range(11)]
    Truth([(size, 20000) for size in [*steps, 17000]]).check(run.report["allocated_bytes"], run.report["allocations"])
    rows = [row for row in run.lines if row["function"] == "reallocs"]
    assert sum(row["live_bytes"] for row in rows) == 0 and sum(row["live_allocations"] for row in rows) == 0
    # Each move copies a step of the growth, or all that is left: the errors are those of as many bytes in the smallest pieces.
    moved = run.facts["moved_bytes"]
    error = math.sqrt(moved * INTERVAL * 1.1)
    found = sum(row["copied_bytes"] for row in rows)
    assert moved > 20 * error and abs(found - moved) <= 4 * error, (found, moved, error)


def test_copies(sample):
    run = sample(target("sampled"), "copies", options="copies")
    rows = sorted((row for row in run.lines if row["function"] == "copies"), key=lambda row: row["line"])
    small, large = Truth([(size, 1000000 / 7) for size in SIZES[:-1]]), Truth([(8000, 10000)])
    assert len(rows) == 2
    small.check(rows[0]["copied_bytes"], rows[0]["copies"])
    large.check(rows[1]["copied_bytes"], rows[1]["copies"])
    assert run.json("copies")["copy_threshold_bytes"] == 0


def test_fork(sample, tmp_path):
    run = sample(target("sampled"), "fork")
    quarter = Truth([(size, 31250) for size in SIZES])
    quarter.check(run.report["allocated_bytes"])
    child = completed(run.path.with_name(f"{run.path.name}.{run.facts['child']}"))
    assert child.report["sampling_interval_bytes"] == INTERVAL and child.report["unknown_frees"] == 0
    Truth([(size, 31250 / 2) for size in SIZES]).check(child.report["allocated_bytes"])
    # All that was inherited has been freed, and half of what came after.
    Truth([(size, 31250 / 4) for size in SIZES]).check(child.report["live_bytes_at_end"])
    child.check_sums()


def figures(run, script, mark, *fields):
    """Of the line of the script that ends in this comment."""
    (line,) = [number for number, text in enumerate(script.read_text().splitlines(), 1) if text.endswith(f"# {mark}")]
    rows = [row for row in run.lines if row["line"] == line and (row["file"] or "").endswith(script.name)]
    return [sum(row[field] for row in rows) for field in fields]


@some_interpreters
@pytest.mark.parametrize("allocator", [None, "malloc", "pymalloc_debug"])
def test_python(sample, python, allocator):
    """CPython's object allocator may ask malloc for each object, or for large ones: those are not sampled once more."""
    interval, script = 32 << 10, SOURCES / "python" / "sampled.py"
    run = sample(python.path, "-S", script, options="copies", interval=interval, environment={"PYTHONMALLOC": allocator})
    # A bytes object's header and terminating NUL are 33 bytes.
    kept = Truth([(133, 100000), (3033, 10000)], interval)
    kept.check(*figures(run, script, "kept", "allocated_bytes", "allocations"))
    kept.check(figures(run, script, "kept", "peak_bytes")[0])
    dropped = Truth([(83, 300000), (5033, 10000)], interval)
    dropped.check(*figures(run, script, "dropped", "allocated_bytes", "allocations"))
    # The interpreter drops the rest when it ends, but for a table of pymalloc's own that may have grown here.
    for mark in ("kept", "dropped"):
        assert figures(run, script, mark, "live_bytes")[0] <= interval + 6144


def test_exact_recordings_have_no_error(record):
    run = record(target("simple"))
    assert run.report["sampling_interval_bytes"] == 0
    assert run.report["peak_bytes_error"] == 0 and run.report["allocated_bytes_error"] == 0


def test_the_command(record):
    """--sample: a seed of its own each time, so only what is certain is asked for."""
    run = record(target("simple"), options=["--sample", "1K"], check=False)
    assert run.returncode == 17 and run.report["sampling_interval_bytes"] == 1024
    # 16 MiB can't be missed.
    assert run.report["peak_bytes"] >= 16 << 20 and run.report["temporary_allocations"] == 0
    text = " ".join(heapline("report", run.path).stdout.decode().split())
    assert "sampled, one allocation in 1.00 KiB on average: figures are estimates" in text
    run.check_sums()


def test_paused(tmp_path):
    program = Phases(tmp_path, target("phases"), options=["--paused", "--sample", "16"])
    program.go_on()
    program.ask("start")
    program.go_on()
    program.ask("stop")
    run = program.finish()
    assert spans(run) == 1
    kept = [row for row in run.lines if row["function"] == "allocate_kept"]
    # 500 bytes hold a point but for one block in 4e13.
    assert [(row["allocations"], row["allocated_bytes"], row["live_bytes"]) for row in kept] == [(40, 20000, 15000)]
    assert not [row for row in run.lines if row["function"] == "allocate_old"]


def test_bounded(sample):
    """A sample can't be added up any further: recording stops where its trace is full."""
    run = sample(target("sampled"), "mixed", interval=50, options="no-copies,max-trace-size=20K")
    assert run.report["complete"] is True and 0 < run.report["events"]
    assert sum(row["allocations"] for row in run.lines) < 0.9 * ALL.count
    text = " ".join(heapline("report", run.path).stdout.decode().split())
    assert "recording was stopped before the end: the trace reached its size limit" in text
