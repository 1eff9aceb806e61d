"""heapline leaks --all-processes: a server's worker processes leak, and their parent doesn't."""

import json
import os
import sys

import pytest

from recording import Trace, heapline

COUNT, SIZE = 300, 10_000
PROGRAM = f"""
import os, time
def work(kept):
    for i in range({COUNT}):
        block = bytearray({SIZE})
        kept[i] = block
        time.sleep(0.007)  # windows of time that are long beside a busy machine's turns
def once(kept):
    return [bytearray({SIZE}) for _ in range(10)]
workers, kept = [], [None] * {COUNT}
for number in range(3):
    pid = os.fork()
    if pid == 0:
        once(kept) if number == 2 else work(kept)
        os._exit(0)
    workers.append(pid)
print(*workers, flush=True)
for pid in workers:
    assert os.waitpid(pid, 0)[1] == 0
os._exit(0)
"""
LINE = next(number for number, text in enumerate(PROGRAM.splitlines(), 1) if "block = " in text)
BYTES = COUNT * sys.getsizeof(bytearray(SIZE))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The trace, and the process ids of its workers: two that leak, one that doesn't."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "server.py").write_text(PROGRAM)
    path = folder / "t.heapline"
    result = heapline("run", "--quiet", "-o", path, "--", "/usr/bin/python3", folder / "server.py")
    assert result.returncode == 0, result.stderr
    workers = [int(word) for word in result.stdout.split()]
    for pid in workers:
        assert Trace(f"{path}.{pid}").report["complete"] is True
    return path, workers


def leaks(path, *arguments, status=0):
    result = heapline("leaks", "--all-processes", *arguments, path)
    assert result.returncode == status, result.stderr
    return result.stdout.decode()


def test_lines_of_several_processes(run):
    path, workers = run
    document = json.loads(leaks(path, "--json"))
    assert document["command"] == "leaks" and document["processes"] == 4 and document["processes_growing"] == 2
    (place,) = [row for row in document["candidates"] if row["line"] == LINE]
    assert place["function"] == "work" and os.path.basename(place["file"]) == "server.py"
    assert place["live_bytes"] == 2 * BYTES and place["live_allocations"] == 2 * 2 * COUNT and place["confidence"] >= 0.5
    shares = {share["pid"]: share for share in place["processes"]}
    assert set(shares) == set(workers[:2])
    for pid, share in shares.items():
        (alone,) = [row for row in Trace(f"{path}.{pid}").json("leaks")["candidates"] if row["line"] == LINE]
        assert share == {"pid": pid, "trace": f"{path}.{pid}",
                         **{name: alone[name] for name in ("live_bytes", "live_allocations", "growth_bytes_per_second", "confidence")}}
        assert share["live_bytes"] == BYTES


def test_screen(run):
    path, workers = run
    shown = leaks(path)
    assert shown.startswith("4 processes, ") and "; in 2 of them lines kept growing, by " in shown
    (row,) = [line for line in shown.splitlines() if f"server.py:{LINE} " in line]
    words = row.split()
    assert words[1] == "work" and words[-3] == "2:" and {int(word) for word in words[-2:]} == set(workers[:2])
    assert f"heapline leaks --all-processes {path}" in " ".join(heapline("report", path).stdout.decode().split())


def test_any_process_of_the_run(run):
    """From a worker's trace on it is the same run; alone it is that worker."""
    path, workers = run
    assert json.loads(leaks(f"{path}.{workers[2]}", "--json"))["processes_growing"] == 2
    assert Trace(f"{path}.{workers[2]}").json("leaks")["growing"] == 0


@pytest.mark.parametrize("condition, status", [("0.5", 1), ("candidates=1", 0), ("candidates=0", 1), (f"live={2 * BYTES - 1}", 1)])
def test_thresholds(run, condition, status):
    leaks(run[0], "--fail-on", condition, status=status)


def test_suppressed_in_all(run, tmp_path):
    known = tmp_path / "known.supp"
    known.write_text("leak:work\n")
    document = json.loads(leaks(run[0], "--json", "--suppressions", known))
    assert document["processes_growing"] == 0 and document["candidates"] == []
    assert document["suppressed"]["live_bytes"] >= 2 * BYTES


def test_one_that_cannot_be_read(run):
    """Is named, and left out."""
    path, workers = run
    other = path.with_name(f"{path.name}.{workers[0]}")
    kept = other.read_bytes()
    try:
        other.write_bytes(kept[:200] + b"\0" * 400)
        result = heapline("leaks", "--all-processes", "--json", path)
    finally:
        other.write_bytes(kept)
    document = json.loads(result.stdout)
    assert result.returncode == 0 and document["processes_growing"] == 1


IDLE = f"""
import os, time
kept, began = [None] * {COUNT}, time.monotonic()
def serve(i):
    kept[i] = bytearray({SIZE})
for i in range({COUNT}):
    serve(i)
    time.sleep(0.007)
time.sleep(0.6 * (time.monotonic() - began))
os._exit(0)
"""


def test_requests_that_cease(tmp_path):
    """A service that leaks, under load first and idle then: the line comes first, as one that grew until then."""
    (tmp_path / "idle.py").write_text(IDLE)
    assert heapline("run", "--quiet", "-o", tmp_path / "t.heapline", "--", "/usr/bin/python3", tmp_path / "idle.py").returncode == 0
    document = Trace(tmp_path / "t.heapline").json("leaks")
    first = document["candidates"][0]
    assert (first["function"], first["shape"], document["growing"]) == ("serve", "grew until the program was idle", 0)
    assert first["live_bytes"] == BYTES and first["live_allocations"] == 2 * COUNT
    duration = Trace(tmp_path / "t.heapline").report["duration_ns"]
    assert duration / 2 < document["idle_ns"] < duration * 0.8
