"""heapline tree: nodes and sums from the stacks that hand_database.py put in, and what the terminal shows."""

import sqlite3

import pytest

import hand_database
from command import ON_DATABASE, document, on_terminal, run
from hand_database import MIB, total
from test_cli_screens import check_expected
from text_columns import columns_of

RAW_DECODE = "JSONDecoder.raw_decode"


def tree(path, *arguments):
    """The document, and its nodes by the functions from the root to each."""
    found = document(ON_DATABASE, "tree", path, *arguments)
    ways = {None: ()}
    nodes = {}
    for node in found["nodes"]:
        ways[node["id"]] = (*ways[node["parent_id"]], node["function"])
        assert node["depth"] == len(ways[node["id"]])
        nodes[ways[node["id"]]] = node
    return found, nodes


def test_top_down(hand):
    found, nodes = tree(hand)
    assert (found["order"], found["cost"], found["peak_bytes"], found["left_out"]) == ("top-down", "peak", total("peak_bytes"), 0)
    figures = {way: (node["peak_bytes"], node["peak_allocations"], node["self_peak_bytes"]) for way, node in nodes.items()}
    json = ("<module>", "main", "read", "loads", "JSONDecoder.decode", RAW_DECODE)
    imports = ("<module>", "_call_with_frames_removed", "get_code")
    expected = {json[:n]: (24 * MIB, 240, 24 * MIB if n == 6 else 0) for n in range(3, 7)}
    expected.update({
        ("<module>",): (39 * MIB, 807, 0),
        ("<module>", "main"): (37 * MIB, 307, 0),
        ("<module>", "main", "CountVectorizer._count_vocab"): (12 * MIB, 3, 12 * MIB),
        ("<module>", "main", "remember"): (MIB, 64, MIB),
        imports[:2]: (2 * MIB, 500, 0), imports: (2 * MIB, 500, 2 * MIB),
        ("arena slack",): (MIB - 1000, 0, MIB - 1000),
        ("PyMem_RawMalloc",): (1000, 1, 1000),
    })
    assert figures == expected
    assert nodes[json] | {"id": 0, "parent_id": 0} == dict(
        id=0, parent_id=0, depth=6, kind="python", function=RAW_DECODE, file="/usr/lib/python3.11/json/decoder.py", line=353, module=None,
        peak_bytes=24 * MIB, peak_allocations=240, self_peak_bytes=24 * MIB)


def test_largest_first(hand):
    found, _ = tree(hand)
    for parent in {node["parent_id"] for node in found["nodes"]}:
        amounts = [node["peak_bytes"] for node in found["nodes"] if node["parent_id"] == parent]
        assert amounts == sorted(amounts, reverse=True)


def test_bottom_up(hand):
    found, nodes = tree(hand, "--bottom-up", "--cost", "allocated")
    assert found["order"] == "bottom-up" and found["allocated_bytes"] == total("allocated_bytes")
    assert nodes[(RAW_DECODE,)]["allocated_bytes"] == 96 * MIB and nodes[(RAW_DECODE,)]["allocations"] == 1000
    assert nodes[(RAW_DECODE, "JSONDecoder.decode", "loads", "read", "main", "<module>")]["allocated_bytes"] == 96 * MIB
    roots = [node["allocated_bytes"] for node in found["nodes"] if node["parent_id"] is None]
    assert sum(roots) == total("allocated_bytes") and roots == sorted(roots, reverse=True)


@pytest.mark.parametrize("cost, field", [("live", "live_bytes"), ("temporary", "temporary_allocations"), ("copied", "copied_bytes")])
def test_costs(hand, cost, field):
    for options in ([], ["--bottom-up"], ["--by", "function"], ["--by", "module"]):
        found, _ = tree(hand, "--cost", cost, *options)
        assert found[field] == total(field)
        assert sum(node[field] for node in found["nodes"] if node["parent_id"] is None) == total(field)


