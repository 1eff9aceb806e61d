"""Cut, flipped and random traces: status 3 with a message that names an offset, or a shorter, truthful report. Never a crash, a hang or
memory without bound."""

import json
import random
import resource
import shutil
import subprocess

import pytest

from recording import HEAPLINE, Trace, clean_environment, heapline, target

MEMORY = 1 << 30
SECONDS = 20


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "t.heapline"
    result = heapline("run", "--quiet", "-o", path, "--", target("many_events"), 300000)
    assert result.returncode == 13
    return path


def read_damaged(path, command="report"):
    """The document, or None where the file could not be read, which must have been said with status 3."""
    def bound():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    result = subprocess.run([HEAPLINE, command, "--json", path], capture_output=True, timeout=SECONDS, preexec_fn=bound,
                            stdin=subprocess.DEVNULL, env=clean_environment(XDG_CACHE_HOME=path.parent / "cache"))
    assert result.returncode in (0, 3), (result.returncode, result.stderr)
    if result.returncode == 3:
        assert result.stdout == b"" and str(path).encode() in result.stderr
        return None
    return json.loads(result.stdout)


def write(folder, data):
    """A file of its own name each time, so that nothing cached can answer for it."""
    path = folder / f"damaged{random.randrange(1 << 40)}.heapline"
    path.write_bytes(data)
    return path


def check_shorter(report, true):
    """A report of a prefix: never more than the truth, and incomplete when less."""
    for field in ("allocations", "allocated_bytes", "peak_bytes", "copied_bytes", "duration_ns"):
        assert 0 <= report[field] <= true[field], field
    if report["allocations"] < true["allocations"]:
        assert report["complete"] is False


def offsets(size, count, seed):
    chosen = random.Random(seed)
    return sorted({0, 1, 7, 8, 9, 63, 64, 65, size - 1, size - 8, size - 64, *(chosen.randrange(size) for _ in range(count))})


def test_cut_anywhere(whole, tmp_path):
    data, true = whole.read_bytes(), Trace(whole).report
    last = -1
    for offset in offsets(len(data), 40, 1):
        report = read_damaged(write(tmp_path, data[:offset]))
        if report is not None:
            check_shorter(report, true)
            # The longer the file, the longer the report.
            assert report["allocations"] >= last
            last = report["allocations"]
            assert report["complete"] is False
    assert last > 0


def test_cut_reports_add_up(whole, tmp_path):
    data = whole.read_bytes()
    for share in (0.3, 0.6, 0.95):
        path = write(tmp_path, data[:int(len(data) * share)])
        Trace(path).check_sums()


def test_every_byte_of_the_beginning_and_the_end(whole, tmp_path):
    data, true = whole.read_bytes(), Trace(whole).report
    for offset in [*range(0, 160, 3), *range(len(data) - 120, len(data), 5)]:
        broken = bytearray(data)
        broken[offset] ^= 0xff
        report = read_damaged(write(tmp_path, bytes(broken)))
        if report is not None:
            check_shorter(report, true)


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_flipped_bits(whole, tmp_path, bit):
    """A checksum covers every byte: a flip is seen, and the report ends before it."""
    data, true = whole.read_bytes(), Trace(whole).report
    for offset in offsets(len(data), 20, bit + 2):
        broken = bytearray(data)
        broken[offset] ^= 1 << bit
        report = read_damaged(write(tmp_path, bytes(broken)))
        if report is not None:
            check_shorter(report, true)
            assert report["complete"] is False, f"a flipped bit {bit} at {offset} of {len(data)} went unnoticed"


def test_damage_names_its_offset(whole, tmp_path):
    data = whole.read_bytes()
    broken = bytearray(data)
    broken[len(data) // 2] ^= 0x10
    path = write(tmp_path, bytes(broken))
    result = heapline("report", path)
    said = (result.stdout + result.stderr).decode()
    assert result.returncode in (0, 3)
    numbers = [int(word) for word in "".join(c if c.isdigit() else " " for c in said.replace(",", "")).split()]
    assert any(len(data) // 4 <= number <= len(data) // 2 + 1 for number in numbers), said


def test_random_bytes(whole, tmp_path):
    data = whole.read_bytes()
    chosen = random.Random(99)
    for size in (1, 8, 100, 5000, 200000):
        assert read_damaged(write(tmp_path, chosen.randbytes(size))) is None
    # Behind a good header, too.
    for size in (100, 5000):
        read_damaged(write(tmp_path, data[:64] + chosen.randbytes(size)))
        read_damaged(write(tmp_path, data[:4096] + chosen.randbytes(size)))


def test_doubled_swapped_and_missing_parts(whole, tmp_path):
    data, true = whole.read_bytes(), Trace(whole).report
    third = len(data) // 3
    for broken in (data + data, data + bytes(1000), data[:third] + data[2 * third:], data[:third] + data[2 * third:] + data[third:2 * third],
                   data[:third] + bytes(third) + data[2 * third:]):
        report = read_damaged(write(tmp_path, broken))
        if report is not None:
            check_shorter(report, true)


@pytest.mark.parametrize("command", ["lines", "peak", "copies", "leaks", "timeline"])
def test_every_report_of_a_damaged_trace(whole, tmp_path, command):
    data = whole.read_bytes()
    for share in (0.1, 0.5, 0.9):
        broken = bytearray(data)
        broken[int(len(data) * share)] ^= 4
        read_damaged(write(tmp_path, bytes(broken)), command)


def test_dump_of_a_damaged_trace(whole, tmp_path):
    data = bytearray(whole.read_bytes())
    data[len(data) // 2] ^= 4
    result = heapline("dump", write(tmp_path, bytes(data)), timeout=60)
    assert result.returncode in (0, 3) and result.stderr


def test_damaged_database(whole, tmp_path):
    """A cached database that is damaged is built again, not believed."""
    trace = tmp_path / "t.heapline"
    shutil.copy(whole, trace)
    first = heapline("report", "--json", trace)
    assert first.returncode == 0
    others = [path for path in tmp_path.iterdir() if path != trace]
    assert others, "no database was left beside the trace"
    for path in others:
        for content in (b"", b"garbage" * 1000, path.read_bytes()[:5000]):
            path.write_bytes(content)
            again = heapline("report", "--json", trace)
            assert again.returncode == 0 and again.stdout == first.stdout


def test_trace_that_grows_is_read_again(whole, tmp_path):
    data = whole.read_bytes()
    trace = tmp_path / "t.heapline"
    trace.write_bytes(data[:len(data) // 2])
    half = Trace(trace).report["allocations"]
    trace.write_bytes(data)
    assert Trace(trace).report["allocations"] == Trace(whole).report["allocations"] > half
