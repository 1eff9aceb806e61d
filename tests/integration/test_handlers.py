"""Signal handlers that copy or fork wherever they interrupt a program, forks that leave one thread, and more threads than there is room for:
the program ends as it does without us."""

import pytest

from recording import run_bare, target


@pytest.mark.parametrize("options", [(), ("--native",), ("--no-follow",)], ids=["plain", "native", "no-follow"])
@pytest.mark.parametrize("how", ["register", "copy", "fork", "thread"])
def test_handlers(record, how, options):
    run = record(target("handlers"), how, options=options, check=False)
    assert run.returncode == 0, run.stderr
    assert run.report["complete"] is True


def test_bare():
    for how in ("register", "copy", "fork", "thread", "crowd"):
        bare = run_bare(target("handlers"), how)
        assert bare.returncode == 0, bare.stderr


def test_crowd_is_recorded_or_counted(record):
    """768 rings, 1200 threads of 1000 allocations, frees and copies each."""
    run = record(target("handlers"), "crowd", check=False)
    assert run.returncode == 0, run.stderr
    blocks = sum(row["allocations"] for row in run.lines if row["function"] == "crowd_member")
    assert 767 * 1000 <= blocks < 1200 * 1000
    assert run.report["lost_events"] > 0
