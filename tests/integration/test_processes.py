"""Programs that make processes: each has a trace of its own, found from the first; a fork's child starts with its parent's live set."""

import os
import time

import pytest

from marks import check_marks, line_figures, read_marks
from recording import SOURCES, Trace, target

SOURCE = SOURCES / "children.c"


def rows_of(trace, name):
    mark = next(mark for mark in read_marks(SOURCE) if mark.name == name)
    return line_figures(trace.lines, mark.file, mark.line)


def check_child_of_fork(child):
    """What child_work does to ten inherited blocks of 10000 bytes: four freed, one resized."""
    check_marks(child.lines, SOURCE, groups=["child"])
    inherited = rows_of(child, "inherited")
    assert inherited["live_bytes"] == 50000 and inherited["live_allocations"] == 5
    assert inherited["allocated_bytes"] == 0 and inherited["allocations"] == 0
    child.check_sums()


def check_parent(run, live=90000):
    inherited = rows_of(run, "inherited")
    assert inherited["allocated_bytes"] == 100000 and inherited["live_bytes"] == live
    check_marks(run.lines, SOURCE, run.facts, groups=["parent"], only=["after", "last"])
    # Nothing of a child's in the parent's trace.
    assert rows_of(run, "own")["allocations"] == 0


def only_child(run, pid):
    children = run.children()
    assert list(children) == [pid] and len(children[pid]) == 1, children
    return children[pid][0]


@pytest.mark.parametrize("options", [(), ("--native",)], ids=["plain", "native"])
def test_fork(record, options):
    run = record(target("children"), "fork", options=options)
    assert run.returncode == 0, run.stderr
    check_parent(run)
    child = only_child(run, run.facts["child"])
    check_child_of_fork(child)
    assert child.report["complete"] is True
    processes = {process["pid"]: process for process in run.report["processes"]}
    assert len(processes) == 2
    (parent,) = (pid for pid in processes if pid != run.facts["child"])
    assert processes[run.facts["child"]]["parent_pid"] == parent
    assert processes[run.facts["child"]]["peak_bytes"] == child.report["peak_bytes"]
    assert processes[parent]["peak_bytes"] == run.report["peak_bytes"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_fork_of_another_user(record):
    """Its privileges are dropped before: the child is recorded all the same, and nobody waits."""
    code = ("import os\nos.setgid(65534)\nos.setuid(65534)\nchild = os.fork()\n"
            "if not child:\n    kept = [bytearray(1000) for i in range(5000)]\n    os._exit(5)\n"
            "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5")
    run = record("/usr/bin/python3", "-c", code)
    assert run.returncode == 0, run.stderr
    (child,) = [process for process in run.report["processes"] if process["parent_pid"] == run.report["processes"][0]["pid"]]
    assert child["exit"] == 5 and child["complete"] is True and child["peak_bytes"] > 5000 * 1000
    assert run.report["complete"] is True and run.report["duration_ns"] < 1_900_000_000


def test_fork_is_not_followed_when_asked(record):
    run = record(target("children"), "fork", options=["--no-follow"])
    assert run.returncode == 0, run.stderr
    check_parent(run)
    assert run.children() == {}
    assert len(run.report["processes"]) == 1


def test_child_by_a_raw_system_call(record):
    run = record(target("raw_clone"))
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "raw_clone.c", run.facts)


def test_grandchildren(record):
    run = record(target("children"), "grandchildren")
    assert run.returncode == 0, run.stderr
    check_parent(run)
    children = run.children()
    assert set(children) == {run.facts["child"], run.facts["grandchild"]}
    middle = children[run.facts["child"]][0].check_sums()
    check_marks(middle.lines, SOURCE, groups=["middle"], only=["own"])
    grandchild = children[run.facts["grandchild"]][0]
    check_child_of_fork(grandchild)
    assert {process["pid"] for process in run.report["processes"]} >= set(children)


def test_fork_while_threads_allocate(record):
    run = record(target("children"), "threads")
    assert run.returncode == 0, run.stderr
    check_parent(run)
    check_marks(run.lines, SOURCE, run.facts, groups=["threads"])
    assert run.sql("SELECT unknown_frees FROM summary") == [{"unknown_frees": 0}]
    children = run.children()
    assert set(children) == {value for name, value in run.facts.items() if name.startswith("child")}
    for traces in children.values():
        check_child_of_fork(traces[0])


def test_exec_chain(record):
    """Each image has a trace of its own."""
    run = record(target("children"), "exec", "3", check=False)
    assert run.returncode == 9, run.stderr
    traces = [run] + [trace for traces in run.children().values() for trace in traces]
    assert len(traces) == 4
    for trace in traces:
        trace.check_sums()
        inherited = rows_of(trace, "inherited")
        assert inherited["allocated_bytes"] == 100000 and inherited["live_bytes"] == 100000
        assert trace.report["lost_events"] == 0
    assert len(run.report["processes"]) == 4


def test_failed_exec(record):
    run = record(target("children"), "exec_failed")
    assert run.returncode == 0, run.stderr
    check_parent(run)
    assert run.report["complete"] is True and run.children() == {}


@pytest.mark.parametrize("how", ["vfork", "spawn"])
def test_new_program(record, how):
    run = record(target("children"), how)
    assert run.returncode == 0, run.stderr
    check_parent(run)
    child = only_child(run, run.facts["child"]).check_sums()
    check_marks(child.lines, SOURCE, groups=["child"])
    inherited = rows_of(child, "inherited")
    assert inherited["allocated_bytes"] == 100000 and inherited["live_bytes"] == 50000


def test_system(record):
    run = record(target("children"), "system", target("children"))
    assert run.returncode == 0, run.stderr
    check_parent(run)
    working = [trace for traces in run.children().values() for trace in traces if rows_of(trace, "own")["allocations"]]
    assert len(working) == 1
    check_marks(working[0].check_sums().lines, SOURCE, groups=["child"])


def test_popen(record):
    run = record(target("children"), "popen", options=["--native"])
    assert run.returncode == 0, run.stderr
    check_parent(run)
    check_marks(run.lines, SOURCE, run.facts, groups=["popen"])


def test_orphan(record):
    """A grandchild outlives the program: `run` does not wait for it, its trace is completed all the same."""
    run = record(target("children"), "orphan")
    assert run.returncode == 0, run.stderr
    check_parent(run)
    deadline = time.monotonic() + 20
    complete = []
    while time.monotonic() < deadline:
        complete = [trace for traces in Trace(run.path).children().values() for trace in traces if trace.report["complete"]]
        if any(rows_of(trace, "own")["allocations"] for trace in complete):
            break
        time.sleep(0.1)
    (orphan,) = [trace for trace in complete if rows_of(trace, "own")["allocations"]]
    check_child_of_fork(orphan)
