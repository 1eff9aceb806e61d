"""heapline diff: every figure of two databases filled by hand, and that files and lines are found again."""

import csv
import io
import json
import math
import os
import re
import sqlite3
import subprocess

import pytest

import hand_database
from command import ON_DATABASE, document, environment, on_terminal, run
from hand_database import FRAMES, MEASURES, MIB, SECOND, USES, total
from test_cli_counts import expected as counted, near
from test_cli_screens import check_expected
from text_columns import columns_of

# The old run's, but: reading keeps 10 MiB more, the table of words is 4 MiB smaller, and the leak has doubled.
NEW_USES = {
    **USES,
    6: (34 * MIB, 340, 0, 0, 120 * MIB, 1250, 400, 8 * MIB, 80, None, None),
    7: (8 * MIB, 3, 0, 0, 26 * MIB, 12, 2, 20 * MIB, 5, None, None),
    10: (2 * MIB, 128, 4 * MIB, 256, 4 * MIB, 256, 0, 0, 0, SECOND // 2, 9 * SECOND),
}


@pytest.fixture
def pair(tmp_path):
    """Paths of the old and of the new trace."""
    hand_database.create(tmp_path / "old.heapline")
    hand_database.create(tmp_path / "new.heapline", uses=NEW_USES, pid=4343, start_realtime_ns=1700003600 * SECOND)
    return tmp_path / "old.heapline", tmp_path / "new.heapline"


def compare(pair, *arguments, status=0):
    return document(ON_DATABASE, "diff", *pair, *arguments, status=status)


def figure(uses, stacks, measure):
    return sum(uses[stack][MEASURES.index(measure)] for stack in stacks)


def test_every_figure(pair):
    found = compare(pair)
    assert (found["by"], found["of"], found["edited_files"]) == ("line", "peak", 0)
    assert (found["old"]["trace"], found["new"]["pid"], found["old"]["moment_ns"]) == (str(pair[0]), 4343, None)
    rows = {row["function"]: row for row in found["rows"]}
    stacks = {"JSONDecoder.raw_decode": [6], "CountVectorizer._count_vocab": [7], "get_code": [9], "remember": [10],
              "PyMem_RawMalloc": [11], "arena slack": [-1], "copies below the threshold": [-2]}
    assert rows.keys() == stacks.keys()
    for measure in MEASURES:
        for function, row in rows.items():
            old, new = figure(USES, stacks[function], measure), figure(NEW_USES, stacks[function], measure)
            assert (row["old_" + measure], row["new_" + measure], row["delta_" + measure]) == (old, new, new - old), (function, measure)
        assert found["delta_" + measure] == sum(row["delta_" + measure] for row in rows.values())
        assert found["old_" + measure] == total(measure)
    leak = rows["remember"]
    assert (leak["file"], leak["line"], leak["old_line"], leak["new_line"], leak["kind"], leak["origin"]) == (
        "/home/ada/batch.py", 22, 22, 22, "python", "user")
    assert {function: row["status"] for function, row in rows.items()} == {
        "JSONDecoder.raw_decode": "grew", "CountVectorizer._count_vocab": "shrank", "get_code": "same", "remember": "grew",
        "PyMem_RawMalloc": "same", "arena slack": "same", "copies below the threshold": "same"}


@pytest.mark.parametrize("of, column, deltas", [
    ("peak", "peak_bytes", {6: 10 * MIB, 7: -4 * MIB, 10: MIB}), ("live", "live_bytes", {10: 2 * MIB}),
    ("allocated", "allocated_bytes", {6: 24 * MIB, 7: -4 * MIB, 10: 2 * MIB}), ("copied", "copied_bytes", {}),
    ("temporary", "temporary_allocations", {}),
])
def test_what_is_compared(pair, of, column, deltas):
    found = compare(pair, "--of", of)
    functions = {6: "JSONDecoder.raw_decode", 7: "CountVectorizer._count_vocab", 10: "remember"}
    assert found["of"] == of
    assert {row["function"]: row["delta_" + column] for row in found["rows"] if row["delta_" + column]} == {
        functions[stack]: delta for stack, delta in deltas.items()}
    changed = [abs(row["delta_" + column]) for row in found["rows"]]
    assert changed == sorted(changed, reverse=True)


def test_by_stack(pair):
    found = compare(pair, "--by", "stack")
    first = found["rows"][0]
    assert (first["old_peak_bytes"], first["new_peak_bytes"], first["delta_peak_bytes"]) == (24 * MIB, 34 * MIB, 10 * MIB)
    assert [frame["function"] for frame in first["frames"]] == [
        "JSONDecoder.raw_decode", "JSONDecoder.decode", "loads", "read", "main", "<module>"]
    assert len(found["rows"]) == len(USES)
    assert sum(row["delta_peak_bytes"] for row in found["rows"]) == 7 * MIB


def test_by_function_and_module(pair):
    by_function = {(row["file"], row["line"], row["function"]): row["delta_peak_bytes"] for row in compare(pair, "--by", "function")["rows"]}
    assert by_function["/home/ada/batch.py", None, "remember"] == MIB
    by_module = {row["file"]: row["delta_peak_bytes"] for row in compare(pair, "--by", "module")["rows"]}
    assert by_module["/usr/lib/python3.11/json/decoder.py"] == 10 * MIB and by_module["/usr/bin/python3.11"] == 0


@pytest.mark.parametrize("order, functions", [
    ("significance", ["JSONDecoder.raw_decode", "CountVectorizer._count_vocab", "remember"]),
    ("delta", ["JSONDecoder.raw_decode", "CountVectorizer._count_vocab", "remember"]),
    ("growth", ["JSONDecoder.raw_decode", "remember", "arena slack"]),
    ("shrinkage", ["CountVectorizer._count_vocab", "arena slack", "copies below the threshold"]),
    ("new", ["JSONDecoder.raw_decode", "CountVectorizer._count_vocab", "remember"]),
    ("old", ["JSONDecoder.raw_decode", "CountVectorizer._count_vocab", "get_code"]),
    ("function", ["CountVectorizer._count_vocab", "JSONDecoder.raw_decode", "PyMem_RawMalloc"]),
])
def test_order_and_limit(pair, order, functions):
    rows = compare(pair, "--sort", order, "--limit", "3")["rows"]
    assert [row["function"] for row in rows] == functions
    assert rows == compare(pair, "--sort", order)["rows"][:3]


# ---- files and lines ----

def moved(places):
    """FRAMES with other files or lines: {frame: (file, line)}."""
    changed = dict(FRAMES)
    for frame, (file, line) in places.items():
        kind, function, _, _, module, origin = FRAMES[frame]
        changed[frame] = (kind, function, file, line, module, origin)
    return changed


def test_other_checkout_and_environment(tmp_path):
    """The program's folder, the Python and the environment are others: nothing differs."""
    frames = moved({7: ("/srv/venv/lib/python3.12/site-packages/sklearn/feature_extraction/text.py", 1263),
                    4: ("/opt/python/lib/python3.12/json/decoder.py", 353), 5: ("/opt/python/lib/python3.12/json/decoder.py", 337),
                    6: ("/opt/python/lib/python3.12/json/__init__.py", 346)})
    hand_database.create(tmp_path / "old")
    hand_database.create(tmp_path / "new", home="/srv/app", frames=frames)
    for by in ("line", "function", "stack"):
        rows = compare((tmp_path / "old", tmp_path / "new"), "--by", by, "--of", "allocated")["rows"]
        assert {row["delta_allocated_bytes"] for row in rows} == {0}, by
    (leak,) = [row for row in compare((tmp_path / "old", tmp_path / "new"), "--of", "live")["rows"] if row["function"] == "remember"]
    assert (leak["file"], leak["old_file"], leak["new_file"]) == ("/srv/app/batch.py", "/home/ada/batch.py", "/srv/app/batch.py")


OLD_TEXT = [f"line {number}" for number in range(1, 42)]


@pytest.mark.parametrize("has_texts", [True, False])
def test_edited_source(tmp_path, has_texts):
    """Three lines were put in above line 20: 22, 31 and 40 became 25, 34 and 43. With both texts, and by functions alone."""
    new_text = OLD_TEXT[:19] + ["import this", "import that", "import more"] + OLD_TEXT[19:]
    frames = moved({1: ("/home/ada/batch.py", 43), 2: ("/home/ada/batch.py", 34), 10: ("/home/ada/batch.py", 25)})
    for name, frames_of, text in (("old", FRAMES, OLD_TEXT), ("new", frames, new_text)):
        hand_database.create(tmp_path / name, frames=frames_of)
        if has_texts:
            with sqlite3.connect(tmp_path / name) as database:
                database.execute("INSERT INTO source VALUES ('/home/ada/batch.py', ?)", ["\n".join(text)])
    found = compare((tmp_path / "old", tmp_path / "new"), "--of", "live")
    assert {row["delta_live_bytes"] for row in found["rows"]} == {0}
    (leak,) = [row for row in found["rows"] if row["function"] == "remember"]
    assert (leak["line"], leak["old_line"], leak["new_line"], leak["status"]) == (25, 22, 25, "same")
    assert found["edited_files"] == int(has_texts)
    stacks = compare((tmp_path / "old", tmp_path / "new"), "--by", "stack", "--of", "allocated")["rows"]
    assert {row["delta_allocated_bytes"] for row in stacks} == {0} and len(stacks) == len(USES)


def test_line_that_is_gone(tmp_path):
    hand_database.create(tmp_path / "old")
    hand_database.create(tmp_path / "new", frames={**FRAMES, 10: ("python", "learn", "/home/ada/batch.py", 22, None, "user")})
    rows = {row["function"]: row for row in compare((tmp_path / "old", tmp_path / "new"), "--of", "live")["rows"]}
    assert (rows["remember"]["status"], rows["remember"]["new_line"], rows["remember"]["delta_live_bytes"]) == ("gone", None, -2 * MIB)
    assert (rows["learn"]["status"], rows["learn"]["old_line"], rows["learn"]["delta_live_bytes"]) == ("new", None, 2 * MIB)


# ---- moments ----

def test_moments(hand):
    found = document(ON_DATABASE, "diff", f"{hand}@25%", f"{hand}@end")
    assert (found["of"], found["old"]["moment_ns"], found["new"]["moment_ns"]) == ("live", SECOND * 5 // 2, 10 * SECOND)
    rows = {row["function"]: row for row in found["rows"]}
    assert (rows["remember"]["old_live_bytes"], rows["remember"]["new_live_bytes"]) == (MIB // 2, 2 * MIB)
    assert (rows["remember"]["old_live_allocations"], rows["remember"]["new_live_allocations"]) == (32, 128)
    rest = rows["(since freed, arena slack)"]
    assert (rest["old_live_bytes"], rest["new_live_bytes"], "arena slack" in rows) == (24, 24, False)
    assert "old_peak_bytes" not in rows["remember"]
    assert found["old_live_bytes"] == MIB // 2 + MIB + 1000 + 24


@pytest.mark.parametrize("moment, time_ns", [("2.5s", 2500000000), ("2s500ms", 2500000000), ("start", 625000000), ("peak", 6000000000),
                                             ("1h", 10000000000)])
def test_moment_forms(hand, moment, time_ns):
    assert document(ON_DATABASE, "diff", f"{hand}@{moment}", hand)["old"]["moment_ns"] == time_ns


def test_peak_and_end(hand):
    found = document(ON_DATABASE, "diff", f"{hand}@peak", f"{hand}@end")
    assert (found["old_live_bytes"], found["new_live_bytes"]) == (total("peak_bytes"), total("live_bytes"))


def test_before_teardown(tmp_path):
    """The program freed what it held from 9.5 s on: at exit is the end of the last window before that."""
    hand_database.create(tmp_path / "t")
    with sqlite3.connect(tmp_path / "t") as database:
        database.execute("UPDATE summary SET teardown_ns = 9500000000")
    found = document(ON_DATABASE, "diff", f"{tmp_path}/t@start", f"{tmp_path}/t@exit")
    assert found["new"]["moment_ns"] == 9375000000
    assert next(row for row in found["rows"] if row["function"] == "remember")["new_live_bytes"] == 2 * MIB * 15 // 16
    output = run(ON_DATABASE, "diff", tmp_path / "t", tmp_path / "t").stdout
    assert "\nFrom 9.50 s on the new program freed what it held, because it ended: give the traces as OLD@exit" in output
    with sqlite3.connect(tmp_path / "t") as database:
        database.execute("UPDATE summary SET teardown_ns = NULL")
    assert document(ON_DATABASE, "diff", f"{tmp_path}/t@exit", f"{tmp_path}/t@end")["old"]["moment_ns"] == 10 * SECOND


def test_name_with_an_at_sign(tmp_path):
    hand_database.create(tmp_path / "a@10s")
    assert document(ON_DATABASE, "diff", tmp_path / "a@10s", tmp_path / "a@10s")["old"]["moment_ns"] is None


# ---- noise ----

def test_levels_that_fluctuate(pair):
    """The leak's level jumps by 1 MiB from window to window in the old run: its growth by 1 MiB means nothing, that of the others does."""
    with sqlite3.connect(pair[0]) as database:
        database.execute("UPDATE live_span SET live_bytes = live_bytes + ? * (first_window_id % 2) WHERE stack_id = 10", [MIB])
    found = compare(pair)
    row = next(row for row in found["rows"] if row["function"] == "remember")
    # Second differences are 2 MiB each (the trend cancels): 1.4826 x 2 MiB / sqrt(6).
    assert row["noise_bytes"] == pytest.approx(1.482602 * 2 * MIB / 6 ** 0.5)
    assert row["status"] == "noise" and row["significance"] == pytest.approx(0.5906, abs=1e-3)
    assert next(row for row in found["rows"] if row["function"] == "JSONDecoder.raw_decode")["significance"] == 1
    output = run(ON_DATABASE, "diff", *pair).stdout
    assert "1 line within the noise, by +1.00 MiB in all" in output


def test_sampled(tmp_path):
    interval = 1 << 19
    hand_database.create(tmp_path / "old", sampling_interval_bytes=interval)
    hand_database.create(tmp_path / "new", uses=NEW_USES)
    row = next(row for row in compare((tmp_path / "old", tmp_path / "new"), "--of", "peak")["rows"] if row["function"] == "remember")
    # 64 blocks of 16 KiB: 1 MiB x 16 KiB / (e^(1/32) - 1).
    assert row["noise_bytes"] == pytest.approx((MIB * (MIB / 64) / (2.718281828459045 ** (1 / 32) - 1)) ** 0.5)
    assert row["status"] == "noise"


def difference(old, old_interval, new, new_interval):
    """Distances from the ends of the two intervals, in quadrature."""
    below = math.hypot(new - new_interval[0], old_interval[1] - old)
    above = math.hypot(new_interval[1] - new, old - old_interval[0])
    return [round(new - old - below), round(new - old + above)]


@pytest.fixture
def sampled_pair(tmp_path):
    """The old run took samples, of which 3 blocks of the leak were seen at the peak, and none of the decoder; the new one is exact."""
    uses = {**USES, 6: (0, 0, 0, 0, 96 * MIB, 1000, 0, 0, 0, None, None), 10: (3 * 64 * 1024, 192, MIB, 64, 2 * MIB, 128, 0, 0, 0, None, None)}
    errors = {10: (3 * 64**2, 64**2, 2 * 64**2, 0, 64**2, 0), 6: (0, 0, 24000, 0, 24**2, 0)}
    hand_database.create(tmp_path / "old", uses=uses, errors=errors, sampling_interval_bytes=65536)
    hand_database.create(tmp_path / "new", uses=NEW_USES, pid=4343)
    return tmp_path / "old", tmp_path / "new"


def test_intervals_of_counts(sampled_pair):
    found = compare(sampled_pair)
    rows = {row["function"]: row for row in found["rows"]}
    leak, decode, slack = (rows[name]["interval_95"] for name in ("remember", "JSONDecoder.raw_decode", "arena slack"))
    old = counted(192, 3 * 64**2, 64**2)
    assert near(leak["old_peak_allocations"], old) and leak["new_peak_allocations"] == [128, 128]
    assert near(leak["delta_peak_allocations"], difference(192, old, 128, [128, 128]))
    assert near(leak["delta_live_allocations"], difference(64, counted(64, 64**2, 64**2), 256, [256, 256]))
    # Nothing was seen: as few as none, and as many as a sample may miss of blocks like those that it saw.
    assert near(decode["old_peak_allocations"], [0, 3.688879 * 24]) and near(decode["delta_peak_allocations"], difference(0, [0, 89], 340, [340, 340]))
    assert "old_temporary_allocations" not in leak
    assert near(found["interval_95"]["old_peak_allocations"], counted(found["old_peak_allocations"], 3 * 64**2, 64**2))
    # Nobody's blocks: not known.
    assert "old_peak_bytes" not in slack and "delta_peak_bytes" not in slack


def test_intervals_of_bytes(sampled_pair):
    found = compare(sampled_pair)
    rows = {row["function"]: row["interval_95"] for row in found["rows"]}
    # Blocks of 1 KiB by 64 KiB: 1/p is 64.5, so that 2.98 were seen.
    seen, step = 192 * -math.expm1(-1 / 64), 1024 / (2 * math.sinh(1 / 128))
    old = counted(192 * 1024, seen * step**2, step**2)
    assert near(rows["remember"]["old_peak_bytes"], old)
    assert near(rows["remember"]["delta_peak_bytes"], difference(192 * 1024, old, 2 * MIB, [2 * MIB, 2 * MIB]))
    # Blocks as the other side's, of 100 KiB: one that is missed stands for 54,612 bytes.
    step = 34 * MIB / 340 / (2 * math.sinh(34 * MIB / 340 / 65536 / 2))
    assert near(rows["JSONDecoder.raw_decode"]["old_peak_bytes"], [0, 3.688879 * step])
    assert set(found["interval_95"]) & {"old_peak_bytes", "old_live_bytes"} == {"old_peak_bytes"}  # of sums, of what is compared
    low, high = found["interval_95"]["delta_peak_bytes"]
    assert low < found["delta_peak_bytes"] < high
    text = run(ON_DATABASE, "diff", *sampled_pair).stdout
    assert re.search(r"^Live at the peak: [^:]+: \+[\d.]+ MiB \(\+\d+ %\); 95 % interval [\d.]+ to [\d.]+ MiB\.$", text, re.M)
    header, *lines = csv.reader(io.StringIO(run(ON_DATABASE, "diff", *sampled_pair, "--format", "csv").stdout))
    leak = dict(zip(header, next(line for line in lines if "remember" in line)))
    assert near([int(leak["delta_peak_bytes_low_95"]), int(leak["delta_peak_bytes_high_95"])], rows["remember"]["delta_peak_bytes"])
    slack = dict(zip(header, next(line for line in lines if "arena slack" in line)))
    assert slack["delta_peak_bytes_low_95"] == "" and "delta_temporary_allocations_low_95" not in header


def test_intervals_of_moments(sampled_pair):
    """Of the peak and of the end counts have them; of other moments nobody knows."""
    rows = {at: {row["function"]: row for row in compare((f"{sampled_pair[0]}@{at}", sampled_pair[1]), "--of", "live")["rows"]} for at in ("peak", "50%")}
    assert near(rows["peak"]["remember"]["interval_95"]["old_live_allocations"], counted(192, 3 * 64**2, 64**2))
    assert not any("old_live_allocations" in row["interval_95"] for row in rows["50%"].values() if row["old_live_allocations"])


def test_exact_has_no_intervals(pair):
    found = compare(pair)
    assert "interval_95" not in found and not any("interval_95" in row for row in found["rows"])
    assert "_95" not in run(ON_DATABASE, "diff", *pair, "--format", "csv").stdout


def test_slack_comes_last(tmp_path):
    """Arena slack that grew the most stands behind the lines; by the change itself it comes first."""
    uses = {**NEW_USES, -1: (50 * MIB, *USES[-1][1:])}
    hand_database.create(tmp_path / "old")
    hand_database.create(tmp_path / "new", uses=uses)
    rows = compare((tmp_path / "old", tmp_path / "new"), "--of", "peak")["rows"]
    assert [row["function"] for row in rows[:4]] == ["JSONDecoder.raw_decode", "CountVectorizer._count_vocab", "remember", "arena slack"]
    assert compare((tmp_path / "old", tmp_path / "new"), "--of", "peak", "--sort", "delta")["rows"][0]["function"] == "arena slack"


def test_snapshots(tmp_path):
    for name in ("old", "new"):
        hand_database.create(tmp_path / name, exit_kind="snapshot", complete=1)
    assert "\nLive: 3.00 MiB, then 3.00 MiB: no difference.\n" in run(ON_DATABASE, "diff", tmp_path / "old", tmp_path / "new").stdout


# ---- thresholds ----

@pytest.mark.parametrize("arguments, status", [
    (["7M"], 0), (["6.9M"], 1), (["18%"], 0), (["17%"], 1), (["total=17%"], 1), (["line=10M"], 0), (["line=9M"], 1), (["line=100%"], 0),
    (["line=99%"], 1), (["1G", "10%"], 1),
])
def test_thresholds(pair, arguments, status):
    conditions = [word for condition in arguments for word in ("--fail-on", condition)]
    assert run(ON_DATABASE, "diff", *pair, *conditions).returncode == status
    found = compare(pair, *conditions, status=status)["thresholds"]
    assert any(threshold["exceeded"] for threshold in found) == bool(status) and len(found) == len(arguments)


def test_threshold_fields(pair):
    assert compare(pair, "--fail-on", "10%", "--fail-on=line=1M", "--fail-on", "5M", status=1)["thresholds"] == [
        dict(name="total", limit_percent=10, value_percent=17.5, exceeded=True),
        dict(name="line", limit=MIB, value=10 * MIB, exceeded=True), dict(name="total", limit=5 * MIB, value=7 * MIB, exceeded=True)]
    assert run(ON_DATABASE, "diff", *pair, "--fail-on", "10%").stderr == "heapline: total is 17.5 %, more than 10 %\n"


def test_shrinking_never_fails(pair):
    assert run(ON_DATABASE, "diff", *reversed(pair), "--fail-on", "0%", "--fail-on", "0").returncode == 0


# ---- screens and exports ----

SCREENS = {"diff": [], "diff_by_stack": ["--by", "stack", "--limit", "2"], "diff_by_function": ["--by", "function", "--of", "allocated", "--limit", "1"]}


@pytest.mark.parametrize("name", SCREENS)
def test_screen(pair, name):
    result = run(ON_DATABASE, "diff", "old.heapline", "new.heapline", *SCREENS[name], cwd=pair[0].parent)
    assert (result.returncode, result.stderr) == (0, "")
    check_expected(name, result.stdout)


def test_screen_of_equals(hand):
    assert "\nLive at the end: 3.00 MiB, then 3.00 MiB: no difference.\n\nNo line differs.\n" in run(ON_DATABASE, "diff", hand, hand).stdout


@pytest.mark.parametrize("columns", [80, 140])
def test_fits_the_terminal(pair, columns):
    output = on_terminal(ON_DATABASE, "diff", "old.heapline", "new.heapline", columns=columns, cwd=pair[0].parent)
    assert "\033[31m" in output and "\033[34m" in output
    lines = re.sub(r"\033\[[0-9;]*[mK]|\r", "", output).split("\n")
    assert [line for line in lines if columns_of(line) > columns] == []


def test_ascii(pair):
    assert run(ON_DATABASE, "diff", *pair, env=environment(LC_ALL="C")).stdout.isascii()


def exported(pair, *arguments):
    result = run(ON_DATABASE, "diff", *pair, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_folded(pair):
    lines = exported(pair, "--format", "folded", "--all-frames").splitlines()
    assert lines[0] == ("<module> (batch.py:40);main (batch.py:31);read (batch.py:12);loads (__init__.py:346);"
                        f"JSONDecoder.decode (decoder.py:337);JSONDecoder.raw_decode (decoder.py:353) {24 * MIB} {34 * MIB}")
    figures = [list(map(int, line.rsplit(" ", 2)[1:])) for line in lines]
    assert [sum(column) for column in zip(*figures)] == [total("peak_bytes"), total("peak_bytes") + 7 * MIB]


def test_csv_and_json(pair, tmp_path):
    rows = list(csv.DictReader(io.StringIO(exported(pair, "--format", "csv"), newline="")))
    found = compare(pair)["rows"]
    assert len(rows) == len(found)
    for row, other in zip(rows, found):
        assert (row["function"], row["status"], row["old_line"]) == (other["function"], other["status"], str(other["old_line"] or ""))
        assert all(int(row[f"{side}_{measure}"]) == other[f"{side}_{measure}"] for side in ("old", "new", "delta") for measure in MEASURES)
    assert exported(pair, "--format", "json", "-o", tmp_path / "out.json") == ""
    assert json.loads((tmp_path / "out.json").read_text()) == compare(pair)


@pytest.mark.parametrize("arguments, message", [
    (["TRACE"], "with which trace shall"), (["TRACE", "TRACE", "c"], "'c' is one argument too many"),
    (["TRACE@noon", "TRACE"], "'noon' is no moment"), (["TRACE", "TRACE", "--of", "time"], "--of is peak, live, allocated, temporary or copied"),
    (["TRACE@peak", "TRACE", "--of", "copied"], "of a moment only what is live is known"),
    (["TRACE", "TRACE", "--by", "colour"], "--by is line, stack, function, python, native or module, not 'colour'"),
    (["TRACE", "TRACE", "--sort", "size"], "cannot sort by 'size'"), (["TRACE", "TRACE", "--format", "pdf"], "--format is html, json, csv or folded"),
    (["TRACE", "TRACE", "-o", "x"], "-o is for --format"), (["TRACE", "TRACE", "--fail-on", "much"], "--fail-on wants NAME=LIMIT"),
    (["TRACE", "TRACE", "--fail-on", "line=much"], "'much' is not a size or percentage"), (["TRACE", "TRACE", "--fail-on", "row=1"], "knows total, line"),
])
def test_wrong_usage(hand, arguments, message):
    result = run(ON_DATABASE, "diff", *(argument.replace("TRACE", str(hand)) for argument in arguments))
    assert (result.returncode, result.stdout) == (2, "") and message in result.stderr


def test_missing_trace(hand, tmp_path):
    assert run(ON_DATABASE, "diff", hand, tmp_path / "absent").returncode == 3
    with open("/dev/full", "w") as full:
        assert subprocess.run([str(ON_DATABASE), "diff", str(hand), str(hand), "--json"], stdout=full, stderr=subprocess.DEVNULL).returncode == 4


def test_source_changed_since(tmp_path):
    """The old text is gone: the file is newer than the old recording."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "batch.py").write_text("changed\n")
    os.utime(home / "batch.py", (1700001000, 1700001000))
    frames = {key: (*frame[:2], frame[2] and frame[2].replace("/home/ada", str(home)), *frame[3:]) for key, frame in FRAMES.items()}
    later = dict(frames)
    # `remember` held lines 20 and 22, and is two lines further down: 22 is both its old line and its new one.
    old, new = {**frames, 3: ("python", "remember", str(home / "batch.py"), 20, None, "user")}, later
    new[3], new[10] = ("python", "remember", str(home / "batch.py"), 22, None, "user"), ("python", "remember", str(home / "batch.py"), 24, None, "user")
    hand_database.create(tmp_path / "old", frames=old)
    hand_database.create(tmp_path / "new", frames=new, start_realtime_ns=1700003600 * SECOND)
    found = compare((tmp_path / "old", tmp_path / "new"), "--of", "live")
    (leak,) = [row for row in found["rows"] if row["function"] == "remember"]
    assert (leak["old_line"], leak["new_line"], leak["delta_live_bytes"], found["edited_files"]) == (22, 24, 0, 1)
