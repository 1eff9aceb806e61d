"""Reports of plain C and C++ programs whose allocations are known: rules of attribution, trees, sizes, suppressions."""

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
    left = sum(row["live_bytes"] for row in leaks["candidates"])
    assert left + leaks["suppressed"]["live_bytes"] == leaks["live_bytes_at_end"] == trace.report["live_bytes_at_end"]
    assert not [row for row in leaks["candidates"] for frame in row["frames"] if frame["function"] == "singles()"]
