"""Every allocation of a Python program carries the stack it was made from: each interpreter, each way to run Python code.

The library's stack half runs on its own here (tests/tools/stack_probe.c), and compares every stack it predicts with a full walk.
HEAPLINE_TEST_PYTHONS: more interpreters to test, separated by colons.
"""

import json
import os
import subprocess
import sys

import pytest
from interpreters import INTERPRETERS, package_folder
from recording import BUILD, SOURCES, TIMEOUT, clean_environment
from stack_dump import CUT, EVENT_ALLOCATE, EVENT_ALLOCATE_OBJECT, Dump

PROBE = BUILD / "tests" / "tools" / "libstack_probe.so"
EMBED = BUILD / "tests" / "tools" / "embed"
SHAPES = SOURCES / "python" / "stack_shapes.py"
TEXT_BYTES = 4096
BYTES_HEADER = sys.getsizeof(b"")
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
    dump = Dump(prefix)
    dump.output = result.stdout
    dump.errors = result.stderr
    return dump


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
    assert len(expected) in (3, 5), dump.errors
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


DEEP = """
import itertools, sys, threading
def recurse(left):
    return recurse(left) if next(left) else bytes(5000)
def down(depth):
    recurse(itertools.chain(itertools.repeat(1, depth), [0]))
def main():
    down(140_000)
    down(1_000)
sys.setrecursionlimit(1_000_000)
threading.stack_size(1 << 30)
thread = threading.Thread(target=main)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("python", [python for python in INTERPRETERS if python.version >= (3, 11) and not python.free_threaded],
                         ids=lambda python: getattr(python, "id", "none"))
def test_too_deep(python, tmp_path):
    """The innermost frames are kept, and the stack says that it was cut; a stack that fits is whole again. (Before 3.11 every frame is
    an allocation, and the check of each of their stacks takes too long.)"""
    dump = run(tmp_path / "dump", python.path, "-c", DEEP, STACK_PROBE_THREAD=1)
    cut, whole = [dump.stack(stack) for opcode, size, stack in dump.allocations() if size == 5000 + BYTES_HEADER]
    assert 80_000 < len(cut) < 140_000
    assert cut[-1] == CUT
    assert set(cut[:-1]) == {("recurse", "<string>", 4)}
    assert whole[:1001] == cut[:1001]
    assert [function.split(".")[-1] for function, _, _ in whole[1001:]] == ["down", "main", "run", "_bootstrap_inner", "_bootstrap"]
    check_facts(dump)


CYCLE = """
import os, sys
cycle = int(os.environ["EMBED_CYCLE"])
os.environ["STACK_SHAPES_FIRST_SIZE"] = str(4000 + 10000 * cycle)
sys.argv = [%r, "%s.%%d" %% cycle, "calls", "generators", "short_lived_code"]
with open(sys.argv[0], encoding="utf-8") as source:
    exec(compile(source.read(), sys.argv[0], "exec"))
"""


def library_of(python):
    code = "import sysconfig; print(*map(sysconfig.get_config_var, ('LIBDIR', 'INSTSONAME')), sep='/')"
    return subprocess.run([python.path, "-c", code], capture_output=True, text=True, env=clean_environment()).stdout.strip()


@pytest.mark.parametrize("python", [python for python in INTERPRETERS if python.shared and not python.free_threaded],
                         ids=lambda python: getattr(python, "id", "none"))
@pytest.mark.parametrize("scope, allocator, cycles", [("local", "none", 3), ("global", "none", 1), ("local", "stacked", 3),
                                                      ("local", "malloc", 2), ("local", "late", 2)])
def test_embedded(python, scope, allocator, cycles, tmp_path):
    """libpython as a plug-in, started several times, with and without an allocator of the program's own."""
    home = subprocess.run([python.path, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True,
                          env=clean_environment()).stdout.strip()
    dump = run(tmp_path / "dump", EMBED, library_of(python), scope, allocator, cycles, CYCLE % (str(SHAPES), tmp_path / "expected"),
               PYTHONHOME=home)
    for cycle in range(cycles):
        check_stacks(dump, tmp_path / f"expected.{cycle}")
    check_facts(dump)
    if allocator != "none":
        assert int(dump.output) > 10000
