"""--sample: estimates from a part of the blocks. Seeds are fixed, so every run gives the same figures; they must lie within four standard
errors of the truth, which the tests compute from the programs' known blocks."""

import math
import sys

import pytest

from interpreters import every_layout, some_interpreters
from recording import BUILD, ROOT, SOURCES, Recording, completed, heapline, read_facts, run_bare, target
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
        low, high = run["interval_95"]["allocations"]
        assert high - low == pytest.approx(2 * 1.96 * ALL.count_error, rel=0.1) and low < run["allocations"] < high
        assert low - 2.1 * ALL.count_error < ALL.count < high + 2.1 * ALL.count_error  # four standard errors off at most
        low, high = run["interval_95"]["peak_allocations"]
        assert 0.8 < (high - low) / (2 * 1.96 * AT_PEAK.count_error) < 1.5  # of few samples: wider than the normal distribution's

    def mean(field):
        return sum(run[field] for run in runs) / len(runs)

    ALL.check(mean("allocated_bytes"), mean("allocations"), runs=len(runs))
    AT_END.check(mean("live_bytes_at_end"), mean("live_allocations_at_end"), runs=len(runs))


def test_intervals(sample):
    """Each estimate of bytes has one, as wide as its error says, in all documents; that they hold the truth is tests/cli/test_cli_estimate.c's."""
    run = sample(target("sampled"), "mixed")
    report, (row,) = run.report, [row for row in run.lines if row["function"] == "allocate"]
    width = 2 * 1.96
    for low, high, estimate, truth in ((*report["interval_95"]["allocated_bytes"], report["allocated_bytes"], ALL),
                                       (*report["interval_95"]["peak_bytes"], report["peak_bytes"], AT_PEAK),
                                       (*row["interval_95"]["allocated_bytes"], row["allocated_bytes"], ALL),
                                       (*row["interval_95"]["peak_bytes"], row["peak_bytes"], AT_PEAK),
                                       (*row["interval_95"]["live_bytes"], row["live_bytes"], AT_END)):
        assert low < estimate < high and high - low == pytest.approx(width * truth.bytes_error, rel=0.15)
        assert low - 2 * truth.bytes_error < truth.bytes < high + 2 * truth.bytes_error
    peak = run.json("peak")
    assert peak["interval_95"]["peak_bytes"] == report["interval_95"]["peak_bytes"]
    (stack,) = [stack for stack in peak["stacks"] if stack["bytes"] == row["peak_bytes"]]
    assert stack["interval_95"] == {"bytes": row["interval_95"]["peak_bytes"], "allocations": row["interval_95"]["peak_allocations"]}
    (candidate,) = [candidate for candidate in run.json("leaks")["candidates"] if candidate["function"] == "allocate"]
    low, high = candidate["interval_95"]["live_bytes"]
    assert low < candidate["live_bytes"] < high
    assert candidate["interval_95"]["live_allocations_at_end"] == row["interval_95"]["live_allocations"]
    assert candidate["interval_95"]["allocations"] == row["interval_95"]["allocations"]
    check_counts(row)
    texts = {command: " ".join(heapline(command, run.path).stdout.decode().split()) for command in ("report", "lines", "peak", "leaks")}
    shown = units_of(report["interval_95"]["peak_bytes"])
    assert f"95 %: {shown}, at" in texts["report"] and f"(95 %: {shown})." in texts["peak"]
    assert units_of(row["interval_95"]["peak_bytes"]) in texts["lines"] and " 95 %: " in texts["leaks"]
    assert f"allocations ({thousands_of(report['interval_95']['allocations'])})" in texts["report"]
    assert f"blocks ({thousands_of(row['interval_95']['peak_allocations'])}) 95 %: " in texts["peak"]
    assert f"blocks ({thousands_of(row['interval_95']['live_allocations'])})" in texts["report"]


def thousands_of(interval):
    assert all(10000 <= value < 999500 for value in interval)
    return " to ".join(f"{value / 1000:.0f}k" if value >= 99950 else f"{value / 1000:.1f}k" for value in interval)


def check_counts(row, interval=INTERVAL):
    """The counts of a line that has all of them: intervals as wide as their errors, and not far from the truth."""
    for field, blocks in (("allocations", 125000), ("peak_allocations", 31250), ("live_allocations", None)):
        truth = Truth([(size, blocks) for size in SIZES] if blocks else [(16, 31250), (200, 31250)], interval)
        low, high = row["interval_95"][field]
        assert low < row[field] < high and low - 2.1 * truth.count_error < truth.count < high + 2.1 * truth.count_error
        # Of few samples, of which each counts for thousands: wider than the normal distribution's.
        assert 0.85 < (high - low) / (2 * 1.96 * truth.count_error) < 1.6, (field, low, high, truth.count_error)
    assert row["interval_95"]["copies"] == [0, 0]


