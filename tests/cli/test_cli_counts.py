"""Counts of a sample have a 95 % interval wherever they are shown: made from what the report database says of their stacks, and none where they are
exact, or where nobody knows."""

import csv
import io
import json
import math
import pathlib
import shutil
import sys

import pytest

import hand_database
from command import HEAPLINE, ON_DATABASE, document, run

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from format_reader import Trace, count_variance  # noqa: E402

# peak, live, allocations, copies; the largest block, the largest copy. Of stack 6 there were 10 blocks at the peak that stand for 24 each, and two
# copies for 40; of stack 10 one and two blocks for 64. Stack 7 has the blocks it has.
ERRORS = {6: (10 * 24**2, 0, 1000 * 24, 2 * 40**2, 24**2, 40**2), 10: (64**2, 2 * 64**2, 2 * 64**2, 0, 64**2, 0),
          9: (500 * 20, 300 * 20, 900 * 20, 0, 25**2, 0)}
# F. Garwood's limits for so many: rounded to a block.
GARWOOD = {(10, 24): [115, 441], (2, 40): [10, 289], (1, 64): [2, 357], (2, 64): [16, 462]}


def quantile(shape, share):
    """Of the gamma distribution, by halving where the series of its integral says how much lies below."""
    def below(x):
        term = total = 1 / shape
        for i in range(1, 3000):
            term *= x / (shape + i)
            total += term
        return total * math.exp(shape * math.log(x) - x - math.lgamma(shape))

    low, high = 0.0, shape + 20 * math.sqrt(shape) + 20
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < share else (low, middle)
    return low


def expected(count, variance, largest):
    """M. P. Fay's and E. J. Feuer's interval, to a block."""
    if not variance and not largest:
        return [count, count]
    low = variance / count * quantile(count**2 / variance, 0.025) if variance else count
    above, above_variance = count + math.sqrt(largest), variance + largest
    return [round(low), round(above_variance / above * quantile(above**2 / above_variance, 0.975))]


def near(interval, wanted):
    """From some shape on quantiles are right to a part in 10,000."""
    return all(abs(found - value) <= 1 + value / 2000 for found, value in zip(interval, wanted))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    path = tmp_path_factory.mktemp("sampled") / "batch.heapline"
    hand_database.create(path, errors=ERRORS, sampling_interval_bytes=65536, peak_allocations=808, peak_bytes_error=1000)
    return path


def row_of(rows, function):
    (row,) = [row for row in rows if row["function"] == function]
    return row


def test_the_reference():
    for (seen, weight), limits in GARWOOD.items():
        assert expected(seen * weight, seen * weight**2, weight**2) == limits


def test_lines(sampled):
    rows = document(ON_DATABASE, "lines", sampled)["lines"]
    decode, remember, vocab = (row_of(rows, name)["interval_95"] for name in ("JSONDecoder.raw_decode", "remember", "CountVectorizer._count_vocab"))
    assert decode["peak_allocations"] == GARWOOD[10, 24] and decode["copies"] == GARWOOD[2, 40]
    assert near(decode["allocations"], expected(1000, 24000, 576))
    assert remember["peak_allocations"] == GARWOOD[1, 64] and remember["live_allocations"] == remember["allocations"] == GARWOOD[2, 64]
    # What its sample holds is certain, so its counts are; those of a stack that took samples might have been more.
    assert vocab["peak_allocations"] == [3, 3] and vocab["copies"] == [5, 5] and decode["live_allocations"] == [0, round(3.688879 * 24)]
    assert all("temporary_allocations" not in row["interval_95"] for row in rows)


def test_sums_of_stacks(sampled):
    """Inclusive lines, functions and modules."""
    wanted = expected(240 + 3 + 64, 5760 + 4096, 4096)
    assert near(row_of(document(ON_DATABASE, "lines", "--inclusive", sampled)["lines"], "main")["interval_95"]["peak_allocations"], wanted)
    rows = document(ON_DATABASE, "lines", "--by", "function", sampled)["lines"]
    assert row_of(rows, "remember")["interval_95"]["peak_allocations"] == GARWOOD[1, 64]
    rows = document(ON_DATABASE, "lines", "--by", "module", "--inclusive", sampled)["lines"]
    everything = next(row for row in rows if row["file"] == "/home/ada/batch.py")
    assert near(everything["interval_95"]["peak_allocations"], expected(307 + 500, 5760 + 4096 + 10000, 4096))


def test_stacks(sampled):
    for command, field, wanted in (("peak", "allocations", GARWOOD[10, 24]), ("copies", "copies", GARWOOD[2, 40])):
        (stack,) = [stack for stack in document(ON_DATABASE, command, sampled)["stacks"] if stack["frames"][0]["function"] == "JSONDecoder.raw_decode"]
        assert stack["interval_95"][field] == wanted
    text = run(ON_DATABASE, "peak", sampled).stdout
    assert "  in 240 blocks (115 to 441)  95 %: " in text and "  in 3 blocks  95 %: " in text


def test_totals(sampled):
    report = document(ON_DATABASE, "report", sampled)
    assert near(report["interval_95"]["peak_allocations"], expected(808, 5760 + 4096 + 10000, 4096))
    assert near(report["interval_95"]["live_allocations_at_end"], expected(429, 2 * 4096 + 6000, 4096))
    assert near(report["interval_95"]["copies"], expected(341, 3200, 1600))
    low, high = report["interval_95"]["allocations"]
    assert f" in 2.04k allocations ({low / 1000:.2f}k to {high / 1000:.2f}k)\n" in run(ON_DATABASE, "report", sampled).stdout


