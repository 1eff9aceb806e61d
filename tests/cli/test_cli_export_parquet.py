"""heapline export --format parquet: every value comes back through pyarrow and DuckDB, from many rows and files too."""

import json
import math

import pytest

import hand_database
from command import HEAPLINE, ON_DATABASE, run
from export_tools import python_of
from hand_database import FRAMES, MEASURES, MIB, STACKS, USES

ARROW = """
import json, sys, pyarrow.parquet as pq
file = pq.ParquetFile(sys.argv[1])
print(json.dumps([file.metadata.num_row_groups, file.metadata.created_by, [str(field.type) for field in file.schema_arrow],
                  {k.decode(): v.decode() for k, v in (file.metadata.metadata or {}).items()}, file.read().to_pylist()], default=str))
"""
DUCK = "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.argv[1]).fetchall(), default=str))"


ESTIMATED = [measure for measure in MEASURES if measure != "temporary_allocations"]


def export(trace, path, *arguments, program=ON_DATABASE):
    result = run(program, "export", "--format", "parquet", "-o", path, *arguments, trace)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return path


@pytest.fixture(scope="module")
def arrow():
    execute = python_of("pyarrow")
    return lambda path: json.loads(execute(ARROW, path))


@pytest.fixture(scope="module")
def duck():
    execute = python_of("duckdb")
    return lambda sql: json.loads(execute(DUCK, sql))


def frame_rows(stack):
    caller, frame, _, _ = STACKS[stack]
    kind, function, file, line, module, _ = FRAMES[frame]
    return [dict(kind=kind, function=function, file=file, line=line, module=module), *(frame_rows(caller) if caller else [])]


def expected_row(stack, trace):
    kind, function, file, line, module, origin = FRAMES[STACKS[stack][3]]
    return dict(trace=str(trace), pid=4242, parent_pid=4200, command="python3 batch.py --all", start_time="2023-11-14 22:13:20+00:00",
                duration_ns=10 * 10**9, complete=True, sampling_interval_bytes=0, stack_id=stack, kind=kind, function=function, file=file, line=line,
                module=module, origin=origin, **dict(zip(MEASURES, USES[stack])), **{f"{measure}_variance": 0.0 for measure in ESTIMATED},
                frames=frame_rows(stack))


def test_rows(hand, tmp_path, arrow):
    groups, created_by, types, notes, rows = arrow(export(hand, tmp_path / "x.parquet", "--all-frames"))
    assert groups == 1 and created_by.startswith("heapline version ") and notes == {}
    assert rows == [expected_row(stack, hand) for stack in sorted(USES)]
    assert types[4] == "timestamp[us, tz=UTC]" and types[6] == "bool" and types[:2] == ["string", "int64"]


def test_what_a_reader_must_know(tmp_path, arrow):
    path = tmp_path / "sampled.heapline"
    hand_database.create(path, sampling_interval_bytes=512 << 10, complete=0, exit_kind="signal", exit_status=9)
    _, _, _, notes, rows = arrow(export(path, tmp_path / "x.parquet"))
    assert notes["heapline.note"].startswith(("sampled, one allocation in 512 KiB", "the program did not end by itself (SIGKILL)"))
    assert {(row["complete"], row["sampling_interval_bytes"]) for row in rows} == {(False, 512 << 10)}


def test_variances(tmp_path, duck):
    """Of a sample, for sums of any rows; NULL where nobody knows."""
    path = tmp_path / "sampled.heapline"
    hand_database.create(path, sampling_interval_bytes=1 << 16, errors={10: (64, 128, 256, 512, 64, 512), 9: (1000, 500, 2000, 0, 2, 0)})
    exported = export(path, tmp_path / "x.parquet")
    assert duck(f"SELECT peak_allocations_variance, live_allocations_variance, allocations_variance, copies_variance FROM '{exported}' "
                "WHERE stack_id IN (7, 9, 10) ORDER BY stack_id") == [[0, 0, 0, 0], [1000, 500, 2000, 0], [64, 128, 256, 512]]
    ((peak, live, slack, none),) = duck(f"SELECT sum(peak_bytes_variance), sum(live_bytes_variance), any_value(peak_bytes_variance) FILTER (stack_id = -1), "
                                        f"any_value(live_bytes_variance) FILTER (stack_id = 6) FROM '{exported}' WHERE stack_id IN (-1, 6, 10)")
    # 240 blocks of 102.4 KiB and 64 of 16 KiB by 64 KiB; live, 128 of 16 KiB. Of slack it isn't known, of nothing nothing varies.
    assert peak == pytest.approx(24 * MIB * (24 * MIB / 240) / math.expm1(1.6) + MIB * (MIB / 64) / math.expm1(1 / 4))
    assert live == pytest.approx(2 * MIB * (MIB / 64) / math.expm1(1 / 4))
    assert slack is None and none == 0
    hand_database.create(tmp_path / "older.heapline", sampling_interval_bytes=1 << 16)
    exported = export(tmp_path / "older.heapline", tmp_path / "y.parquet")
    assert duck(f"SELECT count(allocations_variance), count(allocated_bytes_variance) FROM '{exported}'") == [[0, len(USES)]]


