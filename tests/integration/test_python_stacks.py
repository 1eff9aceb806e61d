"""Every allocation of a Python program carries the stack it was made from: each interpreter, each way to run Python code.

The library's stack half runs on its own here (tests/tools/stack_probe.c), and compares every stack it predicts with a full walk.
HEAPLINE_TEST_PYTHONS: more interpreters to test, separated by colons.
"""

import json
import os
import subprocess

import pytest
from interpreters import INTERPRETERS, package_folder
from recording import BUILD, SOURCES, TIMEOUT, clean_environment
from stack_dump import CUT, EVENT_ALLOCATE, EVENT_ALLOCATE_OBJECT, Dump

PROBE = BUILD / "tests" / "tools" / "libstack_probe.so"
SHAPES = SOURCES / "python" / "stack_shapes.py"
TEXT_BYTES = 4096
PYTHONS = [*(python.path for python in INTERPRETERS if not python.free_threaded),
           *filter(None, os.environ.get("HEAPLINE_TEST_PYTHONS", "").split(":"))]
every_python = pytest.mark.parametrize("python", PYTHONS)
SCENARIOS = ["calls", "generators", "coroutines", "short_lived_code", "dying_code", "long_code", "odd_names", "garbage", "weak_references",
             "tracing", "threads", "from_native_code", "native_allocations", "tracemalloc_on_and_off"]

pytestmark = pytest.mark.skipif(not PROBE.exists(), reason="stack_probe was not built")


def run(prefix, *command, **environment):
    settings = clean_environment(LD_PRELOAD=PROBE, STACK_PROBE_OUTPUT=prefix, PYTHONDONTWRITEBYTECODE=1, **environment)
    result = subprocess.run([str(word) for word in command], env=settings, capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 0, result.stderr
    return Dump(prefix)


def check_facts(dump):
    facts = dump.facts
    assert facts["checks"] > 10000
    assert facts["differences"] == 0
    assert facts["lost_definitions"] == 0
    assert facts["python_flags"] == 0


def as_recorded(text):
    """Lone surrogates as backslashreplace writes them; cut between two characters."""
    whole = text.encode(errors="backslashreplace")
    return whole[:TEXT_BYTES].decode(errors="ignore")


def check_stacks(dump, expected_file):
    """Each expected allocation was recorded once, with exactly its stack."""
    expected = json.loads(expected_file.read_text())
    recorded = {}
    for opcode, size, stack in dump.allocations():
        recorded.setdefault((opcode, size), []).append(stack)
    assert len(expected) > 0
    for size, stack in expected:
        wanted = [(as_recorded(function), as_recorded(file), line) for function, file, line in stack]
        opcode = EVENT_ALLOCATE if wanted[0][0] == "native_probe" else EVENT_ALLOCATE_OBJECT
        found = [dump.stack(node) for node in recorded.get((opcode, size), [])]
        found = [frames for frames in found if frames[0][:2] == wanted[0][:2]]
        assert found == [wanted], f"size {size}"
    return len(expected)


@every_python
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_stacks(python, scenario, tmp_path):
    dump = run(tmp_path / "dump", python, SHAPES, tmp_path / "expected", scenario)
    check_stacks(dump, tmp_path / "expected")
    check_facts(dump)


@every_python
def test_all_in_one_process(python, tmp_path):
    dump = run(tmp_path / "dump", python, SHAPES, tmp_path / "expected", *SCENARIOS, *reversed(SCENARIOS))
    assert check_stacks(dump, tmp_path / "expected") > 2000
    check_facts(dump)


@pytest.mark.parametrize("python", [python for python in INTERPRETERS if not python.free_threaded], ids=lambda python: python.id)
def test_greenlets(python, tmp_path):
    folder = package_folder(python, "greenlet")
    dump = run(tmp_path / "dump", python.path, SHAPES, tmp_path / "expected", "greenlets", "calls", "greenlets", PYTHONPATH=folder)
    check_stacks(dump, tmp_path / "expected")
    check_facts(dump)


@every_python
def test_fork(python, tmp_path):
    dump = run(tmp_path / "dump", python, SHAPES, tmp_path / "expected", "forks")
    check_stacks(dump, tmp_path / "expected")
    check_facts(dump)


@every_python
def test_sub_interpreters(python, tmp_path):
    dump = run(tmp_path / "dump", python, SHAPES, tmp_path / "expected", "sub_interpreters")
    expected = sorted(tmp_path.glob("expected*"))
    assert len(expected) in (3, 5)
    for one in expected:
        check_stacks(dump, one)
    check_facts(dump)


def doubles(dump, sizes):
    """Native allocations by probe() that look as if they served one of its objects."""
    served = {size + extra for size in sizes for extra in range(65)}
    return [size for opcode, size, stack in dump.allocations()
            if opcode == EVENT_ALLOCATE and size in served and dump.stack(stack)[0][0] == "probe"]


ALLOCATORS = {
    "malloc": {"PYTHONMALLOC": "malloc"},
    "debug": {"PYTHONMALLOC": "debug"},
    "malloc_debug": {"PYTHONMALLOC": "malloc_debug"},
    "pymalloc_debug": {"PYTHONMALLOC": "pymalloc_debug"},
    "development": {"PYTHONDEVMODE": "1"},
    "tracemalloc": {"PYTHONTRACEMALLOC": "5"},
    "development and tracemalloc": {"PYTHONDEVMODE": "1", "PYTHONTRACEMALLOC": "2"},
}


@every_python
@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_other_allocators(python, allocator, tmp_path):
    """The hooks survive, see what the program asked for, and the malloc below them does not count again."""
    dump = run(tmp_path / "dump", python, SHAPES, tmp_path / "expected", "calls", "generators", "short_lived_code", **ALLOCATORS[allocator])
    check_stacks(dump, tmp_path / "expected")
    check_facts(dump)
    if "tracemalloc" not in allocator:  # which has tables of its own to allocate
        assert not doubles(dump, {size for size, _ in json.loads((tmp_path / "expected").read_text())})
    assert sum(opcode == EVENT_ALLOCATE_OBJECT for opcode, _, _ in dump.allocations()) > 10000
