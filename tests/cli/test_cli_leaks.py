"""Lines of one leak, from a report database in which what each line held is put by hand."""

import pathlib
import sqlite3

import pytest

from command import ON_DATABASE, document, run
from hand_database import MIB, SECOND, WINDOWS, create

BATCH, LIBRARY = "/home/ada/batch.py", "/usr/lib/python3/dist-packages/sklearn/feature_extraction/text.py"
EVEN = [8 * (window + 1) for window in range(WINDOWS)]
# 2 and 14 blocks by turns: as much as EVEN in the end, but not with the same things.
TURNS = [sum(14 if before % 2 else 2 for before in range(window + 1)) for window in range(WINDOWS)]
REMEMBER, MAIN = 10, 2  # stacks


def add_stack(path, number, place, caller):
    """Stack and frame `number`: this place, called from that stack."""
    function, file, line, origin = place
    database = sqlite3.connect(path)
    (depth,) = database.execute("SELECT depth FROM stack WHERE stack_id = ?", (caller,)).fetchone()
    database.execute("INSERT INTO frame VALUES (?, 'python', ?, ?, ?, NULL, ?)", (number, function, file, line, origin))
    database.execute("INSERT INTO stack VALUES (?, ?, ?, ?, ?)", (number, caller, number, depth + 1, number))
    database.commit()
    database.close()


