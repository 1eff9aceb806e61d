"""Blocks that cross threads: an event lost, or an allocation and a free of one address swapped, shows as a live block, an unknown free,
or a wrong peak."""

import os

import pytest

from marks import check_marks
from recording import SOURCES, target

PATTERNS = {"pipe": 1000000, "pingpong": 300000, "exchange": 100000, "resize": 60000, "phases": 1, "many": 2000, "turns": 30000}


@pytest.mark.parametrize("name", ["threads", "threads_o2"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_cross_thread_frees(record, name, pattern):
    run = record(target(name), pattern, PATTERNS[pattern])
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "threads.c", run.facts, groups=[pattern])
    assert run.sql("SELECT unknown_frees FROM summary") == [{"unknown_frees": 0}]


@pytest.mark.parametrize("pattern", ["exchange", "phases", "many"])
def test_cross_thread_frees_with_native_stacks(record, pattern):
    run = record(target("threads"), pattern, min(PATTERNS[pattern], 30000), options=["--native"])
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "threads.c", run.facts, groups=[pattern])


def test_pipe_peak_is_bounded_by_the_queue(record):
    """No more than the queue's blocks and those in hand live at once: a late free would raise the peak above that."""
    run = record(target("threads"), "pipe", 300000)
    row = max((row for row in run.lines if row["function"] == "pattern_pipe"), key=lambda row: row["allocations"])
    assert 0 < row["peak_allocations"] <= 1024 + 3
    assert row["peak_bytes"] <= (1024 + 3) * 515


def test_thread_destructors_and_late_threads(record):
    run = record(target("thread_exit"))
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "thread_exit.c", run.facts)
    assert run.report["complete"] is True


def test_cxx_thread_local(record):
    run = record(target("thread_local"))
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "thread_local.cpp", run.facts)


@pytest.mark.parametrize("pattern", ["pipe", "exchange", "turns", "many"])
def test_on_a_single_core(record, pattern):
    """Threads and collector take turns: nothing waits for ever, and nothing is lost."""
    core = min(os.sched_getaffinity(0))
    run = record(target("threads"), pattern, min(PATTERNS[pattern], 100000), preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "threads.c", run.facts, groups=[pattern])
    assert run.sql("SELECT unknown_frees FROM summary") == [{"unknown_frees": 0}]
