"""heapline export: every format holds the figures that hand_database.py put in, and the stacks they are of."""

import csv
import io
import json

import pytest

from command import HEAPLINE, ON_DATABASE, document, run
from hand_database import FRAMES, MEASURES, STACKS, USES, total

COSTS = {"peak": "peak_bytes", "live": "live_bytes", "allocated": "allocated_bytes", "temporary": "temporary_allocations",
         "copied": "copied_bytes"}


def uses(measure):
    """By stack, where there are any."""
    amounts = {stack: figures[MEASURES.index(measure)] for stack, figures in USES.items()}
    return {stack: amount for stack, amount in amounts.items() if amount}


def frames_of(stack):
    """Frame ids, root first."""
    caller, frame, _, _ = STACKS[stack]
    return ([] if caller in (None, 0) else frames_of(caller)) + ([frame] if frame else [])


def written(path, *arguments):
    result = run(ON_DATABASE, "export", path, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def text_of(frame):
    kind, function, file, line, module, origin = FRAMES[frame]
    place = f"{file.rsplit('/', 1)[-1]}:{line}" if file else module and module.rsplit("/", 1)[-1]
    return f"{function} ({place})" if place else function


@pytest.mark.parametrize("cost", COSTS)
def test_folded(hand, cost):
    lines = written(hand, "--format", "folded", "--cost", cost, "--all-frames").splitlines()
    found = {tuple(line.rsplit(" ", 1)[0].split(";")): int(line.rsplit(" ", 1)[1]) for line in lines}
    assert len(found) == len(lines)
    assert found == {tuple(map(text_of, frames_of(stack))): amount for stack, amount in uses(COSTS[cost]).items()}


def test_folded_peak_is_the_default(hand):
    assert written(hand, "-f", "folded") == written(hand, "-f", "folded", "-c", "peak")


def test_speedscope(hand):
    exported = json.loads(written(hand, "--format", "speedscope", "--all-frames"))
    assert exported["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    shared = exported["shared"]["frames"]
    assert [profile["name"] for profile in exported["profiles"]] == ["live at the peak", "live at the end", "allocated",
                                                                     "temporary allocations", "copied"]
    for profile, measure in zip(exported["profiles"], COSTS.values()):
        found = {tuple(shared[frame]["name"] for frame in sample): weight for sample, weight in zip(profile["samples"], profile["weights"])}
        assert found == {tuple(FRAMES[frame][1] for frame in frames_of(stack)): amount for stack, amount in uses(measure).items()}
        assert (profile["type"], profile["startValue"], profile["endValue"]) == ("sampled", 0, sum(profile["weights"]))
        assert profile["endValue"] == total(measure)
        assert profile["unit"] == ("bytes" if measure.endswith("bytes") else "none")
    decoder = next(frame for frame in shared if frame["name"] == "JSONDecoder.raw_decode")
    assert (decoder["file"], decoder["line"]) == ("/usr/lib/python3.11/json/decoder.py", 353)


def test_csv(hand):
    rows = list(csv.DictReader(io.StringIO(written(hand, "--format", "csv"), newline="")))
    lines = document(ON_DATABASE, "lines", hand)["lines"]
    assert len(rows) == len(lines)
    for row, line in zip(sorted(rows, key=lambda row: (row["file"], row["function"])),
                         sorted(lines, key=lambda line: (line["file"] or "", line["function"]))):
        assert (row["kind"], row["file"], row["line"], row["function"]) == (line["kind"], line["file"] or "", str(line["line"] or ""),
                                                                             line["function"])
        assert {measure: int(row[measure]) for measure in MEASURES} == {measure: line[measure] for measure in MEASURES}


def test_json(hand):
    exported = json.loads(written(hand, "--format", "json"))
    assert exported == document(ON_DATABASE, "export", hand)
    assert (exported["schema"], exported["command"]) == (1, "export")
    found = {tuple(frame["function"] for frame in reversed(stack["frames"])): tuple(stack[measure] for measure in MEASURES)
             for stack in exported["stacks"]}
    assert found == {tuple(FRAMES[frame][1] for frame in frames_of(stack)): figures[:len(MEASURES)] for stack, figures in USES.items()}
    assert sum(line["peak_bytes"] for line in exported["lines"]) == total("peak_bytes")


def test_file(hand, tmp_path):
    assert written(hand, "--format", "csv", "-o", tmp_path / "lines.csv") == ""
    with open(tmp_path / "lines.csv") as file: # with the newlines of what `run` reads
        assert file.read() == written(hand, "--format", "csv")


@pytest.mark.parametrize("arguments, message", [
    ((), "which --format?"),
    (("--format", "pdf"), "--format is html, folded, flamegraph, speedscope, pprof, parquet, memory_profiler, openmetrics, csv or json, not 'pdf'"),
    (("--format", "folded", "--cost", "time"), "--cost is peak, live, allocated, temporary or copied, not 'time'"),
])
def test_wrong_usage(hand, arguments, message):
    result = run(ON_DATABASE, "export", hand, *arguments)
    assert (result.returncode, result.stdout) == (2, "") and message in result.stderr


def test_full_disk(hand):
    result = run(ON_DATABASE, "export", hand, "--format", "json", "-o", "/dev/full")
    assert result.returncode == 4 and "cannot write /dev/full: No space left on device" in result.stderr


def test_native_symbols(tmp_path):
    """What `run --native` recorded is exported by its names."""
    source, program, trace = tmp_path / "keep.c", tmp_path / "keep", tmp_path / "keep.heapline"
    source.write_text("#include <stdlib.h>\nstatic void *volatile kept;\n__attribute__((noinline)) static void keep(void)\n{\n"
                      "    kept = malloc(123456);\n    __asm__(\"\");\n}\nint main(void)\n{\n    keep();\n    return 0;\n}\n")
    assert run("cc", "-g", "-O1", "-o", program, source).returncode == 0
    assert run(HEAPLINE, "run", "--quiet", "--native", "-o", trace, program).returncode == 0
    result = run(HEAPLINE, "export", "-f", "folded", trace)
    stack = next(line for line in result.stdout.splitlines() if line.endswith(" 123456"))
    assert stack.endswith("main (keep.c:10);keep (keep.c:5) 123456")
