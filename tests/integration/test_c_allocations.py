"""C and C++ programs whose every allocation is known: per-line figures to the byte."""

import pytest

from marks import check_marks, line_figures, read_marks
from recording import SOURCES, target


@pytest.mark.parametrize("options", [(), ("--native",)], ids=["plain", "native"])
@pytest.mark.parametrize("name", ["allocators", "allocators_o2"])
def test_malloc_family(record, name, options):
    run = record(target(name), options=options)
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "allocators.c", run.facts)
    assert run.report["complete"] is True


def test_functions_that_allocate_for_their_caller(record):
    run = record(target("strings"), options=["--native"])
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "strings.c", run.facts)


def test_libc_allocations_without_native_stacks_are_in_the_totals(record):
    run = record(target("strings"))
    plain = run.report
    native = record(target("strings"), options=["--native"]).report
    for field in ("allocated_bytes", "allocations", "live_bytes_at_end", "peak_bytes"):
        assert plain[field] == native[field]


def test_new_and_delete(record):
    run = record(target("cxx_new"), options=["--native"])
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "cxx_new.cpp", run.facts)
    plain = record(target("cxx_new"))
    for field in ("allocated_bytes", "allocations", "live_bytes_at_end", "peak_bytes"):
        assert plain.report[field] == run.report[field]


def test_replaced_operator_new(record):
    run = record(target("cxx_own_new"))
    assert run.returncode == 0
    check_marks(run.lines, SOURCES / "cxx_own_new.cpp", run.facts)


@pytest.mark.parametrize("name", ["mappings", "mappings_o2"])
def test_mappings(record, name):
    run = record(target(name))
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "mappings.c", run.facts)


def test_sizes_above_four_gigabytes(record):
    run = record(target("huge"))
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "huge.c", run.facts)


@pytest.mark.parametrize("name", ["copies", "copies_checked"])
def test_copy_volume(record, name):
    run = record(target(name))
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "copies.c", run.facts)
    # The small ones are in the totals, under no line of the program.
    marked = sum(line_figures(run.lines, mark.file, mark.line)["copied_bytes"] for mark in read_marks(SOURCES / "copies.c")
                 if not mark.group)
    assert run.report["copied_bytes"] >= marked + 7000
    copies = run.json("copies")
    assert copies["copies"] >= 1000 + 58
    # Largest first, and the stacks name the line.
    volumes = [stack["bytes"] for stack in copies["stacks"]]
    assert volumes == sorted(volumes, reverse=True)
    first = copies["stacks"][0]
    own = [frame for frame in first["frames"] if not (frame["file"] or "").startswith("/usr/include/")]  # the checked memcpy is inlined
    assert first["bytes"] == 10000000 and own[0]["function"] == "blocks"


def test_copies_can_be_turned_off(record):
    run = record(target("copies"), options=["--no-copies"])
    assert run.returncode == 0
    assert run.report["copied_bytes"] == 0 and run.json("copies")["stacks"] == []


@pytest.mark.parametrize("name", ["nonlocal", "nonlocal_o2"])
@pytest.mark.parametrize("options", [(), ("--native",)], ids=["plain", "native"])
def test_longjmp_and_signal_handlers(record, name, options):
    run = record(target(name), options=options, check=False)
    assert run.returncode == 0, run.stderr
    # A jump out of the middle of a copy may lose that one event, never anything after it.
    assert run.report["lost_events"] <= run.facts["alarms"]
    check_marks(run.lines, SOURCES / "nonlocal.c", run.facts)
    run.check_sums()


@pytest.mark.parametrize("options", [(), ("--native",)], ids=["plain", "native"])
def test_exceptions(record, options):
    run = record(target("exceptions"), options=options)
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "exceptions.cpp", run.facts)


@pytest.mark.parametrize("depth", [10, 1000, 20000])
def test_deep_recursion(record, depth):
    run = record(target("deep"), depth, options=["--native"])
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "deep.c", run.facts)
    deepest = max(run.json("peak")["stacks"], key=lambda stack: stack["bytes"])
    assert deepest["bytes"] >= 4400
    if depth <= 1000:
        assert [frame["function"] for frame in deepest["frames"]].count("descend") == depth + 1


def test_constructors_before_main(record):
    run = record(target("early"))
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "early.c", run.facts)
    check_marks(run.lines, SOURCES / "early_library.c", run.facts)


@pytest.mark.parametrize("times", [1, 50])
def test_libraries_that_come_and_go(record, times):
    run = record(target("loader"), times)
    assert run.returncode == 0, run.stderr
    assert run.stdout == b"loader: done\n"
    check_marks(run.lines, SOURCES / "plugin.c", run.facts)


def test_deepbind_is_survived(record):
    """A library with its own scope may bind libc's malloc past us: nothing breaks, and what was seen adds up."""
    run = record(target("loader"), 10, "deepbind")
    assert run.returncode == 0, run.stderr
    assert run.stdout == b"loader: done\n"


def test_source_annotation_names_the_file(record):
    run = record(target("allocators"))
    row = next(row for row in run.lines if row["function"] == "plain" and row["allocated_bytes"] == 2100)
    assert row["kind"] == "native" and row["file"].endswith("allocators.c") and row["line"] > 0
