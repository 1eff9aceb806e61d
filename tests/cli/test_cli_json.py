"""The JSON documents, field by field, from the figures that hand_database.py put in; thresholds and exit statuses."""

import json

import pytest

import hand_database
from command import HEAPLINE, ON_DATABASE, document, run
from hand_database import MEASURES, MIB, SECOND, USES, create, total

LINE_FIELDS = {"file", "line", "function", "kind", "origin", *MEASURES}
READERS = ["report", "lines", "peak", "copies", "leaks", "tree", "timeline", "sql"]


def check_lines(rows):
    for row in rows:
        assert set(row) == LINE_FIELDS
        assert row["kind"] in ("python", "native")
        assert row["file"] is None or isinstance(row["file"], str)
        assert row["line"] is None or (isinstance(row["line"], int) and row["line"] > 0)
        assert all(type(row[measure]) is int for measure in MEASURES)


def test_report(hand):
    report = document(ON_DATABASE, "report", hand)
    figures = {name: report[name] for name in (
        "duration_ns", "peak_bytes", "peak_time_ns", "peak_rss_bytes", "allocated_bytes", "allocations", "live_bytes_at_end",
        "copied_bytes", "lost_events", "complete", "sampling_interval_bytes", "exit", "stream_truncated", "events_until_ns")}
    assert figures == dict(
        duration_ns=10 * SECOND, peak_bytes=40 * MIB, peak_time_ns=6 * SECOND, peak_rss_bytes=64 * MIB, allocated_bytes=131 * MIB + 1000,
        allocations=2041, live_bytes_at_end=3 * MIB + 1024, copied_bytes=28 * MIB + 4096, lost_events=0, complete=True,
        sampling_interval_bytes=0, exit=0, stream_truncated=False, events_until_ns=10 * SECOND)
    assert report["processes"] == [
        dict(pid=4242, parent_pid=4200, command="python3 batch.py --all", peak_bytes=40 * MIB, allocated_bytes=90 * MIB,
             allocations=5000, copied_bytes=7 * MIB, live_bytes_at_end=3 * MIB, lost_events=0, exit=0, exit_kind="exit", complete=True,
             unrecorded=None, trace="batch.heapline"),
        dict(pid=4250, parent_pid=4242, command="gzip -9", peak_bytes=3 * MIB // 2, allocated_bytes=2 * MIB,
             allocations=40, copied_bytes=0, live_bytes_at_end=0, lost_events=3, exit=-9, exit_kind="signal", complete=False,
             unrecorded=None, trace="batch.heapline.4250")]
    assert report["all_processes"] == dict(
        processes=2, unrecorded=0, peak_bytes=40 * MIB + 3 * MIB // 2, allocated_bytes=92 * MIB, allocations=5040, copied_bytes=7 * MIB,
        live_bytes_at_end=3 * MIB, lost_events=3)
    check_lines(report["lines"])


def test_bounded_trace(tmp_path):
    path = tmp_path / "t"
    hand_database.create(path, stream_end_ns=3 * SECOND)
    for command in ("report", "timeline"):
        found = document(ON_DATABASE, command, path)
        assert found["stream_truncated"] is True and found["events_until_ns"] == 3 * SECOND


def test_report_of_a_killed_process(tmp_path):
    path = tmp_path / "t"
    hand_database.create(path, complete=0, exit_kind="unknown", exit_status=None, damage="cut")
    report = document(ON_DATABASE, "report", path)
    assert report["complete"] is False and report["exit"] is None and report["damage"] == "cut"


def test_lines(hand):
    rows = document(ON_DATABASE, "lines", hand)["lines"]
    check_lines(rows)
    assert [row["peak_bytes"] for row in rows] == sorted((row["peak_bytes"] for row in rows), reverse=True)
    for measure in MEASURES:
        assert sum(row[measure] for row in rows) == total(measure)
    (leaking,) = [row for row in rows if row["file"] == "/home/ada/batch.py"]
    assert leaking == dict(file="/home/ada/batch.py", line=22, function="remember", kind="python", origin="user", **dict(zip(MEASURES, USES[10])))
    assert [row["function"] for row in rows if row["file"] is None] == ["arena slack", "copies below the threshold"]


