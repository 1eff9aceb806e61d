"""heapline export --format pprof: read with the real profile.proto and opened with the real pprof tool."""

import gzip
import json
import subprocess

import pytest

import hand_database
from command import HEAPLINE, ON_DATABASE, environment, run
from export_tools import pprof_program, profile_class
from hand_database import FRAMES, MEASURES, STACKS, USES, total

TYPES = [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")]


def export(trace, folder, *arguments, program=ON_DATABASE):
    path = folder / "profile.pb.gz"
    result = run(program, "export", "--format", "pprof", "-o", path, *arguments, trace)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return path


def parse(path):
    profile = profile_class()()
    profile.ParseFromString(gzip.decompress(path.read_bytes()))
    return profile


class Profile:
    """A parsed profile with its references followed."""

    def __init__(self, path):
        self.raw = raw = parse(path)
        self.strings = raw.string_table
        self.functions = {function.id: function for function in raw.function}
        self.locations = {location.id: location for location in raw.location}
        self.mappings = {mapping.id: mapping for mapping in raw.mapping}
        assert self.strings[0] == "" and len(set(self.strings)) == len(self.strings)
        assert 0 not in self.functions and 0 not in self.locations and 0 not in self.mappings

    def frame(self, location_id):
        line, = self.locations[location_id].line
        function = self.functions[line.function_id]
        return self.strings[function.name], self.strings[function.filename], line.line

    def samples(self):
        return {tuple(map(self.frame, sample.location_id)): tuple(sample.value) for sample in self.raw.sample}

    def labels(self, sample):
        return {self.strings[label.key]: self.strings[label.str] or label.num for label in sample.label}

    def comments(self):
        return [self.strings[number] for number in self.raw.comment]


def frames_of(stack):
    """Innermost first, as the proto wants it."""
    caller, frame, _, _ = STACKS[stack]
    _, function, file, line, _, _ = FRAMES[frame]
    return ((function, file or "", line or 0), *(frames_of(caller) if caller else ()))


def expected_samples(moment):
    columns = [MEASURES.index(name) for name in ("allocations", "allocated_bytes", f"{moment}_allocations", f"{moment}_bytes")]
    figures = {frames_of(stack): tuple(use[column] for column in columns) for stack, use in USES.items()}
    return {frames: values for frames, values in figures.items() if any(values)}


@pytest.mark.parametrize("moment", ["peak", "live"])
def test_samples(hand, tmp_path, moment):
    profile = Profile(export(hand, tmp_path, "--cost", moment, "--all-frames"))
    raw = profile.raw
    assert [(profile.strings[kind.type], profile.strings[kind.unit]) for kind in raw.sample_type] == TYPES
    assert profile.samples() == expected_samples(moment) and len(raw.sample) == len(expected_samples(moment))
    assert all(profile.labels(sample) == {"process": "python3.11", "pid": 4242} for sample in raw.sample)
    assert profile.strings[raw.default_sample_type] == "inuse_space"
    assert (raw.time_nanos, raw.duration_nanos, raw.period) == (1700000000 * 10**9, 10 * 10**9, 1)
    assert (profile.strings[raw.period_type.type], profile.strings[raw.period_type.unit]) == ("space", "bytes")
    assert sum(sample.value[3] for sample in raw.sample) == total(f"{moment}_bytes")
    assert profile.comments()[1:] == ["python3 batch.py --all", "in use: at the " + ("high-water mark" if moment == "peak" else "end")]


def test_the_same_bytes(hand, tmp_path):
    assert export(hand, tmp_path).read_bytes() == export(hand, tmp_path).read_bytes()


def test_what_a_reader_must_know(tmp_path):
    path = tmp_path / "sampled.heapline"
    hand_database.create(path, sampling_interval_bytes=512 << 10, complete=0, exit_kind="signal", exit_status=9)
    profile = Profile(export(path, tmp_path))
    assert profile.raw.period == 512 << 10
    killed, sampled = profile.comments()[3:]
    assert killed.startswith("the program did not end by itself (SIGKILL)") and sampled.startswith("sampled, one allocation in 512 KiB")


def test_only_two_moments(hand):
    result = run(ON_DATABASE, "export", "-f", "pprof", "-c", "copied", hand)
    assert result.returncode == 2 and "--cost says what 'in use' means in pprof: peak or live" in result.stderr


def pprof(*arguments):
    result = subprocess.run([pprof_program(), *map(str, arguments)], capture_output=True, text=True, env=environment(), timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def top(text):
    """{function: (flat, cum)} of `pprof -top -unit=b`."""
    rows = text.split("flat%", 1)[1].splitlines()[1:]
    return {fields[5]: (int(fields[0].rstrip("B")), int(fields[3].rstrip("B"))) for fields in map(lambda row: row.split(None, 5), rows)}


def test_the_tool_opens_it(hand, tmp_path):
    path = export(hand, tmp_path)
    text = pprof("-top", "-unit=b", "-nodefraction=0", path)
    assert "File: python3.11" in text and "Type: inuse_space" in text and "Duration: 10s" in text
    assert top(text)["JSONDecoder.raw_decode"] == (USES[6][0], USES[6][0])
    assert top(text)["main"] == (0, sum(USES[stack][0] for stack in (6, 7, 10)))
    allocated = top(pprof("-top", "-unit=b", "-nodefraction=0", "-sample_index=alloc_space", path))
    assert allocated["JSONDecoder.raw_decode"] == (USES[6][4], USES[6][4])
    assert "4242" in pprof("-tags", path)


SOURCE = """#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *volatile kept;
__attribute__((noinline)) static void keep(size_t size)
{
    kept = malloc(size);
    __asm__("");
}
int main(void)
{
    keep(123456);
    if (fork() == 0) {
        keep(7654321);
        _exit(0);
    }
    return wait(NULL) < 0;
}
"""


def test_native_frames_and_processes(tmp_path):
    source, program, trace = tmp_path / "keep.c", tmp_path / "keep", tmp_path / "keep.heapline"
    source.write_text(SOURCE)
    assert run("cc", "-g", "-O1", "-Wl,--build-id=0x1234abcd", "-o", program, source).returncode == 0
    assert run(HEAPLINE, "run", "--quiet", "--native", "-o", trace, program).returncode == 0
    profile = Profile(export(trace, tmp_path, program=HEAPLINE))
    first = profile.raw.mapping[0]
    assert (profile.strings[first.filename], profile.strings[first.build_id]) == (str(program), "1234abcd")
    assert first.has_functions and first.has_filenames and first.has_line_numbers
    sample, = [sample for sample in profile.raw.sample if sample.value[1] == 123456]
    assert [profile.frame(location) for location in sample.location_id][:2] == [("keep", str(source), 7), ("main", str(source), 12)]
    assert [profile.locations[location].mapping_id for location in sample.location_id][:2] == [first.id, first.id]
    assert len({profile.labels(sample)["pid"] for sample in profile.raw.sample}) == 1
    both = Profile(export(trace, tmp_path, "--processes", program=HEAPLINE))
    pids = {both.labels(sample)["pid"]: sample for sample in both.raw.sample if sample.value[1] in (123456, 7654321)}
    assert len(pids) == 2 and profile.labels(sample)["pid"] in pids
    assert both.comments() == profile.comments()


THREADS = """
import threading
kept = []
def work(size):
    kept.append(bytes(size))
def main():
    work(1_000_000)
    workers = [threading.Thread(target=work, args=(size,)) for size in (2_000_000, 3_000_000)]
    for worker in workers:
        worker.start()
        worker.join()
main()
"""


@pytest.mark.parametrize("moment", ["peak", "live"])
def test_threads(tmp_path, moment):
    """The samples of a stack add up to what the stack has, and each says on which thread."""
    (tmp_path / "threads.py").write_text(THREADS)
    trace = tmp_path / "threads.heapline"
    assert run(HEAPLINE, "run", "--quiet", "-o", trace, "--python", "/usr/bin/python3", "--", tmp_path / "threads.py").returncode == 0
    profile = Profile(export(trace, tmp_path, "--cost", moment, program=HEAPLINE))
    large = {sample.value[1] // 1_000_000: profile.labels(sample) for sample in profile.raw.sample if sample.value[1] >= 1_000_000}
    assert sorted(large) == [1, 2, 3]
    assert large[1]["tid"] == large[1]["pid"] and len({labels["tid"] for labels in large.values()}) == 3
    assert all(labels["thread"] for labels in large.values())
    stacks = json.loads(run(HEAPLINE, "export", "--format", "json", trace).stdout)["stacks"]
    for column, name in enumerate(("allocations", "allocated_bytes", f"{moment}_allocations", f"{moment}_bytes")):
        assert sum(sample.value[column] for sample in profile.raw.sample) == sum(stack[name] for stack in stacks)
    expected = {}
    for row in json.loads(run(HEAPLINE, "sql", "--json", trace, f"""SELECT allocations, allocated_bytes, {moment}_allocations, {moment}_bytes
                              FROM stack_use WHERE stack_id >= 0""").stdout)["rows"]:
        for column, name in enumerate(row):
            expected[column] = expected.get(column, 0) + row[name]
    labelled = [sample for sample in profile.raw.sample if "thread" in profile.labels(sample)]
    assert [sum(sample.value[column] for sample in labelled) for column in range(4)] == [expected[column] for column in range(4)]
