"""Native stacks of every kind: each one that the library takes from what it knows is compared with a full walk, frame by frame, and some
with libunwind's.

The library's stack half runs on its own here (tests/tools/stack_probe.c), in programs whose stacks are hard to predict.
"""

import shutil
import subprocess

import pytest

from interpreters import LAYOUTS, package_folder
from recording import BUILD, ROOT, SOURCES, TIMEOUT, clean_environment, target
from stack_dump import CUT, Dump

PROBE = BUILD / "tests" / "tools" / "libstack_probe.so"
SHAPES = SOURCES / "python" / "stack_shapes.py"
ODD = {"shapes": 6000, "equal": 2000, "jumps": 6000, "coroutines": 1000, "signals": 600}

pytestmark = pytest.mark.skipif(not PROBE.exists(), reason="stack_probe was not built")


def run(prefix, *command, sizes="1-1", **environment):
    """Without events, unless of these sizes: the facts are enough."""
    settings = clean_environment(LD_PRELOAD=PROBE, STACK_PROBE_OUTPUT=prefix, STACK_PROBE_STACKS="oracle", STACK_PROBE_THREAD="1",
                                 STACK_PROBE_SIZES=sizes, **environment)
    result = subprocess.run([str(word) for word in command], env=settings, capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 0, result.stderr
    return Dump(prefix)


def check(dump, least):
    facts = dump.facts
    assert facts["oracle_checks"] >= least // 200
    assert facts["native_checks"] >= least
    assert facts["native_differences"] == 0
    assert facts["oracle_differences"] == 0
    assert facts["lost_definitions"] == 0 and facts["unsafe_stacks"] == 0


@pytest.mark.parametrize("name", ["odd_stacks", "odd_stacks_o2"])
@pytest.mark.parametrize("kind", ODD)
def test_odd_stacks(name, kind, tmp_path):
    dump = run(tmp_path / "dump", target(name), kind, ODD[kind])
    check(dump, 20 * ODD[kind])
    assert dump.facts["oracle_checks"] > ODD[kind] // 4


@pytest.mark.parametrize("name", ["odd_stacks", "odd_stacks_o2"])
def test_code_without_information_cuts_the_stack(name, tmp_path):
    dump = run(tmp_path / "dump", target(name), "jit", 100, sizes="40-40")
    check(dump, 100)
    stacks = [dump.stack(node) for _, _, node in dump.allocations()]
    assert len(stacks) == 100
    for frames in stacks:
        assert len(frames) == 3 and frames[2] == CUT, frames
        assert frames[0][1].endswith(name) and frames[1][1] == ""


@pytest.mark.parametrize("kind", ODD)
def test_odd_stacks_when_recorded(kind, record):
    """With the whole library, and each stack against libunwind's."""
    trace = record(target("odd_stacks"), kind, 20, options=["--native", "--check-native", "1"])
    report = trace.report
    assert report["native_checks"] == report["allocations"] > 400 and report["native_differences"] == 0


def test_frames_beyond_rows(record, tmp_path):
    """Registers that a row knows nothing of lead from each frame to the next."""
    trace = record(target("cfi_expressions"), 30, options=["--native", "--check-native", "1"])
    assert trace.report["native_checks"] >= 30 and trace.report["native_differences"] == 0
    found = {}
    for stack in trace.json("peak")["stacks"]:
        functions = tuple(frame["function"] for frame in stack["frames"])
        if functions[0] == "inner":
            found[functions[:functions.index("main") + 1]] = (stack["bytes"], functions[-1])
    assembly = ("inner", "value_by_expression", "third", "saved_by_expression", "second", "cfa_by_expression", "first", "cfa_by_register")
    assert found == {(*assembly, *["outer"] * count, "main"): (400, "_start") for count in (1, 2, 3)}
    check(run(tmp_path / "dump", target("cfi_expressions"), 1000), 1000)


@pytest.mark.parametrize("name, least", [("exceptions", 16000), ("nonlocal", 10000), ("nonlocal_o2", 10000), ("cxx_new", 10)])
def test_programs(name, least, tmp_path):
    check(run(tmp_path / "dump", target(name)), least)


@pytest.mark.parametrize("pattern, count", [("exchange", 20000), ("phases", 1), ("many", 200)])
def test_threads(pattern, count, tmp_path):
    check(run(tmp_path / "dump", target("threads"), pattern, count), count)


@pytest.mark.parametrize("depth", [300, 20000])
def test_deep_stacks_are_whole(depth, tmp_path):
    dump = run(tmp_path / "dump", target("deep"), depth, sizes="4400-4400")
    check(dump, 1)
    ((_, _, node),) = dump.allocations()
    frames = dump.stack(node)
    assert len(frames) > depth and CUT not in frames
    assert len(set(frames[1:depth + 1])) == 1


def test_stacks_that_are_too_deep_are_cut(tmp_path):
    dump = run(tmp_path / "dump", target("deep"), 80000, sizes="4400-4400")
    check(dump, 1)
    ((_, _, node),) = dump.allocations()
    frames = dump.stack(node)
    assert 32768 <= len(frames) <= 65536
    assert frames[-1] == CUT and frames.count(CUT) == 1


def test_sqlite(tmp_path):
    if not shutil.which("sqlite3"):
        pytest.skip("no sqlite3 here")
    script = """
        WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 40000)
            SELECT count(*), sum(length(printf('%d-%s', x, hex(x)))) FROM c;
        CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c);
        WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000)
            INSERT INTO t SELECT x, 'row ' || x || hex(randomblob(10)), x % 977 FROM c;
        CREATE INDEX i ON t(c, b);
        SELECT c, count(*), max(b), length(group_concat(a)) FROM t GROUP BY c ORDER BY 2 DESC LIMIT 5;
    """
    check(run(tmp_path / "dump", "sqlite3", ":memory:", script), 300000)


def test_compiler(tmp_path):
    compiler = shutil.which("gcc") and subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True).stdout.strip()
    if not compiler or not compiler.startswith("/"):
        pytest.skip("no gcc here")
    source = tmp_path / "source.i"
    preprocessed = subprocess.run(["gcc", "-E", "-I", ROOT / "lib" / "common", "-D_GNU_SOURCE", SOURCES / "odd_stacks.c"], capture_output=True)
    assert preprocessed.returncode == 0
    source.write_bytes(preprocessed.stdout)
    check(run(tmp_path / "dump", compiler, "-quiet", "-O2", source, "-o", tmp_path / "source.s"), 100000)


