"""docs/trace_format.md is enough to read a trace: format_reader.py, written from it, reads the golden one to the same figures as lib/trace
(golden_trace.c checks those), and checks every block against its header on the way."""

import collections
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from format_reader import Trace, count_variance, crc32c  # noqa: E402

HERE = pathlib.Path(__file__).parent
GOLDEN = (HERE / "trace_v1.heapline").read_bytes()


def test_checksum():
    assert crc32c(b"123456789") == 0xE3069283


def test_golden_trace():
    trace = Trace(GOLDEN)
    assert trace.identity["session"] == 0x1122334455667788 and trace.identity["pid"] == 4242
    assert trace.end == {"reason": 2, "status": 9, "time": 9000000}
    assert [definition[0] for definition in trace.definitions] == [4, 4, 2, 0, 0, 1, 1, 1, 1, 3, 3, 3]
    assert trace.definitions[3] == (0, 1, 7, 0x030B, b"example.py", b"Reader.read", b"\x80\x00\x01\x04\xd8")
    assert trace.definitions[7] == (1, 3, 2, 1, 1, 0xFFFFFFFFFFFFFF00)
    counts = collections.Counter(event[0] for event in trace.events)
    rounds = sum(1 + number % 37 for number in range(2300))
    assert counts == {"allocate": rounds + 10, "free": rounds + 3, "copy": 23, "time": 24, "thread": 24, "rss": 1, "undo_free": 1,
                      "shrink": 1, "lost": 1, "small_copies": 1, "unknown_frees": 1}
    # Of the ten others five are arenas: those with flags 4 to 7, and the mapping.
    assert trace.totals["allocations"] == rounds + 10 - 5
    assert trace.totals["copies"] == 1023


@pytest.mark.parametrize("name", ["trace_v1_far", "trace_v2_far"])
def test_far_deallocations(name):
    trace = Trace((HERE / f"{name}.heapline").read_bytes())
    assert collections.Counter(event[0] for event in trace.events[:400_000]) == {"allocate": 200_000, "free": 200_000}


def test_tallies():
    trace = Trace((HERE / "trace_v2_tally.heapline").read_bytes())
    first, second, last = trace.tallies
    assert [tally["events"] for tally in trace.tallies] == [202, 1, 1]
    assert [tally["end"] for tally in trace.tallies] == [5000000, 6000000, 7000000]
    assert first["stacks"] == {1: {"allocated_bytes": sum(range(10, 110)), "allocations": 100, "temporary": 100},
                               4: {"allocated_bytes": 1 << 55, "allocations": 1, "temporary": 1, "peak_bytes": 1 << 55, "peak": 1}}
    assert second["stacks"] == {5: {"copied_bytes": 5000, "copies": 1}}
    birth = 2 * (6000000 >> 20 << 20) + 1
    # Stack 4 did something before: the ages of its blocks, both of which are the events'.
    assert last["stacks"] == {4: {"oldest": 2 * 3, "newest": 2 * 8},
                              5: {"live_bytes": 321, "live": 1, "allocated_bytes": 321, "allocations": 1, "oldest": birth, "newest": birth}}
    assert trace.totals["peak_time"] == 2000000 + 1000 * 2200 and trace.totals["lost"] == 13 and trace.totals["peak_rss"] == 223456789


def test_samples():
    data = (HERE / "trace_v4_sampled.heapline").read_bytes()
    trace = Trace(data)
    assert data[8] == 4 and trace.identity["flags"] & 16
    at = [i for i, event in enumerate(trace.events) if event[0] == "sampling"]
    assert [trace.events[i][1] for i in at] == [524288, 0]
    assert [event[2] for event in trace.events[at[0]:at[1]] if event[0] == "allocate"] == [*range(1000, 1010), 2000]
    assert [event[2] for event in trace.events[at[1]:] if event[0] == "allocate"] == [3000]


def test_sums_of_samples():
    """Version 5 says how far counts may be from the truth, stack by stack; version 4 doesn't. All else is the same."""
    old, new = (Trace((HERE / f"trace_v{version}_rotated.heapline").read_bytes()) for version in (4, 5))
    assert not old.knows_errors and new.knows_errors and old.tallies and new.totals == old.totals
    variances = ("live_variance", "variance", "peak_variance", "largest_block", "copies_variance", "largest_copy")
    plain = [{stack: {name: value for name, value in row.items() if name not in variances} for stack, row in tally["stacks"].items()}
             for tally in new.tallies]
    # Its sums take more room, so that more has become sums.
    assert plain[:len(old.tallies)] == [tally["stacks"] for tally in old.tallies]
    # Stack 1 has blocks of 24 bytes, of which each stands for 171.2 or 2731.2, and of 5000 and 200000.
    largest = max(row.get("largest_block", 0) for tally in new.tallies for row in [tally["stacks"].get(1, {})])
    assert largest == count_variance(24, 65548) == 7456540
    assert any(row.get("copies_variance") for tally in new.tallies for row in tally["stacks"].values())


@pytest.mark.parametrize("at", [0, 9, 50, 96, 130, 240, 3000, -1])
def test_a_flip_is_noticed(at):
    damaged = bytearray(GOLDEN)
    damaged[at] ^= 1
    with pytest.raises(AssertionError):
        Trace(bytes(damaged))
