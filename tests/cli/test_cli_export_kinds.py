"""Every format of every kind of trace: its figures add up to the report's, and it says what a reader must know."""

import csv
import gzip
import io
import json
import re

import pytest

from command import HEAPLINE, document, run
from export_tools import profile_class, python_of

PROGRAM = """
import os, random, sys, threading
kept = []
def keep(size):
    kept.append(bytearray(size))
def fill(depth):
    if depth:
        return fill(depth - 1)
    for size in range(1000, 41000, 100):
        keep(size)
threads = [threading.Thread(target=fill, args=(depth,)) for depth in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
pool = [None] * 1000
for i in range(int(sys.argv[2])): # in no order that a trace could shorten
    pool[random.randrange(1000)] = bytearray(random.randrange(1, 5000))
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
"""

# Options of run, what the report says, what a reader is told.
KINDS = {
    "exact": ([], {"complete": True}, None),
    "native": (["--native"], {"complete": True}, None),
    "sampled": (["--sample", "16K"], {"sampling_interval_bytes": 16384}, "sampled, one allocation in 16.0 KiB on average"),
    "bounded": (["--max-trace-size", "1M"], {"complete": True}, "the trace reached its size bound"),
    "killed": ([], {"complete": False}, "the program did not end by itself"),
}


@pytest.fixture(scope="module", params=KINDS)
def trace(request, tmp_path_factory):
    options, expected, note = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    program, path = folder / "fill.py", folder / "t.heapline"
    program.write_text(PROGRAM)
    run(HEAPLINE, "run", "--quiet", "-o", path, *options, "--python", "/usr/bin/python3", program, request.param,
        400_000 if request.param == "bounded" else 1000)
    report = document(HEAPLINE, "report", path)
    assert {key: report[key] for key in expected} == expected and report["peak_bytes"] > 30 << 20
    return path, report, note


def exported(trace, name, *arguments):
    """The text, or the file's bytes; and what stderr said."""
    path, _, note = trace
    out = path.with_suffix(f".{name}")
    result = run(HEAPLINE, "export", "--format", name, "-o", out, *arguments, path)
    assert result.returncode == 0, result.stderr
    return out, result.stderr


def check(trace, total, told):
    _, report, note = trace
    assert total == report["peak_bytes"]
    assert note in told if note else told == ""


def test_folded(trace):
    out, told = exported(trace, "folded")
    check(trace, sum(int(line.rsplit(" ", 1)[1]) for line in out.read_text().splitlines()), told)


def test_flamegraph(trace):
    text = exported(trace, "flamegraph")[0].read_text()
    notes = [note for note in re.findall(r'class="page note"[^>]*>([^<]*)', text) if "narrower than" not in note]
    check(trace, int(re.search(r'data-total="(\d+)"', text).group(1)), " ".join(notes))


def test_speedscope(trace):
    out, told = exported(trace, "speedscope")
    check(trace, json.loads(out.read_text())["profiles"][0]["endValue"], told)


def test_pprof(trace):
    profile = profile_class()()
    profile.ParseFromString(gzip.decompress(exported(trace, "pprof")[0].read_bytes()))
    told = " ".join(profile.string_table[number] for number in list(profile.comment)[3:])
    check(trace, sum(sample.value[3] for sample in profile.sample), told)
    assert sum(sample.value[1] for sample in profile.sample) == trace[1]["allocated_bytes"]


def test_parquet(trace):
    out, _ = exported(trace, "parquet")
    code = ("import duckdb, json, sys; print(json.dumps([duckdb.sql(f\"SELECT sum(peak_bytes)::BIGINT, sum(copied_bytes)::BIGINT FROM '{sys.argv[1]}'\")"
            ".fetchall()[0], duckdb.sql(f\"SELECT value::VARCHAR FROM parquet_kv_metadata('{sys.argv[1]}')\").fetchall()]))")
    (peak, copied), notes = json.loads(python_of("duckdb")(code, out))
    check(trace, peak, " ".join(note for note, in notes))
    assert copied == trace[1]["copied_bytes"]


def test_openmetrics(trace):
    text = exported(trace, "openmetrics")[0].read_text()
    value = {name: int(number) for name, number in re.findall(r"^heapline_(\w+){pid=\"\d+\",process=\"[^\"]*\"} (\d+)$", text, re.MULTILINE)}
    _, report, _ = trace
    assert (value["peak_bytes"], value["complete"], value["sampling_interval_bytes"]) == (
        report["peak_bytes"], report["complete"], report["sampling_interval_bytes"])
    assert text.endswith("# EOF\n")


def test_csv(trace):
    out, told = exported(trace, "csv")
    check(trace, sum(int(row["peak_bytes"]) for row in csv.DictReader(io.StringIO(out.read_text()))), told)


def test_json(trace):
    if trace[0].parent.name.startswith("native"):
        pytest.skip("large, and as the others are")
    out, told = exported(trace, "json")
    text = json.loads(out.read_text())
    check(trace, sum(stack["peak_bytes"] for stack in text["stacks"]), told)
    assert sum(line["peak_bytes"] for line in text["lines"]) == trace[1]["peak_bytes"]


def test_memory_profiler(trace):
    out, told = exported(trace, "memory_profiler")
    assert re.search(r"MiB +\d+ +kept.append\(bytearray\(size\)\)", out.read_text())
    assert trace[2] in told if trace[2] else told == ""