every_layout = pytest.mark.parametrize("python", LAYOUTS, ids=lambda python: python.id)


@every_layout
def test_python(python, tmp_path):
    """Also in the interpreter, where the innermost Python frame ends the walk."""
    code = "import json\nfor i in range(40):\n    json.loads(json.dumps([{'a': [i, str(i)] * 20}] * 50))\n" \
           "print(sorted(range(5000), key=lambda x: [str(x)])[7])"
    dump = run(tmp_path / "dump", python.path, "-c", code)
    check(dump, 20000)
    assert dump.facts["differences"] == 0


@every_layout
def test_python_of_all_shapes(python, tmp_path):
    """Each way to run Python code: where its frames begin on the machine's stack is told by what has changed."""
    scenarios = ["calls", "generators", "coroutines", "garbage", "weak_references", "threads", "from_native_code", "native_allocations"]
    dump = run(tmp_path / "dump", python.path, SHAPES, tmp_path / "expected", *scenarios, *reversed(scenarios))
    check(dump, 20000)
    assert dump.facts["differences"] == 0


@every_layout
def test_greenlets(python, tmp_path):
    """Whose stacks are copied away and back: what lies further out than a greenlet's first frame is another one's."""
    if python.free_threaded:
        pytest.skip("stacks are off")
    folder = package_folder(python, "greenlet")
    dump = run(tmp_path / "dump", python.path, SHAPES, tmp_path / "expected", "greenlets", "calls", "greenlets", PYTHONPATH=folder)
    check(dump, 20000)
    assert dump.facts["differences"] == 0