def test_sums_of_samples(sample):
    """Where old segments have become sums their counts have intervals, too: those of the trace that lists all."""
    plain, rotated = (sample(target("sampled"), "mixed", interval=100, options=f"no-copies{options}") for options in ("", ",rotate=1ms,max-trace-size=1M"))
    rows = [[row for row in run.lines if row["function"] == "allocate"][0] for run in (plain, rotated)]
    assert rotated.report["events_from_ns"] > 0
    check_counts(rows[1], 100)
    assert rotated.report["interval_95"].keys() == plain.report["interval_95"].keys() >= {"allocations", "peak_allocations", "copies"}
    for field in ("allocations", "peak_allocations", "live_allocations"):
        # The same blocks were sampled; rounding goes by the number of the event.
        assert rows[1]["interval_95"][field] == pytest.approx(rows[0]["interval_95"][field], rel=0.01)


def units_of(interval):
    """MiB, with three digits."""
    numbers = [value / 1024 ** 2 for value in interval]
    assert all(10 <= number < 99.9 for number in numbers)
    return "{:.1f} to {:.1f} MiB".format(*numbers)


def test_sizes(sample):
    """heapline sizes: each class has its own, and so has each line."""
    run = sample(target("sampled"), "mixed", interval=4000)
    document = run.json("sizes", "--lines")
    for least, most in ((9, 16), (17, 32), (33, 64), (129, 256), (257, 512), (513, 1024)):
        (row,) = [row for row in document["sizes"] if (row["least_bytes"], row["most_bytes"]) == (least, most)]
        for field, each in (("allocations", 125000), ("peak_allocations", 31250)):
            truth = Truth([(size, each) for size in SIZES if least <= size <= most], 4000)
            low, high = row["interval_95"][field]
            assert high - low == pytest.approx(2 * 1.96 * truth.count_error, rel=0.2)
            assert low - 2.1 * truth.count_error < truth.count < high + 2.1 * truth.count_error
    (line,) = [line for line in document["lines"] if line["function"] == "allocate"]
    truth = Truth([(size, 125000) for size in SIZES], 4000)
    low, high = line["interval_95"]["allocations"]
    assert high - low == pytest.approx(2 * 1.96 * truth.count_error, rel=0.1) and low < line["allocations"] < high
    assert "95 %" in heapline("sizes", run.path).stdout.decode()


def test_exact_figures_have_no_interval(record):
    run = record(target("simple"))
    report = run.report
    intervals = report["interval_95"]
    assert intervals.keys() == {"peak_bytes", "allocated_bytes", "allocations", "peak_allocations", "live_allocations_at_end", "copies"}
    assert all(intervals[field] == [report[field]] * 2 for field in intervals if field != "peak_allocations")
    assert not any("interval_95" in row for row in run.lines)
    assert b"95 %" not in heapline("report", run.path).stdout


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
    # Arenas and the objects within them count once, wherever a sampled object lies: 13.3 MB and 30.3 MB, and the interpreter's own.
    least = kept.bytes - 4 * kept.bytes_error
    assert least < run.report["peak_bytes"] < least + 8 * kept.bytes_error + (6 << 20)
    # The interpreter drops the rest when it ends, but for a table of pymalloc's own that may have grown here.
    for mark in ("kept", "dropped"):
        assert figures(run, script, mark, "live_bytes")[0] <= interval + 6144


ELSEWHERE = SOURCES / "python" / "sampled_elsewhere.py"


@every_layout
@pytest.mark.parametrize("allocator", [None, "malloc", "pymalloc_debug", "mimalloc"])
def test_objects_elsewhere(sample, python, allocator):
    """A sampled object is a block of libc's: the program counts as many blocks as ever, and its end is seen whoever brings it about."""
    if allocator == "mimalloc" and python.version < (3, 13) or python.free_threaded and allocator != "mimalloc":
        pytest.skip("this interpreter has no such allocator")
    environment = {"PYTHONMALLOC": allocator}
    bare = run_bare(python.path, "-S", ELSEWHERE, environment=environment)
    run = sample(python.path, "-S", ELSEWHERE, interval=2 << 10, environment=environment)
    assert bare.returncode == 0 and (run.stdout == bare.stdout or allocator == "mimalloc")  # which counts its pages' blocks
    for mark, count in (("grown", 20010), ("appended", 20010), ("early", 50000), ("late", 50000)):
        allocations, live = figures(run, ELSEWHERE, mark, "allocations", "live_bytes")
        assert allocations > count / 2 or mark == "grown"  # some versions credit a caller's line
        assert live == 0


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


def test_frames_that_are_gone(sample):
    """Between two samples coroutines have ended, and the memory of their frames has been unmapped: nothing that is kept of them may be read."""
    for seed in range(3):
        run = sample(sys.executable, ROOT / "tests" / "benchmarks" / "workloads" / "asyncio_tree.py", 14, seed=seed, interval=512 << 10)
        assert run.stdout == b"30\n"
