"""--suppressions: LeakSanitizer's file format, what it matches, and what is said of it. The database: 1 MiB of imports live at the end in 300
blocks, 2 MiB of `remember` in 128, 1000 bytes of PyMem_RawMalloc, 24 of arena slack."""

import pytest

from command import ON_DATABASE, document, run
from hand_database import MIB, total


def leaks(hand, tmp_path, text, command="leaks", *arguments):
    path = tmp_path / "known.supp"
    path.write_text(text)
    return document(ON_DATABASE, command, hand, "--suppressions", path, *arguments)


@pytest.mark.parametrize("pattern", ["remember", "^remember$", "^rem*r$", "mem*ber", "rem*", "*ember$", "batch.py$", "^main$", "/home/ada/*"])
def test_matching(hand, tmp_path, pattern):
    found = leaks(hand, tmp_path, f"leak:{pattern}\n")
    assert "remember" not in [row["function"] for row in found["candidates"]]
    assert found["suppressed"]["live_bytes"] >= 2 * MIB


@pytest.mark.parametrize("pattern", ["^ember", "remembe$", "^main*x", "Remember", "^emember$", "rem*x*er", "*.pyx"])
def test_not_matching(hand, tmp_path, pattern):
    found = leaks(hand, tmp_path, f"leak:{pattern}\n")
    assert len(found["candidates"]) == 4
    assert found["suppressed"] == dict(live_bytes=0, live_allocations=0, stacks=0, suppressions=[
        dict(pattern=pattern, live_bytes=0, live_allocations=0, stacks=0)])


def test_counts(hand, tmp_path):
    """The first pattern of the file that matches is credited; a module counts too; the rest is all that is left."""
    text = "# known\n\n  leak:^remember$  \nleak:batch.py\nleak:/usr/bin/python\nleak:nothing\n"
    found = leaks(hand, tmp_path, text)
    assert [(row["pattern"], row["live_bytes"], row["live_allocations"], row["stacks"]) for row in found["suppressed"]["suppressions"]] == [
        ("^remember$", 2 * MIB, 128, 1), ("batch.py", MIB, 300, 1), ("/usr/bin/python", 1000, 1, 1), ("nothing", 0, 0, 0)]
    assert found["suppressed"]["live_bytes"] == 3 * MIB + 1000 and found["suppressed"]["stacks"] == 3
    assert [row["function"] for row in found["candidates"]] == ["arena slack"]
    assert found["live_bytes_at_end"] == total("live_bytes")
    assert leaks(hand, tmp_path, text, "report")["suppressed"] == found["suppressed"]


def test_thresholds(hand, tmp_path):
    path = tmp_path / "known.supp"
    path.write_text("leak:batch.py\nleak:PyMem\n")
    for command in ("leaks", "report"):
        assert run(ON_DATABASE, command, hand, "--fail-on", "live=24").returncode == 1
        assert run(ON_DATABASE, command, hand, "--suppressions", path, "--fail-on", "live=24").returncode == 0
        assert run(ON_DATABASE, command, hand, "--suppressions", path, "--fail-on", "live=23").returncode == 1


def test_text(hand, tmp_path):
    path = tmp_path / "known.supp"
    path.write_text("leak:remember\nleak:nothing\n")
    lines = run(ON_DATABASE, "leaks", hand, "--suppressions", path).stdout.splitlines()
    assert "1.00 MiB live at the end and not suppressed, from 3 lines; none of them kept growing." in lines
    at = lines.index("Suppressed: 2.00 MiB in 128 blocks, from 1 stack; 1 of 2 suppressions matched.")
    assert lines[at + 1].split() == ["2.00", "MiB", "in", "128", "blocks", "leak:remember"]
    report = run(ON_DATABASE, "report", hand, "--suppressions", path).stdout
    assert "Suppressed: 2.00 MiB in 128 blocks, from 1 stack; 1 of 2 suppressions matched." in report
    assert "Leak candidates" not in report and "Leak candidates" in run(ON_DATABASE, "report", hand).stdout
    assert "Suppressed" not in run(ON_DATABASE, "report", hand).stdout
    assert "suppressed" not in document(ON_DATABASE, "leaks", hand)


@pytest.mark.parametrize("line", ["race:x", "remember", "leak:", "leak remember"])
def test_bad_files(hand, tmp_path, line):
    path = tmp_path / "known.supp"
    path.write_text(f"# one\n{line}\n")
    result = run(ON_DATABASE, "leaks", hand, "--suppressions", path)
    assert result.returncode == 3 and f"{path}:2: '{line}' is no suppression of leaks" in result.stderr and result.stdout == ""
    result = run(ON_DATABASE, "leaks", hand, "--suppressions", tmp_path / "absent")
    assert result.returncode == 3 and "absent" in result.stderr
