"""heapline export --format memory_profiler and openmetrics: what the real packages print and parse."""

import json
import textwrap

import pytest

import hand_database
from command import HEAPLINE, ON_DATABASE, document, run
from export_tools import python_of
from hand_database import MIB

# ---- memory_profiler ----

BATCH = """\
import json


def helper():
    return 1


@decorated
def read(path):
    texts = []
    # 12 is below
    return [json.loads(text) for text in path]


async def remember(item):
    return item

class Store:
    def remember(self, item):

        if item:
            self.items.append(
                item)

        return item


def main():
    helper()
    data = 1
    read(data)
    return data


if __name__ == '__main__':
    pass



main()
"""


def exported(trace, *arguments, program=ON_DATABASE, stderr=""):
    result = run(program, "export", *arguments, trace)
    assert result.returncode == 0 and result.stderr.startswith(stderr) and bool(stderr) == bool(result.stderr)
    return result.stdout


@pytest.fixture
def batch(tmp_path):
    """The hand database with a source where it says."""
    (tmp_path / "batch.py").write_text(BATCH)
    path = tmp_path / "batch.heapline"
    hand_database.create(path, home=str(tmp_path))
    return path


# The blocks that the export should find: file, first and last line, and by line increment, usage, occurrences. Peak: 40 MiB in 808 allocations.
BLOCKS = [
    ((40, 40), {40: (39, 39 + 1, 807)}),
    ((28, 32), {28: (3, 3, 501), 31: (37, 40, 307)}),
    ((9, 12), {9: (16, 16, 568), 12: (24, 40, 240)}),
    ((19, 25), {19: (39, 39, 744), 22: (1, 40, 64)}),
]

PRINT = """
import json, sys, memory_profiler
class Profile:
    pass
profile = Profile()
file, blocks = sys.argv[1], json.loads(sys.argv[2])
items = [(file, [(line, figures.get(str(line))) for line in range(first, last + 1)]) for (first, last), figures in blocks]
profile.code_map = type("Map", (), {"items": lambda self: items})()
memory_profiler.show_results(profile)
"""


def test_the_very_table(batch):
    """As the real package prints the same figures of the same file."""
    execute = python_of("memory_profiler", "psutil")
    text = exported(batch, "--format", "memory_profiler")
    assert text == execute(PRINT, batch.parent / "batch.py", json.dumps(BLOCKS))
    assert text.splitlines()[:5] == [f"Filename: {batch.parent}/batch.py", "",
                                     "Line #    Mem usage    Increment  Occurrences   Line Contents", "=" * 61,
                                     "    40     40.0 MiB     39.0 MiB         807   main()"]


def test_other_moments(batch):
    lines = exported(batch, "--format", "memory_profiler", "--cost", "allocated").splitlines()
    assert "    12    131.0 MiB     96.0 MiB        1000       return [json.loads(text) for text in path]" in lines
    result = run(ON_DATABASE, "export", "--format", "memory_profiler", "--cost", "temporary", batch)
    assert result.returncode == 2 and "memory_profiler's table shows bytes" in result.stderr


def test_without_the_source(hand):
    lines = exported(hand, "--format", "memory_profiler").splitlines()
    assert [line.split() for line in lines if line.startswith("    ")] == [
        ["40", "40.0", "MiB", "39.0", "MiB", "807"], ["31", "40.0", "MiB", "37.0", "MiB", "307"],
        ["12", "40.0", "MiB", "24.0", "MiB", "240"], ["22", "40.0", "MiB", "1.0", "MiB", "64"]]


PROGRAM = """\
def build(n):
    rows = [bytearray(1 << 20) for _ in range(n)]
    texts = list(map(lambda row: bytes(row[:524288]), rows))
    return rows, texts


class Holder:
    def fill(self):
        self.kept = build(10)
        return self


holder = Holder().fill()
"""


def test_a_real_run(tmp_path):
    program, trace = tmp_path / "build.py", tmp_path / "build.heapline"
    program.write_text(PROGRAM)
    assert run(HEAPLINE, "run", "--quiet", "-o", trace, "--python", "/usr/bin/python3", program).returncode == 0
    tables = exported(trace, "--format", "memory_profiler", program=HEAPLINE).split("Filename: ")
    build = next(table for table in tables if "rows = [" in table).splitlines()[4:]
    numbers, increments = zip(*((line[:6].strip(), line[20:32].strip()) for line in build if line))
    assert numbers == ("1", "2", "3", "4") and increments[1:] == ("10.0 MiB", "5.5 MiB", "") # with the last slice
    fill = next(table for table in tables if "self.kept" in table).splitlines()
    assert [line[:6].strip() for line in fill[4:] if line] == ["8", "9", "10"] and "15.5 MiB" in fill[5]


def test_sample_is_told_on_stderr(tmp_path):
    path = tmp_path / "sampled.heapline"
    hand_database.create(path, sampling_interval_bytes=512 << 10)
    for arguments in (("-f", "memory_profiler"), ("-f", "folded"), ("-f", "csv"), ("-f", "speedscope"), ("-f", "json")):
        exported(path, *arguments, stderr="heapline: sampled, one allocation in 512 KiB on average: figures are estimates")
    for arguments in (("-f", "flamegraph"), ("-f", "openmetrics")):
        exported(path, *arguments)


# ---- openmetrics ----