def test_odd_rows(tmp_path, arrow):
    """No stack at all, one without frames, names that are no UTF-8; large and negative numbers."""
    import sqlite3
    path = tmp_path / "odd.heapline"
    hand_database.create(path)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM stack_use")
        database.execute("UPDATE frame SET function = CAST(x'61ff' AS TEXT), line = 2000000000 WHERE frame_id = 1")
    assert arrow(export(path, tmp_path / "none.parquet"))[4] == []
    with sqlite3.connect(path) as database:
        for stack, use in ((0, 1 << 62), (1, -5)):
            database.execute("INSERT INTO stack_use (stack_id, peak_bytes) VALUES (?, ?)", (stack, use))
    rows = arrow(export(path, tmp_path / "odd.parquet"))[4]
    assert [(row["stack_id"], row["peak_bytes"], row["frames"]) for row in rows] == [
        (0, 1 << 62, []), (1, -5, [dict(kind="python", function="a?", file="/home/ada/batch.py", line=2000000000, module=None)])]


def test_many_rows(tmp_path, arrow, duck):
    """Several groups, dictionaries with indexes of two and three bytes."""
    import sqlite3
    path = tmp_path / "many.heapline"
    hand_database.create(path)
    depth, count = 40, 70000
    with sqlite3.connect(path) as database:
        database.executemany("INSERT INTO frame VALUES (?, 'python', ?, ?, ?, NULL, 'user')", ((100 + i, f"f{i}", f"/d/{i % 300}.py", i) for i in range(count)))
        database.executemany("INSERT INTO stack VALUES (?, ?, ?, ?, ?)",
                             ((100 + i, 99 + i if i % depth else 0, 100 + i, i % depth + 1, 100 + i) for i in range(count)))
        database.executemany("INSERT INTO stack_use SELECT ?, ?, 1, 0, 0, 0, 0, 0, 0, 0, NULL, NULL", ((100 + i, i) for i in range(count)))
    exported = export(path, tmp_path / "many.parquet")
    sums = duck(f"SELECT count(*), sum(peak_bytes)::BIGINT, sum(len(frames))::BIGINT, count(DISTINCT function), count(DISTINCT file), "
                f"sum(list_sum([f.line FOR f IN frames]))::BIGINT FROM '{exported}' WHERE stack_id >= 100")
    lines = sum(sum(range(i - i % depth, i + 1)) for i in range(count))
    assert sums == [[count, sum(range(count)), sum(i % depth + 1 for i in range(count)), count, 300, lines]]
    assert duck(f"SELECT max(row_group_id) FROM parquet_metadata('{exported}')") == [[1]]
    bad = duck(f"SELECT count(*) FROM '{exported}' WHERE stack_id >= 100 AND (function <> 'f' || (stack_id - 100) OR frames[1].function <> function "
               f"OR frames[-1].line <> (stack_id - 100) // {depth} * {depth})")
    assert bad == [[0]]


SOURCE = """
import os, time
kept = [bytearray(1000) for _ in range(1000)]
if os.fork() == 0:
    more = [bytearray(2000) for _ in range(1000)]
    os._exit(0)
os.wait()
"""


def test_processes_and_groups(tmp_path, duck):
    """A real run: stacks of two processes, the figures of each its report's."""
    program, trace = tmp_path / "two.py", tmp_path / "two.heapline"
    program.write_text(SOURCE)
    assert run(HEAPLINE, "run", "--quiet", "--native", "-o", trace, "--python", "/usr/bin/python3", program).returncode == 0
    exported = export(trace, tmp_path / "two.parquet", "--processes", program=HEAPLINE)
    report = json.loads(run(HEAPLINE, "report", "--json", trace).stdout)
    found = duck(f"SELECT pid::INT, sum(peak_bytes)::BIGINT FROM '{exported}' GROUP BY ALL")
    assert sorted(found) == sorted([process["pid"], process["peak_bytes"]] for process in report["processes"]) and len(found) == 2
    line = duck(f"SELECT sum(allocated_bytes)::BIGINT > 2000000 FROM '{exported}' WHERE file = '{program}' AND line = 5")
    assert line == [[True]]


def test_processes_need_a_place(hand):
    result = run(ON_DATABASE, "export", "--format", "csv", "--processes", hand)
    assert result.returncode == 2 and "csv holds one process" in result.stderr
