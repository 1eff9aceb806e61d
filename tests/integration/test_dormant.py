"""A program that begins paused calls past us: its slots lead to the C library until it is recorded, and again when it no longer is."""

import os
import shutil
import subprocess

import pytest

from interpreters import some_interpreters
from marks import check_marks
from phases import Phases
from recording import HEAPLINE, SOURCES, Recording, clean_environment, completed, heapline, read_facts, target
from test_other_allocators import LIBRARIES, library

KINDS = ["slots_lazy", "slots_now", "slots_no_plt", "slots_fixed"]
SLOTS = SOURCES / "slots.c"
PAST = {"malloc": "libc", "free": "libc", "memcpy": "libc", "munmap": "libc", "dlsym": "ours", "pointer": "ours"}
TO_HOOKS = {**PAST, "malloc": "jump", "free": "jump", "memcpy": "jump", "munmap": "jump"}


class Slots:
    """Says where its calls lead, whenever it is told to go on."""

    def __init__(self, tmp_path, name, *arguments, options=("--paused",), environment=None):
        self.trace, self.facts_path = tmp_path / "t.heapline", tmp_path / "facts"
        self.process = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", self.trace, *options, "--", target(name), *arguments],
                                        env=clean_environment(HEAPLINE_TEST_FACTS=self.facts_path, **(environment or {})),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.says = self.read()

    def read(self):
        words = dict(word.split("=") for word in self.process.stdout.readline().decode().split())
        self.pid = int(words.pop("pid"))
        return words

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        self.says = self.read()
        return self.says

    def ask(self, verb):
        result = heapline(verb, self.pid)
        assert result.returncode == 0, result.stderr

    def finish(self):
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return Recording(self.trace, self.process, read_facts(self.facts_path))


def go_through(program, past=PAST, to_hooks=TO_HOOKS):
    assert program.says == past
    program.ask("start")
    assert program.go_on() == to_hooks
    program.ask("stop")
    assert program.go_on() == past


@pytest.mark.parametrize("kind", KINDS)
def test_calls_lead_past_us(tmp_path, kind):
    program = Slots(tmp_path, kind)
    go_through(program)
    run = program.finish()
    check_marks(run.lines, SLOTS, groups=["first"])
    assert run.report["unknown_frees"] == 0 and run.report["lost_events"] == 0
    run.check_sums()


@pytest.mark.parametrize("options", [["--native"], ["--no-copies"]], ids=["native", "no-copies"])
def test_options(tmp_path, options):
    program = Slots(tmp_path, "slots_lazy", options=["--paused", *options])
    go_through(program)
    run = program.finish()
    check_marks(run.lines, SLOTS, groups=["first"], only=["first/direct", "first/left", "first/pointer", "direct", "left", "pointer"])
    assert run.report["copied_bytes"] == (5000 if options == ["--native"] else 0)


def test_started_twice(tmp_path):
    program = Slots(tmp_path, "slots_now")
    go_through(program)
    go_through(program)
    run = program.finish()
    # What was live at the stop is forgotten.
    left = [row for row in run.lines if row["function"] == "allocate" and row["allocated_bytes"] == 600]
    assert [(row["allocations"], row["live_bytes"]) for row in left] == [(2, 300)]


def test_not_begun_paused(tmp_path):
    program = Slots(tmp_path, "slots_now", options=())
    hooked = {name: "ours" for name in PAST}
    assert program.says == hooked
    program.ask("stop")
    assert program.go_on() == hooked
    program.finish()


@pytest.mark.parametrize("name", LIBRARIES)
def test_with_another_allocator(tmp_path, name):
    program = Slots(tmp_path, "slots_lazy", environment={"LD_PRELOAD": library(name)})
    own = {"malloc": "other", "free": "other", **({"munmap": "other"} if name == "tcmalloc" else {})}
    go_through(program, {**PAST, **own})
    check_marks(program.finish().lines, SLOTS, groups=["first"])


def test_child(tmp_path):
    program = Slots(tmp_path, "slots_lazy", "fork")
    assert program.pid != read_facts(program.facts_path)["parent"]
    go_through(program)
    assert program.finish().report["events"] == 0
    child = completed(tmp_path / f"t.heapline.{program.pid}")
    check_marks(child.lines, SLOTS, groups=["first"])
    child.check_sums()


def test_parent_and_child_are_led_apart(tmp_path):
    program = Slots(tmp_path, "slots_now", "fork")
    result = heapline("start", read_facts(program.facts_path)["parent"])
    assert result.returncode == 0, result.stderr
    assert program.go_on() == PAST
    program.finish()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the root directory")
def test_child_whose_memory_cannot_be_reached(tmp_path):
    program = Slots(tmp_path, "slots_now", "chroot")
    assert program.says == TO_HOOKS
    program.ask("start")
    assert program.go_on() == TO_HOOKS
    program.ask("stop")
    assert program.go_on() == TO_HOOKS
    program.finish()
    report = completed(tmp_path / f"t.heapline.{program.pid}").report
    assert (report["allocated_bytes"], report["allocations"], report["copied_bytes"]) == (10 * 1000 + 300 + 70 + 8192, 13, 5000)


def test_own_malloc_stays(tmp_path):
    result = heapline("run", "--quiet", "--paused", "-o", tmp_path / "t.heapline", "--", target("own_malloc"))
    assert (result.returncode, result.stdout) == (19, b"own malloc: done\n")


@pytest.mark.parametrize("way", ["strict", "filter"])
def test_confined(record, way):
    run = record(target("confined"), way, 1000, options=["--paused"])
    assert (run.returncode, run.stdout) == (15, b"confined: done\n"), run.stderr


def test_cxx(tmp_path):
    program = Phases(tmp_path, target("phases_cxx"))
    program.ask("start")
    program.go_on()
    run = program.finish()
    check_marks(run.lines, SOURCES / "phases_cxx.cpp")
    # The string of phase 1 with its characters; and the rest of phase 1's.
    assert run.report["unknown_frees"] == 2 * 100 + 1
    assert run.report["lost_events"] == 0
    run.check_sums()


def test_threads_that_allocate_meanwhile(tmp_path):
    program = Phases(tmp_path, target("busy_threads"))
    for _ in range(20):
        program.ask("start")
        program.ask("stop")
    program.ask("start")
    program.go_on()
    run = program.finish()
    check_marks(run.lines, SOURCES / "busy_threads.c")
    assert run.report["lost_events"] == 0 and len(run.report["recorded"]) == 21
    # Of what the threads exchange, and main frees in the end, nothing is left but what marks say: no deallocation went unseen.
    left = [row for row in run.lines if row["live_bytes"] and row["function"] != "known"]
    assert not left, left
    run.check_sums()


@some_interpreters
def test_python_modules(tmp_path, python):
    (plugin,) = (target("phases").parent / "plugins").glob("libheapline_test_plugin.so")
    late = shutil.copy(plugin, tmp_path / "libheapline_test_late.so")
    script = SOURCES / "python" / "phases_modules.py"
    program = Phases(tmp_path, python.path, script, plugin, late)
    program.ask("start")
    program.go_on()
    program.ask("stop")
    run = program.finish()
    if not python.free_threaded:
        check_marks(run.lines, script)
    live = {row["function"]: row["live_bytes"] for row in run.lines if row["function"].startswith("through_")}
    assert {name: size >> 20 for name, size in live.items()} == {
        "through_early_plugin": 3, "through_late_plugin": 5, "through_early_pointer": 7, "through_late_pointer": 9}
    run.check_sums()
