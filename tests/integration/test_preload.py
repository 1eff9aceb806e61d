"""The library alone, without the command: LD_PRELOAD with HEAPLINE_OUTPUT and HEAPLINE_OPTIONS gives the same figures."""

import subprocess

import pytest

from marks import check_marks
from recording import BUILD, SOURCES, clean_environment, completed, read_facts, run_bare, target


def library():
    found = sorted(BUILD.glob("lib/**/libheapline.so"))
    assert found, "libheapline.so was not built"
    return found[0]


def preload(program, *arguments, timeout=60, **environment):
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout,
                          env=clean_environment(LD_PRELOAD=library(), **environment))


@pytest.mark.parametrize("name", ["simple", "allocators", "mappings"])
def test_same_figures(record, tmp_path, name):
    trace, facts = tmp_path / "alone.heapline", tmp_path / "alone.facts"
    result = preload(target(name), HEAPLINE_OUTPUT=trace, HEAPLINE_TEST_FACTS=facts)
    bare = run_bare(target(name))
    assert (result.returncode, result.stdout, result.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    alone = completed(trace)
    alone.check_sums()
    check_marks(alone.lines, SOURCES / f"{name}.c", read_facts(facts))
    run = record(target(name))
    for field in ("allocated_bytes", "allocations", "peak_bytes", "live_bytes_at_end", "copied_bytes"):
        assert alone.report[field] == run.report[field]


def test_options(tmp_path):
    trace = tmp_path / "alone.heapline"
    result = preload(target("strings"), HEAPLINE_OUTPUT=trace, HEAPLINE_OPTIONS="native", HEAPLINE_TEST_FACTS=tmp_path / "facts")
    assert result.returncode == 0
    check_marks(completed(trace).lines, SOURCES / "strings.c", read_facts(tmp_path / "facts"))


def test_options_no_copies(tmp_path):
    trace = tmp_path / "alone.heapline"
    assert preload(target("copies"), HEAPLINE_OUTPUT=trace, HEAPLINE_OPTIONS="no-copies").returncode == 0
    assert completed(trace).report["copied_bytes"] == 0


def test_fork_without_the_command(tmp_path):
    trace, facts = tmp_path / "alone.heapline", tmp_path / "facts"
    assert preload(target("children"), "fork", HEAPLINE_OUTPUT=trace, HEAPLINE_TEST_FACTS=facts).returncode == 0
    parent = completed(trace)
    check_marks(parent.lines, SOURCES / "children.c", read_facts(facts), groups=["parent"], only=["after", "last"])
    (child,) = parent.children()[read_facts(facts)["child"]]
    check_marks(child.lines, SOURCES / "children.c", groups=["child"])


def test_existing_output_is_kept(tmp_path):
    """Without `force` the library doesn't overwrite; the program runs all the same."""
    trace = tmp_path / "alone.heapline"
    trace.write_bytes(b"precious")
    result = preload(target("simple"), HEAPLINE_OUTPUT=trace)
    assert (result.returncode, result.stdout) == (17, b"simple: done\n")
    assert trace.read_bytes() == b"precious"


def test_unwritable_output(tmp_path):
    result = preload(target("simple"), HEAPLINE_OUTPUT=tmp_path / "no" / "such" / "folder" / "t.heapline")
    assert (result.returncode, result.stdout) == (17, b"simple: done\n")


def test_default_name(tmp_path):
    """Without HEAPLINE_OUTPUT: PROGRAM.PID.heapline in the current directory."""
    process = subprocess.Popen([str(target("simple"))], cwd=tmp_path, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               env=clean_environment(LD_PRELOAD=library()))
    assert process.communicate(timeout=60)[0] == b"simple: done\n"
    trace = completed(tmp_path / f"simple.{process.pid}.heapline")
    check_marks(trace.lines, SOURCES / "simple.c")
