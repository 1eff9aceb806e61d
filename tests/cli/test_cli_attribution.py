"""--by: which frame is credited; a database in which Python code calls an extension, which calls libc."""

import sqlite3

import pytest

import hand_database
from command import ON_DATABASE, document, run
from hand_database import MEASURES, MIB, total

EXTENSION = "/home/ada/env/_arrays.so"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """read (batch.py:12) calls array_new of an extension without lines; that calls grow (arrays.c:70); both call strdup."""
    path = tmp_path_factory.mktemp("mixed") / "t"
    hand_database.create(path)
    with sqlite3.connect(path) as database:
        database.executemany("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?)", [
            (20, "native", "array_new", None, None, EXTENSION, "native"),
            (21, "native", "grow", "/src/arrays.c", 70, EXTENSION, "native"),
            (22, "native", "strdup", "./string/strdup.c", 42, "/lib/x86_64-linux-gnu/libc.so.6", "system"),
            (23, "native", "call_init", "./elf/dl-init.c", 74, "/lib64/ld-linux-x86-64.so.2", "system"),
        ])
        database.executemany("INSERT INTO stack VALUES (?, ?, ?, ?, ?)",
                             [(20, 3, 20, 4, 3), (21, 20, 22, 5, 3), (22, 20, 21, 5, 3), (23, 22, 22, 6, 3), (24, 0, 23, 1, 23)])
        for stack, peak in ((20, 1), (21, 2), (22, 4), (23, 8), (24, 16)):
            database.execute("INSERT INTO stack_use VALUES (?, ?, 1, 0, 0, ?, 1, 0, 0, 0, NULL, NULL)", (stack, peak * MIB, peak * MIB))
    return path


def rows(path, *arguments):
    found = document(ON_DATABASE, "lines", path, *arguments)
    assert found["by"] == arguments[arguments.index("--by") + 1]
    return {(row["file"], row["line"], row["function"], row["kind"]): row for row in found["lines"]}


def test_native(mixed):
    found = rows(mixed, "--by", "native")
    assert found[(EXTENSION, None, "array_new", "native")]["peak_bytes"] == 3 * MIB
    assert found[("/src/arrays.c", 70, "grow", "native")]["peak_bytes"] == 12 * MIB
    assert found[("./elf/dl-init.c", 74, "call_init", "native")]["peak_bytes"] == 16 * MIB
    # Where no native frame is below Python's, Python's own.
    assert found[("/usr/lib/python3.11/json/decoder.py", 353, "JSONDecoder.raw_decode", "python")]["peak_bytes"] == 24 * MIB
    assert not any(function == "strdup" for _, _, function, _ in found)


def test_python(mixed):
    found = rows(mixed, "--by", "python")
    assert found[("/home/ada/batch.py", 12, "read", "python")]["peak_bytes"] == 15 * MIB


def test_module(mixed):
    found = rows(mixed, "--by", "module")
    assert found[(EXTENSION, None, None, "native")]["peak_bytes"] == 15 * MIB
    assert found[(EXTENSION, None, None, "native")]["allocations"] == 4
    assert found[("/lib64/ld-linux-x86-64.so.2", None, None, "native")]["peak_bytes"] == 16 * MIB
    assert found[("/home/ada/batch.py", None, None, "python")]["live_bytes"] == 2 * MIB
    assert "_arrays.so" in run(ON_DATABASE, "lines", "--by", "module", mixed).stdout


def test_function(mixed):
    found = rows(mixed, "--by", "function")
    assert found[("/usr/lib/python3.11/json/decoder.py", None, "JSONDecoder.raw_decode", "python")]["peak_bytes"] == 24 * MIB


def test_inclusive(mixed):
    found = rows(mixed, "--by", "native", "--inclusive")
    assert found[(EXTENSION, None, "array_new", "native")]["peak_bytes"] == 15 * MIB
    assert found[("./string/strdup.c", 42, "strdup", "native")]["peak_bytes"] == 10 * MIB
    assert rows(mixed, "--by", "module", "--inclusive")[("/home/ada/batch.py", None, None, "python")]["peak_bytes"] == (39 + 15) * MIB


@pytest.mark.parametrize("rule", ["line", "function", "python", "native", "module"])
def test_rows_add_up(hand, mixed, rule):
    """To the same totals by each rule; native ones in the same columns."""
    found = rows(hand, "--by", rule).values()
    assert {measure: sum(row[measure] for row in found) for measure in MEASURES} == {measure: total(measure) for measure in MEASURES}
    for command, measure in (("peak", "peak_bytes"), ("copies", "copied_bytes")):
        assert sum(row[measure] for row in document(ON_DATABASE, command, hand, "--by", rule)["lines"]) == total(measure)
    assert sum(row["peak_bytes"] for row in rows(mixed, "--by", rule).values()) == total("peak_bytes") + (0 if rule == "line" else 31 * MIB)


def test_who_calls_a_native_function(mixed):
    output = run(ON_DATABASE, "peak", "--by", "native", mixed).stdout
    assert "By native line" in output
    (row,) = [line for line in output.splitlines() if "array_new" in line and "called from" not in line and line.startswith("_arrays.so")]
    assert row.split()[:3] == ["_arrays.so", "array_new", "batch.py:12"]


def test_wrong_rules(hand):
    result = run(ON_DATABASE, "lines", "--by", "moon", hand)
    assert result.returncode == 2 and "--by is line, function, python, native, module or tag, not 'moon'" in result.stderr
    assert run(ON_DATABASE, "lines", "--by", "module", "--source", "batch.py", hand).returncode == 2
    assert run(ON_DATABASE, "lines", "--by", "python", "--source", "batch.py", "--json", hand).returncode == 0
