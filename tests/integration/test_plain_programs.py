"""Reports of plain C and C++ programs whose allocations are known: rules of attribution, trees, sizes, suppressions."""

import shutil
import subprocess

import pytest

from recording import target


def by_name(rows, field):
    return {row["file"].rpartition("/")[2]: row[field] for row in rows if row["file"]}


def test_attribution(record):
    trace = record(target("cxx_new"), options=["--native"])
    allocated = by_name(trace.json("lines", "--by", "module")["lines"], "allocated_bytes")
    assert 32 << 20 <= allocated["cxx_new"] <= trace.report["allocated_bytes"]
    functions = {row["function"]: row for row in trace.json("lines", "--by", "function")["lines"]}
    assert functions["singles()"]["allocated_bytes"] == 120 + 120 + 3000 + 3100 + 700 + 900
    assert functions["singles()"]["live_bytes"] == 120 + 3000 + 700
    for rule in ("native", "python", "module", "function"):
        assert sum(row["allocated_bytes"] for row in trace.json("lines", "--by", rule)["lines"]) == trace.report["allocated_bytes"]


def test_tree(record):
    trace = record(target("cxx_new"), options=["--native"])
    nodes = trace.json("tree", "--cost", "allocated", "--callees", "main", "--by", "function")["nodes"]
    figures = {node["function"]: node for node in nodes}
    assert figures["singles()"]["allocated_bytes"] == figures["singles()"]["self_allocated_bytes"] == 120 + 120 + 3000 + 3100 + 700 + 900
    assert figures["aligned()"]["allocated_bytes"] == 512 + 1536 and figures["aligned()"]["allocations"] == 2
    assert figures["main"]["self_allocated_bytes"] == 32 << 20
    callers = trace.json("tree", "--cost", "live", "--callers", "singles")["nodes"]
    assert sum(node["live_bytes"] for node in callers if node["parent_id"] is None) == 120 + 3000 + 700
    assert {node["function"] for node in callers if node["depth"] == 2} == {"main"}
    everything = trace.json("tree", "--cost", "allocated", "--bottom-up")
    assert sum(node["allocated_bytes"] for node in everything["nodes"] if node["parent_id"] is None) == trace.report["allocated_bytes"]


def test_suppressions(record, tmp_path):
    trace = record(target("cxx_new"), options=["--native"])
    known = tmp_path / "known.supp"
    known.write_text("leak:^singles()$\nleak:ld-linux\n")
    leaks = trace.json("leaks", "--suppressions", str(known))
    first = leaks["suppressed"]["suppressions"][0]
    assert (first["live_bytes"], first["live_allocations"], first["stacks"]) == (120 + 3000 + 700, 3, 3)
    left = sum(row["live_bytes_at_end"] for row in leaks["candidates"])
    assert left + leaks["suppressed"]["live_bytes"] == leaks["live_bytes_at_end"] == trace.report["live_bytes_at_end"]
    assert not [row for row in leaks["candidates"] for frame in row["frames"] if frame["function"] == "singles()"]


def classes(rows, *fields):
    return {row["most_bytes"]: tuple(row[field] for field in fields) for row in rows}


def test_sizes(record):
    trace = record(target("sizes"), options=["--native"])
    found = trace.json("sizes", "--lines")
    assert classes(found["sizes"], "least_bytes", "allocations", "allocated_bytes", "peak_bytes", "live_allocations", "live_bytes") == {
        0: (0, 1, 0, 0, 1, 0),
        8: (1, 2, 9, 9, 2, 9),
        16: (9, 2, 25, 25, 2, 25),
        32: (17, 1, 17, 17, 1, 17),
        64: (33, 1, 64, 64, 1, 64),
        128: (65, 1001, 100065, 65, 1, 65),
        4 << 20: ((2 << 20) + 1, 1, 3 << 20, 3 << 20, 0, 0),
    }
    assert sum(row["allocated_bytes"] for row in found["sizes"]) == trace.report["allocated_bytes"]
    lines = [classes(row["sizes"], "allocations", "allocated_bytes") for row in found["lines"]]
    assert lines == [{128: (1000, 100000)},
                     {0: (1, 0), 8: (2, 9), 16: (2, 25), 32: (1, 17), 64: (1, 64), 128: (1, 65)},
                     {4 << 20: (1, 3 << 20)}]
    assert [row["allocations"] for row in found["lines"]] == [1000, 8, 1]


def test_sizes_of_threads_and_a_sample(record):
    """They add up to the report's figures, whatever the trace holds; of a sample, nearly."""
    trace = record(target("threads"), "many", 200)
    rows = trace.json("sizes")["sizes"]
    assert sum(row["allocations"] for row in rows) == trace.report["allocations"]
    assert sum(row["peak_bytes"] for row in rows) == trace.report["peak_bytes"]
    assert sum(row["live_bytes"] for row in rows) == trace.report["live_bytes_at_end"]
    sampled = record(target("sizes"), options=["--sample", "1K"], check=False)
    assert abs(sum(row["allocated_bytes"] for row in sampled.json("sizes")["sizes"]) - sampled.report["allocated_bytes"]) < 2000


RUST = """
use std::hint::black_box;

#[inline(never)]
fn parse(count: usize) -> Vec<u64> {
    let mut cells = Vec::with_capacity(black_box(count)); // grows
    cells.push(1);
    cells
}

#[inline(never)]
fn leak() {
    Box::leak(black_box(Box::new([7u8; 3000]))); // leaks
}

fn main() {
    let cells = parse(12_500);
    leak();
    assert!(cells.len() == 1);
}
"""


@pytest.mark.skipif(not shutil.which("rustc"), reason="no Rust compiler")
@pytest.mark.parametrize("options", [[], ["-O"]])
def test_rust(record, tmp_path, options):
    """Its library's code counts for the lines that call it."""
    source = tmp_path / "rows.rs"
    source.write_text(RUST)
    subprocess.run(["rustc", "-g", *options, "-o", tmp_path / "rows", source], check=True, timeout=120)
    trace = record(tmp_path / "rows", options=["--native"])
    for rule in ["line", "native"]:
        rows = {row["line"]: row for row in trace.json("lines", "--by", rule)["lines"] if (row["file"] or "").endswith("rows.rs")}
        assert rows[6]["allocated_bytes"] == 100000 and rows[6]["live_bytes"] == 0
        assert rows[13]["live_bytes"] == 3000 and rows[13]["live_allocations"] == 1