def test_lines_inclusive(hand):
    rows = {row["line"]: row for row in document(ON_DATABASE, "lines", hand, "--inclusive")["lines"] if row["file"] == "/home/ada/batch.py"}
    assert rows[12]["peak_bytes"] == 24 * MIB
    assert rows[31]["peak_bytes"] == 37 * MIB
    assert rows[40]["peak_bytes"] == 39 * MIB


@pytest.mark.parametrize("name, column", [("allocated_bytes", "allocated_bytes"), ("live", "live_bytes"), ("copies", "copies")])
def test_lines_sorted_and_limited(hand, name, column):
    everything = document(ON_DATABASE, "lines", hand, "--sort", name)["lines"]
    assert [row[column] for row in everything] == sorted((row[column] for row in everything), reverse=True)
    assert document(ON_DATABASE, "lines", hand, "--sort", name, "--limit", "2")["lines"] == everything[:2]
    assert document(ON_DATABASE, "lines", hand, "--sort", name, "--limit", "0")["lines"] == everything


def test_peak(hand):
    peak = document(ON_DATABASE, "peak", hand)
    assert peak["peak_bytes"] == 40 * MIB and peak["peak_time_ns"] == 6 * SECOND
    check_lines(peak["lines"])
    assert sum(row["peak_bytes"] for row in peak["lines"]) == peak["peak_bytes"]
    assert sum(stack["bytes"] for stack in peak["stacks"]) == peak["peak_bytes"]
    assert sum(stack["allocations"] for stack in peak["stacks"]) == total("peak_allocations")
    first = peak["stacks"][0]
    assert (first["bytes"], first["allocations"]) == (24 * MIB, 240)
    assert [(frame["function"], frame["line"]) for frame in first["frames"]] == [
        ("JSONDecoder.raw_decode", 353), ("JSONDecoder.decode", 337), ("loads", 346), ("read", 12), ("main", 31), ("<module>", 40)]
    assert set(first["frames"][0]) == {"kind", "function", "file", "line", "module"}
    assert peak["stacks"][4]["frames"] == [dict(kind="native", function="arena slack", file=None, line=None, module=None)]


def test_copies(hand):
    copies = document(ON_DATABASE, "copies", hand)
    assert (copies["copied_bytes"], copies["copies"]) == (28 * MIB + 4096, 341)
    assert [stack["bytes"] for stack in copies["stacks"]] == [20 * MIB, 8 * MIB, 4096]
    assert [stack["copies"] for stack in copies["stacks"]] == [5, 80, 256]
    assert [row["copied_bytes"] for row in copies["lines"]] == [20 * MIB, 8 * MIB, 4096]


def test_leaks(hand):
    leaks = document(ON_DATABASE, "leaks", hand)
    candidates = leaks["candidates"]
    assert sum(candidate["live_bytes"] for candidate in candidates) == leaks["live_bytes_at_end"] == total("live_bytes")
    best = candidates[0]
    assert (best["file"], best["line"], best["function"]) == ("/home/ada/batch.py", 22, "remember")
    assert (best["live_bytes"], best["live_allocations"]) == (2 * MIB, 128)
    # 2 MiB in 10 s, on a straight line.
    assert best["growth_bytes_per_second"] == round(2 * MIB / 10)
    assert best["growth_bytes_per_hour"] == 360 * 2 * MIB and best["growth_allocations_per_second"] == 12.8
    assert best["confidence"] == 1 and best["shape"] == "keeps growing" and best["since_ns"] == 5 * SECOND // 2
    # S = 78, variance 13*12*31/18: z = 77 / sqrt(268.67), p = 1.3156e-6.
    assert best["p"] == pytest.approx(1.3156e-6, rel=1e-4)
    assert best["evidence"] == ("since 2.50 s: 512 KiB to 2.00 MiB, rising in 12 of 12 windows (p = 1e-06), 720 MiB an hour; "
                                "100 % of its 128 allocations is live still, of all allocations 21 %")
    assert best["laplace_score"] == pytest.approx(1 - 1 / 130) and best["survival"] == 1
    assert (leaks["live_bytes"], leaks["judged_ns"], leaks["teardown_ns"], leaks["growing"]) == (total("live_bytes"), 10 * SECOND, None, 1)
    assert leaks["memory_limit_bytes"] is None and best["limit_reached_in_ns"] is None
    assert [frame["line"] for frame in best["frames"]] == [22, 31, 40]
    assert [candidate["confidence"] for candidate in candidates[1:]] == [0, 0, 0]


