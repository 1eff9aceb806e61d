"""Signal handlers that copy, allocate, fork or jump away wherever they interrupt a program, forks that leave one thread, and more threads than there is room for:
the program ends as it does without us."""

import pytest

from recording import run_bare, target


@pytest.mark.parametrize("options", [(), ("--native",), ("--no-follow",)], ids=["plain", "native", "no-follow"])
@pytest.mark.parametrize("how", ["register", "copy", "fork", "thread"])
def test_handlers(record, how, options):
    run = record(target("handlers"), how, options=options, check=False)
    assert run.returncode == 0, run.stderr
    assert run.report["complete"] is True


@pytest.mark.parametrize("options", [("--native",), ("--native", "--sample", "100")], ids=["native", "sampled"])
def test_jumps_out_of_new_stacks(record, options):
    """A handler jumps away while its thread defines a new stack, which takes a lock: other threads that define new ones don't wait for ever."""
    run = record(target("handlers"), "torn", options=options, check=False)
    assert run.returncode == 0, run.stderr
    blocks = sum(row["allocations"] for row in run.lines if row["function"] == "allocate_there")
    if "--sample" not in options:
        assert blocks == 3 * 4000 and run.report["complete"] is True
        assert len(run.json("lines", "--by", "native")["lines"]) > 1


def test_handlers_on_new_stacks(record):
    """What a handler does in the middle of a hook is not recorded, but counted."""
    run = record(target("handlers"), "stacks", options=["--native"], check=False)
    assert run.returncode == 0, run.stderr
    blocks, live, copies = 0, 0, 0
    for row in run.lines:
        if row["function"] == "allocate_there":
            blocks, live = row["allocations"], row["live_allocations"]
        if row["function"] == "copy_own":
            copies = row["copies"]
    handlers, rounds = run.facts["handlers"], run.facts["rounds"]
    assert handlers > 100 and 0 < blocks <= handlers
    frees = blocks - live + run.report["unknown_frees"]
    assert blocks + frees + copies + run.report["lost_events"] == 3 * handlers + rounds


def test_bare():
    for how in ("register", "copy", "fork", "thread", "torn", "stacks", "crowd"):
        bare = run_bare(target("handlers"), how)
        assert bare.returncode == 0, bare.stderr


def test_crowd_is_recorded_or_counted(record):
    """768 rings, 1200 threads of 1000 allocations, frees and copies each."""
    run = record(target("handlers"), "crowd", check=False)
    assert run.returncode == 0, run.stderr
    blocks = sum(row["allocations"] for row in run.lines if row["function"] == "crowd_member")
    assert 767 * 1000 <= blocks < 1200 * 1000
    assert run.report["lost_events"] > 0
