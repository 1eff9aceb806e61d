"""Tags (docs/tags.md): what each allocation was made for, by heapline.h and by the Python package; exact bytes under each tag."""

import os
import re
import subprocess

import pytest
from interpreters import DEFAULT, SOME, every_layout, package_folder
from recording import HEAPLINE, ROOT, SOURCES, clean_environment, heapline, run_bare, target

PYTHON_SOURCE = SOURCES / "python" / "tags.py"
PACKAGE = ROOT / "python"
BYTEARRAY_EXTRA = 57  # the object, and a NUL behind the bytes


def figures_by_tag(trace, *arguments):
    """allocated_bytes by tag, of what has no tag under '(no tag)'."""
    return {row["function"]: row for row in trace.json("lines", "--by", "tag", *arguments)["lines"] if row["kind"] == "tag"}


def bytes_by_tag(trace, *arguments):
    return {name: row["allocated_bytes"] for name, row in figures_by_tag(trace, *arguments).items()}


# ---- C ----

@pytest.mark.parametrize("options", [(), ("--native",)], ids=["plain", "native"])
def test_nested(record, options):
    run = record(target("tags"), "nested", options=options)
    assert run.returncode == 0 and run.stdout == b"1 1 1 1\n", run.stderr
    rows = figures_by_tag(run)
    assert {name: (row["allocated_bytes"], row["allocations"]) for name, row in rows.items() if name != "(no tag)"} == {
        "load": (25000, 2), "parse é": (610000, 2)}
    assert rows["(no tag)"]["allocated_bytes"] == run.report["allocated_bytes"] - 635000
    inclusive = figures_by_tag(run, "--inclusive")
    assert inclusive["load"]["allocated_bytes"] == 635000 and inclusive["load"]["peak_bytes"] == 335000
    assert inclusive["parse é"]["allocated_bytes"] == 610000
    # The same in `report`, outermost first.
    assert [(row["tag"], row["peak_bytes"], row["live_bytes"]) for row in run.report["tags"]] == [
        ("load", 335000, 335000), ("parse é", 310000, 310000)]


def test_sampled(record):
    """Each tag's figures have intervals, those of its lines with the tags inside it."""
    run = record(target("tags"), "nested", options=["--sample", "8K"], check=False)
    inclusive = figures_by_tag(run, "--inclusive")
    for row in run.report["tags"]:
        assert row["interval_95"] == inclusive[row["tag"]]["interval_95"]
        low, high = row["interval_95"]["allocations"]
        assert low <= row["allocations"] <= high


def test_stacks_begin_with_their_tags(record):
    run = record(target("tags"), "nested", options=["--native"])
    (parsed,) = [stack for stack in run.json("peak")["stacks"] if stack["bytes"] == 310000]
    frames = [(frame["kind"], frame["function"]) for frame in parsed["frames"]]
    assert frames[0] == ("native", "main") and frames[-2:] == [("tag", "parse é"), ("tag", "load")]
    assert ("native", "_start") in frames
    assert run.report["native_differences"] == 0


def test_only_one_tag(record):
    run = record(target("tags"), "nested")
    peak = run.json("peak", "--tag", "load")
    assert peak["tag"] == "load" and peak["peak_bytes"] == run.report["peak_bytes"]
    assert sum(row["peak_bytes"] for row in peak["lines"]) == 335000 == sum(stack["bytes"] for stack in peak["stacks"])
    lines = run.json("lines", "--tag", "parse é")["lines"]
    assert sum(row["allocated_bytes"] for row in lines) == 610000 and {row["function"] for row in lines} == {"block", "main"}
    assert run.sql("SELECT tag, sum(allocated_bytes) AS bytes FROM stack_use JOIN stack_tag USING (stack_id) WHERE tag IS NOT NULL "
                   "GROUP BY tag ORDER BY tag") == [{"tag": "load", "bytes": 25000}, {"tag": "parse é", "bytes": 610000}]
    assert run.sql("SELECT tag, allocated_bytes FROM tags ORDER BY tag") == [
        {"tag": "load", "allocated_bytes": 635000}, {"tag": "parse é", "allocated_bytes": 610000}]
    unknown = heapline("peak", "--tag", "lunch", run.path)
    assert unknown.returncode == 2 and b"nothing was allocated under the tag 'lunch'" in unknown.stderr


