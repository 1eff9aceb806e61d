"""With --native, one stack of Python and native frames: Python frames stand where the interpreter's loop ran them."""

import collections
import pathlib
import shutil
import subprocess

import pytest

from interpreters import LAYOUTS, package_folder
from recording import SOURCES, clean_environment, heapline, target
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


@every_layout
def test_greenlets_at_many_depths(record, python):
    """Each stack is compared with libunwind's, up to the greenlet's first frame."""
    folder = package_folder(python, "greenlet")
    run = record_script(record, python, "greenlets.py", options=["--native", "--check-native", "1"], environment={"PYTHONPATH": folder})
    assert run.returncode == 0, run.stderr.decode()
    assert run.report["native_checks"] > 5000 and run.report["native_differences"] == 0 and run.report["lost_events"] == 0
    stacks = Stacks(run)
    ends = collections.Counter()
    for frames in map(stacks.frames_of, (use["stack_id"] for use in stacks.uses)):
        if any(frame["kind"] == "python" and frame["function"] == "body" for frame in frames):
            innermost, outermost = [str(frame["module"]).rpartition("/")[2].partition(".")[0] for frame in (frames[0], frames[-1])]
            ends[frames[-1]["kind"], "_greenlet" in (innermost if frames[-1]["kind"] == "cut" else outermost)] += 1
    assert ends.pop(("native", True)) > 500
    # From 3.12 on the greenlet module takes the interpreter's entry frames out, while it puts a stack away.
    assert not ends or (set(ends) == {("cut", True)} and python.version >= (3, 12))


# They don't tell where their loops run: Python frames and loops are counted.
counted = pytest.mark.parametrize("python", [python for python in LAYOUTS if python.version < (3, 10)], ids=lambda python: python.id)


@counted
def test_a_loop_without_a_frame_is_marked(record, python):
    """One loop more than there are Python frames: where each belongs is not guessed."""
    run = record_script(record, python, "recursion.py", options=["--native", "--check-native", "1"])
    assert run.returncode == 0, run.stderr.decode()
    assert run.report["native_checks"] > 1000 and run.report["native_differences"] == 0
    stacks = Stacks(run)
    deep = [frames for frames in (stacks.frames_of(use["stack_id"]) for use in stacks.uses)
            if sum(frame["function"] == "down" for frame in frames) > 900]
    marked = [frames for frames in deep if frames[-1]["kind"] == "cut"]
    assert marked
    for frames in marked:
        kinds = [frame["kind"] for frame in frames]
        natives = kinds.index("python")
        assert set(kinds[:natives]) == {"native"} and set(kinds[natives:-1]) == {"python"}
        loops = sum("EvalFrameDefault" in frame["function"] for frame in frames[:natives])
        assert loops == kinds.count("python") + 1
    (allocated,) = [frames for frames in (stacks.frames_of(use["stack_id"]) for use in stacks.uses if use["allocated_bytes"] == 3 * 7034)
                    if frames[-1]["kind"] != "cut"]
    assert stacks.shorten(allocated) == ["...", "<module>", "..."]


@counted
def test_a_stripped_interpreter(record, python, tmp_path):
    """The loop is told by its exported name."""
    maps = subprocess.run([python.path, "-c", "print(open('/proc/self/maps').read())"], capture_output=True, text=True, env=clean_environment())
    library = next((line.split()[-1] for line in maps.stdout.splitlines() if "/libpython" in line), None)
    if not library:
        pytest.skip("has no library of its own")
    copy = tmp_path / pathlib.Path(library).name
    shutil.copy(library, copy)
    subprocess.run(["strip", "--strip-all", copy], check=True)
    run = record_script(record, python, "merged.py", options=["--native", "--check-native", "1"], environment={"LD_LIBRARY_PATH": tmp_path})
    assert run.returncode == 0, run.stderr.decode()
    assert any(row["module"] == str(copy) for row in run.sql("SELECT module FROM frame WHERE kind = 'native'"))
    assert run.report["native_checks"] > 10000 and run.report["native_differences"] == 0
    assert Stacks(run).of_size(90030, 90060) == {names(python, ["inner", "outer", "<lambda>"], ["main", "<module>"]): 1}


def test_unchecked(record):
    run = record(target("simple"), options=["--native"])
    assert run.report["native_checks"] == 0
