"""With --native, one stack of Python and native frames: Python frames stand where the interpreter's loop ran them."""

import collections

import pytest

from interpreters import LAYOUTS
from recording import SOURCES, heapline, target
from test_python_lines import record_script

MERGED = SOURCES / "python" / "merged.py"
every_layout = pytest.mark.parametrize("python", [python for python in LAYOUTS if not python.free_threaded], ids=lambda python: python.id)


class Stacks:
    def __init__(self, run):
        self.stacks = {row["stack_id"]: (row["caller_id"], row["frame_id"]) for row in run.sql("SELECT stack_id, caller_id, frame_id FROM stack")}
        self.frames = {row["frame_id"]: row for row in run.sql("SELECT frame_id, kind, function, file, line, module FROM frame")}
        self.uses = run.sql("SELECT stack_id, allocated_bytes, allocations FROM stack_use WHERE allocations > 0")

    def frames_of(self, stack):
        """Innermost first."""
        found = []
        while stack:
            stack, frame = self.stacks[stack]
            found.append(self.frames[frame])
        return found

    def of_size(self, least, most):
        """Of the program's allocations: {frames, shortened: allocations}."""
        found = collections.Counter()
        for use in self.uses:
            frames = self.frames_of(use["stack_id"])
            if least <= use["allocated_bytes"] / use["allocations"] <= most and any(str(frame["file"]).endswith("merged.py") for frame in frames):
                found[tuple(self.shorten(frames))] += use["allocations"]
        return found

    @staticmethod
    def shorten(frames):
        """Names of Python frames, and for native frames in a row one `...`."""
        for frame in frames:
            assert "EvalFrameDefault" not in str(frame["function"])
        names = [frame["function"].rpartition(".")[2] if frame["kind"] == "python" else "..." for frame in frames]
        return [name for i, name in enumerate(names) if name != "..." or i == 0 or names[i - 1] != "..."]


def names(python, *segments):
    """What shorten says of these segments of Python frames, each called by native code. A loop that runs several frames came with 3.11."""
    if python.version < (3, 11):
        segments = [[name] for segment in segments for name in segment]
    result = ["..."]
    for segment in segments:
        result += [*segment, "..."]
    return tuple(result)


@every_layout
def test_python_frames_stand_where_they_run(record, python):
    run = record_script(record, python, "merged.py", options=["--native"])
    assert run.returncode == 0, run.stderr.decode()
    stacks, base = Stacks(run), ["main", "<module>"]
    # sorted and max, from the same line: the same names, other native frames between them.
    assert stacks.of_size(70030, 70060) == {names(python, ["key"], ["call", *base]): 4}
    assert stacks.of_size(90030, 90060) == {names(python, ["inner", "outer", "<lambda>"], base): 1}
    assert stacks.of_size(100030, 100090) == {names(python, ["__repr__"], base): 1}
    assert stacks.of_size(110030, 110060) == {names(python, ["generate"], base): 1}
    assert stacks.of_size(120030, 120060) == {names(python, ["inner", "outer", "__getattr__"], base): 1}
    assert stacks.of_size(130030, 130060) == {names(python, ["inner", "outer", "callback"], base): 1}
    assert stacks.of_size(140030, 140060) == {names(python, ["inner", "outer", *base]): 1}


@every_layout
def test_the_same_line_by_another_way(record, python):
    run = record_script(record, python, "merged.py", options=["--native"])
    stacks = Stacks(run)
    ways = [[frame["frame_id"] for frame in stacks.frames_of(use["stack_id"])] for use in stacks.uses
            if 70030 <= use["allocated_bytes"] / use["allocations"] <= 70060]
    assert len(ways) == 2 and set(ways[0]) != set(ways[1])


@every_layout
def test_lines_stay_what_they_are(record, python):
    """The lines' figures are those without --native."""
    def figures(*options):
        run = record_script(record, python, "merged.py", options=options)
        return {(row["line"], row["function"]): (row["allocated_bytes"], row["allocations"]) for row in run.lines
                if str(row["file"]).endswith("merged.py")}
    assert figures("--native") == figures()


@every_layout
def test_the_interpreters_own_frames_fold(record, python):
    run = record_script(record, python, "merged.py", options=["--native"])

    def text(*arguments):
        return heapline(*arguments, run.path).stdout.decode()
    assert " interpreter frames" in text("peak", "--limit", 0)
    assert " interpreter frame" not in text("peak", "--limit", 0, "--all-frames")
    folded = text("tree", "--cost", "allocated", "--callees", "call")
    assert "key" in folded and "_PyEval" not in folded and "list_sort" not in folded
    whole = text("tree", "--cost", "allocated", "--callees", "call", "--all-frames", "--threshold", 0)
    assert "key" in whole and "list_sort" in whole


@every_layout
def test_checked_against_libunwind(record, python):
    """--check-native N: one stack in N."""
    run = record_script(record, python, "merged.py", options=["--native", "--check-native", "10"])
    assert run.returncode == 0, run.stderr.decode()
    assert run.report["native_checks"] > 1000 and run.report["native_differences"] == 0 and run.report["lost_events"] == 0


def test_unchecked(record):
    run = record(target("simple"), options=["--native"])
    assert run.report["native_checks"] == 0