@pytest.mark.parametrize("options", [(), ("--native",)], ids=["plain", "native"])
def test_threads_have_their_own(record, options):
    run = record(target("tags"), "threads", options=options)
    assert run.returncode == 0, run.stderr
    rows = bytes_by_tag(run)
    assert (rows["worker 0"], rows["worker 1"]) == (2000, 2000)
    assert rows["(no tag)"] >= 4 * 500


@pytest.mark.parametrize("options", [(), ("--native",)], ids=["plain", "native"])
def test_tasks_that_take_turns(record, options):
    run = record(target("tags"), "tasks", options=options)
    assert run.returncode == 0, run.stderr
    rows = figures_by_tag(run)
    assert {name: (row["allocated_bytes"], row["allocations"]) for name, row in rows.items() if row["allocated_bytes"] and name != "(no tag)"} == {
        "task a": (10000, 100), "task b": (20000, 100), "recursion": (40000, 1), "level 15": (70000, 1)}
    # A tag inside itself is itself; deeper than sixteen they count for the one around them.
    (deep,) = [stack for stack in run.json("peak")["stacks"] if stack["bytes"] == 70000]
    assert [frame["function"] for frame in deep["frames"] if frame["kind"] == "tag"] == [f"level {number}" for number in range(15, -1, -1)]
    (recursion,) = [stack for stack in run.json("peak")["stacks"] if stack["bytes"] == 40000]
    assert [frame["function"] for frame in recursion["frames"] if frame["kind"] == "tag"] == ["recursion"]


def test_too_many_names(record):
    run = record(target("tags"), "many", stacks=False)
    rows = bytes_by_tag(run)
    assert len([name for name in rows if name.startswith("name ")]) == 2048
    assert rows["(other tags)"] == 16 * (2500 - 2048)


def test_forked_child(record):
    run = record(target("tags"), "fork")
    assert run.returncode == 0, run.stderr
    (child,) = run.children()[run.facts["child"]]
    assert bytes_by_tag(run) == {"before": 72000} and run.report["allocated_bytes"] == 72000
    rows = figures_by_tag(child)
    assert rows["before"]["allocated_bytes"] == 16000 and rows["before"]["live_bytes"] == 24000
    assert rows["in the child"]["allocated_bytes"] == 32000


def test_without_the_recorder():
    result = run_bare(target("tags"), "nested")
    assert result.returncode == 0 and result.stdout == b"0 1 0 1\n"


@pytest.mark.parametrize("compiler", [("cc", "-std=c11", "-pedantic-errors"), ("cc", "-std=gnu17", "-fno-pie", "-no-pie"), ("cc", "-static"),
                                      ("c++", "-x", "c++", "-std=c++11", "-pedantic-errors")], ids=lambda words: " ".join(words))
def test_header_alone(tmp_path, compiler):
    """However it was built, it finds the recorder where there is one."""
    source = tmp_path / "program.c"
    source.write_text('#include <heapline/heapline.h>\n#include <stdlib.h>\n'
                      'int main(void) { heapline_tag_push("x"); void *block = malloc(12345); return block ? heapline_is_recording() : 9; }\n')
    built = subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-O2", "-I", ROOT / "include", "-o", tmp_path / "program", source],
                           capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert run_bare(tmp_path / "program").returncode == 0
    if "-static" not in compiler:
        result = heapline("run", "--quiet", "-o", tmp_path / "t.heapline", "--", tmp_path / "program")
        assert result.returncode == 1, result.stderr


# ---- Python ----