PARSE = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(json.dumps([[family.name, family.type, family.unit, [[sample.name, sample.labels, sample.value] for sample in family.samples]]
                  for family in parse(sys.stdin.read() if len(sys.argv) < 2 else open(sys.argv[1]).read())]))
"""


def families(tmp_path, trace, *arguments, program=ON_DATABASE):
    path = tmp_path / "metrics.txt"
    path.write_text(exported(trace, "--format", "openmetrics", *arguments, program=program))
    return {name: (kind, unit, samples) for name, kind, unit, samples in json.loads(python_of("prometheus_client")(PARSE, path))}


def test_openmetrics(hand, tmp_path):
    found = families(tmp_path, hand)
    report = document(ON_DATABASE, "report", hand)
    process = {"pid": "4242", "process": "python3.11"}
    assert found["heapline_process"] == ("info", "", [["heapline_process_info", {**process, "command": "python3 batch.py --all", "parent_pid": "4200"}, 1]])
    for name, kind, unit, value in (
            ("peak_bytes", "gauge", "bytes", report["peak_bytes"]), ("allocated_bytes", "counter", "bytes", report["allocated_bytes"]),
            ("allocations", "counter", "", report["allocations"]), ("copied_bytes", "counter", "bytes", report["copied_bytes"]),
            ("live_bytes", "gauge", "bytes", report["live_bytes_at_end"]), ("peak_rss_bytes", "gauge", "bytes", report["peak_rss_bytes"]),
            ("duration_seconds", "gauge", "seconds", 10), ("start_time_seconds", "gauge", "seconds", 1700000000), ("complete", "gauge", "", 1),
            ("sampling_interval_bytes", "gauge", "bytes", 0), ("lost_events", "counter", "", 0), ("peak_time_seconds", "gauge", "seconds", 6)):
        sample = f"heapline_{name}" + ("_total" if kind == "counter" else "")
        assert found[f"heapline_{name}"] == (kind, unit, [[sample, process, value]])
    lines = {(sample[1]["file"], int(sample[1]["line"]), sample[1]["function"], sample[1]["kind"]): sample[2]
             for sample in found["heapline_line_peak_bytes"][2]}
    assert lines == {(line["file"] or "", line["line"] or 0, line["function"], line["kind"]): line["peak_bytes"]
                     for line in document(ON_DATABASE, "peak", hand)["lines"] if line["peak_bytes"] or line["peak_allocations"]}


def test_openmetrics_intervals(hand, tmp_path):
    """Of a sample; gauges, as the reports have them. Exact figures have none."""
    assert not [name for name in families(tmp_path, hand) if name.endswith("_95")]
    path = tmp_path / "sampled.heapline"
    hand_database.create(path, sampling_interval_bytes=1 << 16, peak_bytes_error=MIB, errors={10: (64**2, 2 * 64**2, 2 * 64**2, 0, 64**2, 0)})
    found, report = families(tmp_path, path), document(ON_DATABASE, "report", path)["interval_95"]
    for name, field in (("peak_bytes", "peak_bytes"), ("live_allocations", "live_allocations_at_end"), ("allocations", "allocations"),
                        ("allocated_bytes", "allocated_bytes"), ("copies", "copies")):
        ends = [found[f"heapline_{name}_{end}_95"] for end in ("low", "high")]
        assert [(kind, unit) for kind, unit, _ in ends] == [("gauge", "")] * 2
        assert [samples[0][2] for _, _, samples in ends] == report[field] and report[field][0] <= report[field][1]
    (leak,) = [line for line in document(ON_DATABASE, "lines", path)["lines"] if line["function"] == "remember"]
    for name in ("peak_bytes", "live_bytes", "allocated_bytes"):
        assert [sample[2] for end in ("low", "high") for sample in found[f"heapline_line_{name}_{end}_95"][2]
                if sample[1]["function"] == "remember"] == leak["interval_95"][name]


def test_openmetrics_lines_are_bounded(hand, tmp_path):
    found = families(tmp_path, hand, "--limit", "1")
    assert [sample[2] for sample in found["heapline_line_peak_bytes"][2]] == [24 * MIB]
    assert [sample[2] for sample in found["heapline_line_allocated_bytes"][2]] == [96 * MIB]


def test_openmetrics_odd_names(tmp_path):
    import sqlite3
    path = tmp_path / "odd.heapline"
    hand_database.create(path, command='say "a\\b"\nnext')
    with sqlite3.connect(path) as database:
        database.execute("UPDATE line_use SET function = 'operator\"\"_x\\' WHERE line = 353")
    found = families(tmp_path, path)
    assert found["heapline_process"][2][0][1]["command"] == 'say "a\\b"?next'
    assert 'operator""_x\\' in {sample[1]["function"] for sample in found["heapline_line_peak_bytes"][2]}


def test_openmetrics_of_processes(tmp_path):
    program, trace = tmp_path / "two.py", tmp_path / "two.heapline"
    program.write_text(textwrap.dedent("""
        import os
        if os.fork() == 0:
            kept = bytearray(20 << 20)
            os._exit(0)
        os.wait()
    """))
    assert run(HEAPLINE, "run", "--quiet", "-o", trace, "--python", "/usr/bin/python3", program).returncode == 0
    found = families(tmp_path, trace, "--processes", program=HEAPLINE)
    report = document(HEAPLINE, "report", trace)
    assert {int(sample[1]["pid"]): sample[2] for sample in found["heapline_peak_bytes"][2]} == {
        process["pid"]: process["peak_bytes"] for process in report["processes"]} and len(report["processes"]) == 2