def test_callers_and_callees(hand):
    _, nodes = tree(hand, "--callees", "main")
    assert nodes[("main",)]["peak_bytes"] == 37 * MIB
    assert set(way[1] for way in nodes if len(way) == 2) == {"read", "CountVectorizer._count_vocab", "remember"}
    _, nodes = tree(hand, "--callers", "raw_decode")
    assert list(nodes) == [(RAW_DECODE, "JSONDecoder.decode", "loads", "read", "main", "<module>")[:n] for n in range(1, 7)]
    _, nodes = tree(hand, "--callers", "batch.py:31", "--cost", "live")
    assert {way: node["live_bytes"] for way, node in nodes.items()} == {("main",): 2 * MIB, ("main", "<module>"): 2 * MIB}
    result = run(ON_DATABASE, "tree", "--callers", "nobody", hand)
    assert result.returncode == 0 and "no stack with such a cost goes through 'nobody'" in result.stderr


def test_recursion_counts_once(tmp_path):
    path = tmp_path / "t"
    hand_database.create(path)
    with sqlite3.connect(path) as database:
        database.executemany("INSERT INTO stack VALUES (?, ?, 3, ?, 3)", [(20 + i, 3 if i == 0 else 19 + i, 4 + i) for i in range(2000)])
        database.execute("INSERT INTO stack_use VALUES (2019, ?, 1, 0, 0, 0, 0, 0, 0, 0, NULL, NULL)", (MIB,))
    _, nodes = tree(path, "--callees", "read")
    assert nodes[("read",)]["peak_bytes"] == 25 * MIB
    assert nodes[("read",) * 2001]["self_peak_bytes"] == MIB
    _, nodes = tree(path, "--callers", "read")
    assert nodes[("read", "main", "<module>")]["peak_bytes"] == 25 * MIB
    screen = run(ON_DATABASE, "tree", "--callees", "read", path).stdout
    assert "… 1993 frames …" in screen and len(screen.splitlines()) < 40


def test_callers_may_have_larger_numbers(tmp_path):
    """As those of inlined calls have: depth alone says who comes first."""
    path = tmp_path / "t"
    hand_database.create(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE stack SET stack_id = 99 WHERE stack_id = 3")
        database.execute("UPDATE stack SET caller_id = 99 WHERE caller_id = 3")
    assert tree(path)[1][("<module>", "main", "read")]["peak_bytes"] == 24 * MIB
    assert tree(path, "--bottom-up")[1][(RAW_DECODE, "JSONDecoder.decode", "loads", "read", "main", "<module>")]["peak_bytes"] == 24 * MIB


def test_threshold_and_limit(hand):
    found, nodes = tree(hand, "--threshold", "50")
    assert all(node["peak_bytes"] >= 20 * MIB for node in nodes.values()) and len(nodes) == 6
    assert found["left_out"] == 5
    _, nodes = tree(hand, "--limit", "1", "--threshold", "6")
    assert list(nodes) == [("<module>",)]


SCREENS = {
    "tree": ["tree"],
    "tree_bottom_up": ["tree", "--bottom-up", "--by", "function", "--cost", "allocated"],
    "tree_callees": ["tree", "--callees", "main", "--cost", "copied"],
    "tree_modules": ["tree", "--by", "module"],
}


@pytest.mark.parametrize("name", SCREENS)
def test_screen(hand, name):
    result = run(ON_DATABASE, *SCREENS[name], "batch.heapline", cwd=hand.parent)
    assert result.returncode == 0 and result.stderr == ""
    check_expected(name, result.stdout)


@pytest.mark.parametrize("columns", [80, 140])
def test_fits_the_terminal(hand, columns):
    output = on_terminal(ON_DATABASE, "tree", "--color", "never", hand.name, columns=columns, cwd=hand.parent)
    assert len(output.split("\n")) > 12 and not [line for line in output.split("\n") if columns_of(line) > columns]


@pytest.mark.parametrize("arguments", [["--cost", "moon"], ["--by", "native"], ["--threshold", "x"], ["--threshold", "101"],
                                       ["--callers", "a", "--callees", "b"], ["--callees", "a", "--bottom-up"]])
def test_wrong_usage(hand, arguments):
    result = run(ON_DATABASE, "tree", *arguments, hand)
    assert result.returncode == 2 and result.stderr.startswith("heapline: tree: ") and result.stdout == ""