def record_python(record, python, *arguments, options=(), packages=None, check=True):
    path = os.pathsep.join(str(folder) for folder in (PACKAGE, packages) if folder)
    run = record(python.path, PYTHON_SOURCE, *arguments, options=options, environment={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
                 stacks=False, check=check)
    assert run.returncode == 0, run.stderr.decode()
    return run


def block_bytes_by_tag(trace):
    """Of the line in block() that makes them: sizes without the object's own bytes, by tag; '' for none."""
    line = next(number for number, text in enumerate(PYTHON_SOURCE.read_text().splitlines(), 1) if "kept.append(bytearray(size))" in text)
    rows = trace.sql("SELECT coalesce(tag, '') AS tag, sum(allocated_bytes) AS bytes, sum(allocations) AS allocations FROM stack_use "
                     "JOIN stack_tag USING (stack_id) JOIN stack USING (stack_id) JOIN frame ON frame.frame_id = stack.line_frame_id "
                     f"WHERE frame.file LIKE '%tags.py' AND frame.line = {line} GROUP BY 1")
    return {row["tag"]: row["bytes"] for row in rows}


def check_blocks(trace, expected):
    """Besides the blocks themselves, an object each and at times the list that keeps them: less than a thousand bytes in all."""
    got = block_bytes_by_tag(trace)
    assert set(got) == set(expected), got
    for tag, size in expected.items():
        assert size <= got[tag] < size + 8000, (tag, got[tag], size)


PLAIN = {"": 30_000, "outer": 900_000, "inner": 200_000, "fails": 400_000, "decorated": 1_000_000, "entered twice": 600_000}
ASYNCIO = {"": 200_000, **{f"task {number}": 20 * 100_000 * (number + 1) + 500_000 for number in range(4)}, "decorated coroutine": 2_000_000,
           "async with": 3_000_000}


@every_layout
@pytest.mark.parametrize("how, expected", [("plain", PLAIN), ("asyncio", {**ASYNCIO, "": 260_000}),
                                           ("contexts", {"first": 100_000, "": 200_000, "second": 300_000})], ids=["plain", "asyncio", "contexts"])
def test_python(record, python, how, expected):
    if python.free_threaded:
        pytest.skip("no Python stacks there")
    check_blocks(record_python(record, python, how), expected)


@pytest.mark.parametrize("python", SOME, ids=lambda python: python.id)
def test_python_native(record, python):
    run = record_python(record, python, "asyncio", options=["--native"])
    check_blocks(run, {**ASYNCIO, "": 260_000})
    assert run.report["native_differences"] == 0


def test_python_threads(record):
    run = record_python(record, DEFAULT, "threads")
    check_blocks(run, {"": 210_000, **{f"thread {number}": 100_000 * (number + 1) for number in range(3)}})


def test_generators_are_refused(record):
    record_python(record, DEFAULT, "generator")


@pytest.mark.parametrize("python", SOME, ids=lambda python: python.id)
def test_uvloop(record, python):
    packages = package_folder(python, "uvloop")
    check_blocks(record_python(record, python, "uvloop", packages=packages), {**ASYNCIO, "": 260_000})


@pytest.mark.parametrize("how", ["plain", "asyncio", "contexts", "threads"])
def test_python_without_the_recorder(how):
    result = run_bare(DEFAULT.path, PYTHON_SOURCE, how, environment={"PYTHONPATH": PACKAGE, "PYTHONDONTWRITEBYTECODE": "1"})
    assert result.returncode == 0 and result.stdout.startswith(b"done "), result.stderr


def in_kib(text):
    number, unit = text.split()
    return float(number) * {"KiB": 1, "MiB": 1024}[unit]


def test_documented_example(tmp_path):
    """docs/tags.md: its first program, run as it says, and the table it shows."""
    text = (ROOT / "docs" / "tags.md").read_text()
    program = re.search(r"```python\n(.*?)```", text, re.S)[1]
    (tmp_path / "shop.py").write_text(program)
    command = re.search(r"^\$ heapline (run .*)$", text, re.M)[1].split()
    environment = clean_environment(PYTHONPATH=PACKAGE, PATH=f"{HEAPLINE.parent}:{os.environ['PATH']}", PYTHONDONTWRITEBYTECODE="1")
    result = subprocess.run([HEAPLINE, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    shown = subprocess.run([HEAPLINE, *re.search(r"^\$ heapline (lines --by tag .*)$", text, re.M)[1].split()], cwd=tmp_path,
                           env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    for tag, peak in re.findall(r"^(GET /\S+|nightly report)\s+([\d.]+ [KM]iB)", text, re.M):
        (now,) = re.findall(rf"^{re.escape(tag)}\s+([\d.]+ [KM]iB)", shown.stdout, re.M)
        assert abs(in_kib(now) - in_kib(peak)) <= 0.02 * in_kib(peak), (tag, peak, shown.stdout)