def test_leaks_before_teardown(tmp_path):
    """What is freed when the program ends is judged by what was live before; the figures at the end stay beside it."""
    hand = tmp_path / "teardown.heapline"
    create(hand, teardown_ns=17 * SECOND // 2)
    leaks = document(ON_DATABASE, "leaks", hand)
    best = leaks["candidates"][0]
    assert (leaks["teardown_ns"], leaks["judged_ns"]) == (17 * SECOND // 2, 13 * 10 * SECOND // 16)
    assert (best["live_bytes"], best["live_allocations"]) == (2 * MIB * 13 // 16, 128 * 13 // 16)
    assert (best["live_bytes_at_end"], best["live_allocations_at_end"]) == (2 * MIB, 128)
    assert len(best["window_bytes"]) == 13 and best["growth_bytes_per_second"] == round(2 * MIB / 10) and best["confidence"] > 0.999
    assert leaks["live_bytes"] == sum(row["live_bytes"] for row in leaks["candidates"])
    assert leaks["live_bytes_at_end"] == total("live_bytes")


def test_memory_limit(tmp_path):
    """24 MiB and the heap's level are resident: what is left is reached at 2 MiB in 10 s."""
    hand = tmp_path / "limit.heapline"
    create(hand, properties=[("cgroup_memory_limit_bytes", str(128 * MIB))])
    resident = 24 * MIB + total("live_bytes")
    for arguments, limit in (([], 128 * MIB), (["--memory-limit", "64M"], 64 * MIB)):
        leaks = document(ON_DATABASE, "leaks", hand, *arguments)
        assert leaks["memory_limit_bytes"] == limit
        assert leaks["candidates"][0]["limit_reached_in_ns"] == pytest.approx((limit - resident) / (2 * MIB / 10) * 1e9, rel=1e-6)
        assert leaks["candidates"][1]["limit_reached_in_ns"] is None
    assert document(ON_DATABASE, "leaks", hand, "--memory-limit", "16M")["candidates"][0]["limit_reached_in_ns"] == 0


def test_timeline(hand):
    rows = document(ON_DATABASE, "timeline", hand)["timeline"]
    assert len(rows) == 21
    assert rows[0] == dict(time_ns=0, heap_bytes=0, heap_peak_bytes=0, rss_bytes=24 * MIB)
    assert rows[12] == dict(time_ns=6 * SECOND, heap_bytes=40 * MIB, heap_peak_bytes=40 * MIB, rss_bytes=64 * MIB)
    few = document(ON_DATABASE, "timeline", hand, "--limit", "4")["timeline"]
    assert len(few) == 4 and max(row["heap_peak_bytes"] for row in few) == 40 * MIB


def test_sql(hand):
    query = "SELECT pid, command, damage, 0.5 AS half, 'q\"' AS \"odd \"\"name\" FROM summary"
    result = run(ON_DATABASE, "sql", "--json", hand, query)
    assert json.loads(result.stdout) == {
        "schema": 1, "command": "sql", "columns": ["pid", "command", "damage", "half", 'odd "name'],
        "rows": [{"pid": 4242, "command": "python3 batch.py --all", "damage": None, "half": 0.5, 'odd "name': 'q"'}]}


def test_sql_from_standard_input(hand):
    result = run(ON_DATABASE, "sql", hand, input="SELECT 1 AS one; SELECT 2 AS two;\n", stdin=None)
    assert (result.returncode, result.stdout) == (0, "one\n  1\n\ntwo\n  2\n")


@pytest.mark.parametrize("query", ["DELETE FROM summary", "CREATE TABLE x (y)", "ATTACH 'x.db' AS x", "PRAGMA writable_schema = 1", "VACUUM",
                                   "PRAGMA user_version = 9", "SELEKT 1", "SELECT nothing FROM summary", "", "SELECT 1; DROP TABLE frame",
                                   "SELECT load_extension('x')"])
def test_sql_refuses(hand, tmp_path, query):
    before = hand.read_bytes()
    result = run(ON_DATABASE, "sql", hand, query, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr.startswith("heapline: sql: ")
    assert hand.read_bytes() == before and not list(tmp_path.iterdir())


# ---- thresholds ----

@pytest.mark.parametrize("command, condition, status", [
    ("report", "peak=40M", 0), ("report", "peak=39.9M", 1), ("report", "peak=41943039", 1), ("report", "live=1M", 1),
    ("report", "rss=64MiB", 0), ("report", "lost=0", 0), ("report", "copied=1G", 0), ("report", "allocated=100M", 1),
    ("peak", "peak=1K", 1), ("copies", "copies=340", 1), ("copies", "copies=341", 0), ("lines", "peak=24M", 0), ("lines", "peak=23M", 1),
    ("leaks", "growth=200K", 1), ("leaks", "growth=300K", 0), ("leaks", "candidates=0", 1), ("leaks", "candidates=1", 0),
    ("leaks", "0.9", 1), ("leaks", "confidence=0.99", 1), ("leaks", "1", 1), ("leaks", "confidence=1.0", 1),
    ("timeline", "rss=63M", 1),
])
def test_threshold(hand, command, condition, status):
    result = run(ON_DATABASE, command, "--fail-on", condition, hand)
    assert result.returncode == status
    name = condition.split("=")[0] if "=" in condition else "confidence"
    assert (f"heapline: {name} is " in result.stderr) == bool(status)
    thresholds = document(ON_DATABASE, command, "--fail-on", condition, hand, status=status)["thresholds"]
    assert [threshold["name"] for threshold in thresholds] == [name]
    assert [threshold["exceeded"] for threshold in thresholds] == [bool(status)]


def test_several_thresholds(hand):
    parsed = document(ON_DATABASE, "report", "--fail-on", "peak=1G", "--fail-on=live=1M", hand, status=1)
    assert parsed["thresholds"] == [dict(name="peak", limit=1 << 30, value=40 * MIB, exceeded=False),
                                    dict(name="live", limit=MIB, value=total("live_bytes"), exceeded=True)]


# ---- usage ----

@pytest.mark.parametrize("arguments, hint", [
    ([], "Which lines?"), (["frobnicate"], "Commands: run, attach, detach, "), (["reprot"], "Did you mean 'report'?"),
    (["attach", "x"], "'x' is no process id"), (["detach"], "which process?"), (["atach"], "Did you mean 'attach'?"), (["--frob"], "there is no option '--frob'"), (["report"], "which trace?"),
    (["report", "TRACE", "b"], "'b' is one argument too many"), (["report", "--jsno", "TRACE"], "did you mean '--json'?"),
    (["report", "--limit", "x", "TRACE"], "--limit wants a number"), (["report", "--limit"], "--limit wants a value"),
    (["lines", "--limit=-1", "TRACE"], "--limit wants a number"), (["lines", "--sort", "size", "TRACE"], "cannot sort by 'size'"),
    (["report", "--json=yes", "TRACE"], "--json takes no value"), (["report", "--fail-on", "peak", "TRACE"], "NAME=LIMIT"),
    (["report", "--fail-on", "speed=1", "TRACE"], "knows peak, rss, allocated, live, copied, lost"),
    (["report", "--fail-on", "peak=lots", "TRACE"], "'lots' is not a size"), (["report", "--color", "blue", "TRACE"], "auto, always or never"),
    (["sql", "--json", "--csv", "TRACE", "SELECT 1"], "not both"), (["help", "frobnicate"], "there is no command 'frobnicate'"),
    (["run"], "which program?"), (["run", "--sample", "some", "true"], "wants a size"),
    (["run", "--paused=yes", "true"], "--paused takes no value"), (["start"], "which process?"),
        (["stop", "x"], "'x' is no process id"), (["run", "--copy-threshold", "big", "true"], "wants a size"),
])
def test_wrong_usage(hand, arguments, hint):
    result = run(ON_DATABASE, *(hand if argument == "TRACE" else argument for argument in arguments))
    assert result.returncode == 2 and result.stdout == ""
    assert hint in result.stderr


@pytest.mark.parametrize("command", [*READERS, "dump"])
def test_missing_trace(tmp_path, command):
    result = run(HEAPLINE, command, tmp_path / "absent.heapline")
    assert result.returncode == 3 and result.stdout == ""
    assert result.stderr == f"heapline: there is no trace at '{tmp_path}/absent.heapline': give the path that 'heapline run' named at its end\n"


@pytest.mark.parametrize("command", READERS)
def test_output_that_cannot_be_written(hand, command):
    with open("/dev/full", "w") as full:
        import subprocess
        arguments = [str(ON_DATABASE), command, str(hand)] + (["SELECT 1"] if command == "sql" else ["--json"])
        assert subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE).returncode == 4