def add_line(path, number, place, caller, blocks, block_bytes, allocations=None):
    """The same, which holds so many blocks at the end of each window."""
    add_stack(path, number, place, caller)
    database = sqlite3.connect(path)
    live = blocks[-1]
    database.execute("INSERT INTO stack_use VALUES (?, 0, 0, ?, ?, ?, ?, 0, 0, 0, ?, ?)",
                     (number, live * block_bytes, live, live * block_bytes, allocations or live, SECOND // 2, 9 * SECOND))
    database.executemany("INSERT INTO live_span VALUES (?, ?, ?, ?, ?)",
                         [(number, window, window, count * block_bytes, count) for window, count in enumerate(blocks)])
    database.commit()
    database.close()


@pytest.fixture
def several(tmp_path):
    """The line that leaks 16 KiB blocks, remember() at :22, and six further lines that grow, each slower than the one before."""
    path = tmp_path / "several.heapline"
    create(path)
    add_line(path, 21, ("remember", BATCH, 23, "user"), MAIN, EVEN, 8000)
    add_line(path, 22, ("forget", BATCH, 60, "user"), MAIN, EVEN, 6000)
    add_line(path, 23, ("remember", BATCH, 24, "user"), MAIN, TURNS, 4000)
    add_line(path, 24, ("Item.__init__", BATCH, 50, "user"), REMEMBER, [2 * count for count in EVEN], 1000)
    add_line(path, 25, ("fit", LIBRARY, 99, "package"), MAIN, EVEN, 900)
    add_line(path, 26, ("Item.key", BATCH, 55, "user"), 24, [3 * count for count in TURNS], 200)
    return path


def places(rows):
    return [(row["function"], row["line"]) for row in rows]


def test_lines_of_one_leak(several):
    found = document(ON_DATABASE, "leaks", several)
    growing = [row for row in found["candidates"] if row["confidence"] >= 0.5]
    assert len(growing) == found["growing"] == 7 and found["leaks"] == 3
    first, second, third = [row for row in growing if row["members"] or row["in_step_with"] or row["line"] == 24]
    assert places((first, second, third)) == [("remember", 22), ("forget", 60), ("remember", 24)]
    # Of its function, and of one that it calls; a library's after them, as it has the least pace.
    assert [(row["function"], row["line"], row["relation"]) for row in first["members"]] == [
        ("remember", 23, "function"), ("Item.__init__", 50, "function"), ("fit", 99, "library")]
    assert [(row["file"], row["live_allocations"], row["live_bytes"]) for row in first["members"]] == [
        (BATCH, 128, 128 * 8000), (BATCH, 256, 256 * 1000), (LIBRARY, 128, 128 * 900)]
    assert [row["growth_bytes_per_second"] for row in first["members"]] == [102400, 25600, 11520]
    # With the same requests, but elsewhere: a leak of its own that says so. Of the same function, but with others: another one.
    assert (second["members"], second["in_step_with"]) == ([], 1)
    assert places(third["members"]) == [("Item.key", 55)] and third["in_step_with"] is None and first["in_step_with"] is None
    assert {place: row["leak"] for row, place in zip(growing, places(growing))} == {
        ("remember", 22): 1, ("remember", 23): 1, ("Item.__init__", 50): 1, ("fit", 99): 1, ("forget", 60): 2,
        ("remember", 24): 3, ("Item.key", 55): 3}
    assert all(row["members"] == [] for row in growing if row not in (first, third))
    assert all((row["leak"], row["members"], row["in_step_with"]) == (None, [], None) for row in found["candidates"] if row not in growing)
    # The rows are all there, once.
    assert sum(row["live_bytes"] for row in found["candidates"]) == found["live_bytes"]


def test_a_line_of_its_own_is_not_a_librarys(several):
    """What a line of the program keeps may have been made by a library; not the other way round."""
    database = sqlite3.connect(several)
    database.execute("UPDATE live_span SET live_bytes = live_bytes * 1000 WHERE stack_id = 25")
    database.commit()
    database.close()
    found = document(ON_DATABASE, "leaks", several)
    best = found["candidates"][0]
    assert (best["function"], best["line"], best["members"]) == ("fit", 99, [])
    assert found["candidates"][1]["in_step_with"] == 1


def call_through(path, first, caller, origin, count):
    """So many functions, each called by the one before. Returns the last one's stack."""
    for number in range(first, first + count):
        add_stack(path, number, (f"f{number}", LIBRARY if origin == "package" else BATCH, 1000 + number, origin), caller)
        caller = number
    return caller


def test_a_framework_between_two_lines_of_the_program(tmp_path):
    """Its functions don't count; three of the program's do, a fourth is too many."""
    for own, members in ((2, [("keep", 90)]), (3, [])):
        path = tmp_path / f"{own}.heapline"
        create(path)
        caller = call_through(path, 30, REMEMBER, "package", 8)
        add_line(path, 60, ("keep", BATCH, 90, "user"), call_through(path, 40, caller, "user", own), EVEN, 3000)
        assert places(document(ON_DATABASE, "leaks", path)["candidates"][0]["members"]) == members


def test_what_calls_a_library_that_leaks_may_leak_itself(tmp_path):
    path = tmp_path / "t"
    create(path)
    add_line(path, 21, ("connect", LIBRARY, 99, "package"), REMEMBER, [30 * count for count in EVEN], 16000)
    add_line(path, 22, ("use", LIBRARY, 120, "package"), 21, EVEN, 3000)
    first, second = document(ON_DATABASE, "leaks", path)["candidates"][:2]
    assert places((first, second)) == [("connect", 99), ("remember", 22)]
    assert places(first["members"]) == [("use", 120)] and (second["members"], second["in_step_with"]) == ([], 1)


def test_what_fits_into_the_interpreters_free_lists(tmp_path):
    """Each list(…) adds a list to those that CPython keeps for the next ones, up to 80: that is no leak, but more of them are."""
    create(tmp_path / "t.heapline")
    add_line(tmp_path / "t.heapline", 21, ("murder_workers", LIBRARY, 609, "package"), MAIN, [2 * window for window in range(WINDOWS)], 56)
    add_line(tmp_path / "t.heapline", 22, ("leak_pairs", BATCH, 61, "user"), MAIN, [20 * window for window in range(WINDOWS)], 56)
    rows = {row["function"]: row for row in document(ON_DATABASE, "leaks", tmp_path / "t.heapline")["candidates"]}
    assert (rows["murder_workers"]["confidence"], rows["murder_workers"]["shape"]) == (0, "fits into CPython's free lists")
    assert "which keep 80 freed lists and 80 dicts: record for longer to tell; " in rows["murder_workers"]["evidence"]
    assert rows["leak_pairs"]["confidence"] == 1


def test_carriers(tmp_path):
    """A line of the program that keeps one in 500 of what it allocates: it shows what another keeps."""
    path = tmp_path / "t"
    create(path)
    add_line(path, 21, ("parse", BATCH, 70, "user"), MAIN, EVEN, 3000, allocations=128 * 500)
    best = document(ON_DATABASE, "leaks", path)["candidates"][0]
    assert best["line"] == 22 and [(row["line"], row["relation"]) for row in best["members"]] == [(70, "library")]


def test_the_text_shows_one_leak(several):
    lines = run(ON_DATABASE, "leaks", several).stdout.splitlines()
    assert "7 of them kept growing, by " in lines[3] and lines[3].endswith("; those in step taken together, 3 candidates.")
    assert lines[5].split()[:7] == "3.33 MiB in 640 blocks +341 KiB/s".split()
    assert [line.split() for line in lines[6:12]] == [
        "batch.py:22 remember 2.00 MiB in 128 blocks +205 KiB/s".split(),
        "near it and in step with it:".split(),
        "batch.py:23 remember 1000 KiB in 128 blocks +100 KiB/s".split(),
        "batch.py:50 Item.__init__ 250 KiB in 256 blocks +25.0 KiB/s".split(),
        "in step with it, lines that make what others keep:".split(),
        "sklearn/feature_extraction/text.py:99 fit 112 KiB in 128 blocks +11.2 KiB/s".split()]
    assert lines[12].startswith("            the first: since 2.50 s: 512 KiB to 2.00 MiB, ")
    assert sum("batch.py:23" in line for line in lines) == 1
    at = next(i for i, line in enumerate(lines) if "batch.py:60  forget" in line)
    assert lines[at - 1] == "            grows with the same requests as batch.py:22  remember"


def test_the_example_of_the_page(tmp_path):
    path = tmp_path / "batch.heapline"
    create(path)
    add_line(path, 21, ("remember", BATCH, 23, "user"), MAIN, EVEN, 8000)
    add_line(path, 24, ("Item.__init__", BATCH, 50, "user"), REMEMBER, [2 * count for count in EVEN], 1000)
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "leaks.md").read_text()
    assert run(ON_DATABASE, "leaks", "--limit", "1", path).stdout.split("\n\n")[2].splitlines()[:10] == page.split("```\n")[2].splitlines()


def test_the_limit_counts_all_lines_of_a_leak(several):
    """27 MiB and 24 B are resident besides; 128 blocks of 16 KiB and more in 10 s."""
    evidence = document(ON_DATABASE, "leaks", several, "--memory-limit", "64M")["candidates"][0]["evidence"]
    speed = (2 * MIB + 128 * 8000 + 256 * 1000 + 128 * 900) / 10
    seconds = (64 * MIB - (24 * MIB + 3 * MIB + 1024)) / speed
    assert f"with its further lines it fills the 37.0 MiB up to the limit of 64.0 MiB in {round(seconds)} s" in evidence


def test_a_leak_of_several_lines_counts_once(several):
    assert run(ON_DATABASE, "leaks", "--fail-on", "candidates=3", several).returncode == 0
    assert run(ON_DATABASE, "leaks", "--fail-on", "candidates=2", several).returncode == 1


def test_brief(several):
    lines = run(ON_DATABASE, "report", several).stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Leak candidates"))
    assert lines[at + 1].split() == ["line", "function", "live", "blocks", "growth", "confidence", "in", "step"]
    assert lines[at + 2].split() == "batch.py:22 remember 3.33 MiB 640 341 KiB/s 1.00 and 3 lines".split()
    assert lines[at + 3].split()[:4] == "batch.py:60 forget 750 KiB".split()
    assert lines[at + 5] == ""


def test_what_levels_off_promises_no_rate(tmp_path):
    path = tmp_path / "t"
    create(path)
    # 24 blocks in each window until the twelfth; one more in the last third of the time since warm-up.
    filling = [24 * min(window + 1, 10) + (1 if window > 13 else 0) for window in range(WINDOWS)]
    add_line(path, 21, ("cached", BATCH, 70, "user"), MAIN, filling, 10000)
    text = run(ON_DATABASE, "leaks", path, "--memory-limit", "64M").stdout
    entry = text[text.index("levels off"):text.index("batch.py:70")]
    before = text[:text.index("levels off")].splitlines()[-2]
    assert "/s" not in before and "an hour" not in entry and "fills" not in entry
    assert " ".join(entry.split()).startswith("levels off, as a cache does that is full; since 2.50 s: 938 KiB to 2.30 MiB, "
                                              "9.77 KiB of it in the last third of that time")


# ---- a program that has nothing to do in the end ----

ACTIVE = 12  # windows
SERVE = ("serve", BATCH, 70, "user")


def idle(path, events_then, **summary):
    """serve() at :70 grows for ACTIVE windows of 1000 events, then nothing does, and there are so many events in each window."""
    create(path)
    add_line(path, 21, SERVE, MAIN, [8 * (min(window, ACTIVE - 1) + 1) for window in range(WINDOWS)], 8000)
    database = sqlite3.connect(path)
    database.execute("UPDATE live_span SET live_bytes = 2097152, live_allocations = 128 WHERE stack_id = 10")
    database.executemany("UPDATE window SET event_count = ? WHERE window_id = ?",
                         [(1000 * min(window + 1, ACTIVE) + events_then * max(window + 1 - ACTIVE, 0), window) for window in range(WINDOWS)])
    for name, value in summary.items():
        database.execute(f"UPDATE summary SET {name} = ?", (value,))
    database.commit()
    database.close()
    return path


def test_what_grew_until_the_program_had_nothing_to_do(tmp_path):
    path = idle(tmp_path / "idle.heapline", 19)
    rows = document(ON_DATABASE, "leaks", path)
    assert (rows["growing"], rows["idle_ns"]) == (0, ACTIVE * 10 * SECOND // WINDOWS)
    first = rows["candidates"][0]
    assert (first["function"], first["shape"], first["confidence"]) == ("serve", "grew until the program was idle", 0.4)
    assert first["growth_bytes_per_second"] == round(8 * 8000 / (10 / WINDOWS)) and first["leak"] is None
    assert "From 7.50 s on the program had next to nothing to do. 1 line grew until then, and comes first." in run(ON_DATABASE, "leaks", path).stdout
    brief = run(ON_DATABASE, "report", path).stdout
    assert "Leak candidates  grew until the program had nothing to do, from 7.50 s on" in brief
    assert run(ON_DATABASE, "leaks", "--fail-on", "candidates=0", path).returncode == 0


def test_what_levels_off_while_the_program_works(tmp_path):
    """A fiftieth of the usual events is work."""
    rows = document(ON_DATABASE, "leaks", idle(tmp_path / "busy.heapline", 20))
    first = next(row for row in rows["candidates"] if row["function"] == "serve")
    assert rows["idle_ns"] is None and first["confidence"] < 0.4 and first["shape"] != "grew until the program was idle"
    assert "Leak candidates" not in run(ON_DATABASE, "report", tmp_path / "busy.heapline").stdout


def test_of_events_that_are_not_listed_nobody_knows_when_they_were(tmp_path):
    rows = document(ON_DATABASE, "leaks", idle(tmp_path / "bounded.heapline", 0, stream_end_ns=5 * SECOND))
    assert rows["idle_ns"] is None and "grew until the program was idle" not in [row["shape"] for row in rows["candidates"]]


def test_what_the_end_of_the_program_does_is_no_work(tmp_path):
    """Told to end in its last window before teardown, which it worked in."""
    path = idle(tmp_path / "ended.heapline", 0, teardown_ns=10 * SECOND - 1)
    database = sqlite3.connect(path)
    database.execute("UPDATE window SET event_count = event_count + 700 WHERE window_id >= ?", (WINDOWS - 2,))
    database.commit()
    database.close()
    rows = document(ON_DATABASE, "leaks", path)
    assert rows["idle_ns"] == ACTIVE * 10 * SECOND // WINDOWS and rows["candidates"][0]["function"] == "serve"