def test_leaks(sampled):
    (candidate,) = [row for row in document(ON_DATABASE, "leaks", sampled)["candidates"] if row["function"] == "remember"]
    assert candidate["live_allocations"] == 128
    assert all(candidate["interval_95"][field] == GARWOOD[2, 64] for field in ("live_allocations", "live_allocations_at_end", "allocations"))
    text = run(ON_DATABASE, "leaks", sampled).stdout
    assert "  in 128 blocks (16 to 462)  95 %: " in text


def test_tree(sampled):
    for order in ([], ["--bottom-up"]):
        nodes = document(ON_DATABASE, "tree", *order, sampled)["nodes"]
        node = next(node for node in nodes if node["function"] == "remember")
        assert node["interval_95"]["peak_allocations"] == GARWOOD[1, 64]
    tree = document(ON_DATABASE, "tree", sampled)
    main = next(node for node in tree["nodes"] if node["function"] == "main")
    assert near(main["interval_95"]["peak_allocations"], expected(307, 5760 + 4096, 4096))
    assert near(tree["interval_95"]["peak_allocations"], expected(808, 5760 + 4096 + 10000, 4096))
    copied = document(ON_DATABASE, "tree", "--cost", "copied", sampled)["nodes"]
    assert next(node for node in copied if node["function"] == "loads")["interval_95"]["copies"] == GARWOOD[2, 40]
    assert "2 to 357" in run(ON_DATABASE, "tree", sampled).stdout


def test_exports(sampled):
    exported = json.loads(run(ON_DATABASE, "export", "-f", "json", "-o", "-", sampled).stdout)
    (stack,) = [stack for stack in exported["stacks"] if stack["frames"] and stack["frames"][0]["function"] == "remember"]
    line = row_of(exported["lines"], "remember")
    assert stack["interval_95"] == line["interval_95"] and line["interval_95"]["peak_allocations"] == GARWOOD[1, 64]
    rows = csv.DictReader(io.StringIO(run(ON_DATABASE, "export", "-f", "csv", "-o", "-", sampled).stdout, newline=""))
    row = row_of(rows, "remember")
    for field, (low, high) in line["interval_95"].items():
        assert (int(row[f"{field}_low_95"]), int(row[f"{field}_high_95"])) == (low, high)


COMMANDS = (["report"], ["lines"], ["peak"], ["copies"], ["tree"], ["leaks"], ["export", "-f", "json", "-o", "-"])


def fields_with_intervals(value):
    if isinstance(value, dict):
        yield from value.get("interval_95", ())
        for inner in value.values():
            yield from fields_with_intervals(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_with_intervals(inner)


def test_where_nobody_knows(tmp_path):
    """Sums of format version 4: bytes have intervals, counts have none."""
    path = tmp_path / "t"
    hand_database.create(path, sampling_interval_bytes=65536)
    for command in COMMANDS:
        arguments = command if "export" in command else [*command, "--json"]
        found = set(fields_with_intervals(json.loads(run(ON_DATABASE, *arguments, path).stdout)))
        assert found and all("bytes" in field for field in found), (command, found)
    text = run(ON_DATABASE, "peak", path).stdout
    assert "  in 240 blocks  95 %: " in text
    (row,) = [row for row in csv.DictReader(io.StringIO(run(ON_DATABASE, "export", "-f", "csv", "-o", "-", path).stdout, newline=""))
              if row["function"] == "remember"]
    assert row["peak_allocations_low_95"] == row["peak_allocations_high_95"] == "" and row["peak_bytes_low_95"]


def test_what_is_exact_has_none(hand):
    for command in COMMANDS[1:]:
        arguments = command if "export" in command else [*command, "--json"]
        found = list(fields_with_intervals(json.loads(run(ON_DATABASE, *arguments, hand).stdout)))
        assert [field for field in found if "bytes" not in field] == [], command
    for command in ("report", "lines", "peak", "copies", "tree", "leaks"):
        assert "95 %" not in run(ON_DATABASE, command, hand).stdout, command
    assert "_95" not in run(ON_DATABASE, "export", "-f", "csv", "-o", "-", hand).stdout


@pytest.fixture(params=[4, 5])
def rotated(request, tmp_path):
    """A trace that begins with sums of samples, of a version of the format: a copy, as its report is cached beside it."""
    path = tmp_path / "rotated.heapline"
    shutil.copy(GOLDEN / f"trace_v{request.param}_rotated.heapline", path)
    return request.param, path


def test_rotated_traces(rotated):
    """Version 5 tells how far counts may be from the truth, and it is what the blocks that are live at the end say; version 4 doesn't tell."""
    version, path = rotated
    rows = document(HEAPLINE, "lines", path)["lines"]
    counts = [field for row in rows for field in row["interval_95"] if "bytes" not in field]
    if version == 4:
        assert rows and counts == []
        return
    trace = Trace(path.read_bytes())
    for function, stacks in (("<module>", {1}), ("Reader.read", {2, 3})):
        row = row_of(rows, function)
        blocks = [block for block in trace.slots if block and block.stack in stacks]
        variances = [count_variance(block.size, block.bytes) for block in blocks]
        largest = max([*variances, *(sums["largest_block"] for tally in trace.tallies for stack, sums in tally["stacks"].items()
                                     if stack in stacks and "largest_block" in sums)])
        assert sum(block.count for block in blocks) == row["live_allocations"]
        assert near(row["interval_95"]["live_allocations"], expected(row["live_allocations"], sum(variances), largest))
