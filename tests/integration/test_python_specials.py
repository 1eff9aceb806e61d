"""Python in unusual settings: other allocators, tracing, child processes, foreign threads, every way to end."""

import signal

import pytest

from interpreters import DEFAULT, every_interpreter, every_layout, package_folder, some_interpreters
from marks import check_marks, line_figures, read_marks
from recording import SOURCES, run_bare

PYTHON = SOURCES / "python"
QUIET = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
PROCESSES = PYTHON / "processes.py"


def record_script(record, python, script, *arguments, environment=None, options=(), **more):
    return record(PYTHON / script, *arguments, options=["--python", python.path, *options], environment={**QUIET, **(environment or {})},
                  stacks=False, **more)


def record_interpreter(record, python, *arguments, environment=None, **more):
    """The interpreter as the program itself, with options of its own."""
    return record(python.path, *arguments, environment={**QUIET, **(environment or {})}, stacks=False, **more)


@every_interpreter
@pytest.mark.parametrize("value", ["malloc"])
def test_pythonmalloc(record, python, value):
    run = record_script(record, python, "settings.py", environment={"PYTHONMALLOC": value})
    assert run.returncode == 44, run.stderr.decode()
    assert run.stdout == b"settings: done\n" and run.stderr == b""
    check_marks(run.lines, PYTHON / "settings.py", run.facts)


def check_debug_blocks(run):
    """Debug hooks add their own bytes to each block: at least the truth, and no more than four words above it."""
    for mark in read_marks(PYTHON / "settings.py"):
        figures, expected = line_figures(run.lines, mark.file, mark.line), mark.expected(run.facts)
        # An allocation in the debug hooks' own code may be credited with or without the hooks' words.
        for field, slack in (("allocated_bytes", 32 * expected["allocations"]), ("live_bytes", 32 * expected["live_allocations"])):
            assert expected[field] <= figures[field] <= expected[field] + slack, (mark, field)
        assert figures["allocations"] == expected["allocations"] and figures["live_allocations"] == expected["live_allocations"], mark


@every_interpreter
@pytest.mark.parametrize("value", ["debug", "malloc_debug"])
def test_pythonmalloc_debug(record, python, value):
    run = record_script(record, python, "settings.py", environment={"PYTHONMALLOC": value})
    assert run.returncode == 44, run.stderr.decode()
    assert run.stdout == b"settings: done\n" and run.stderr == b""
    check_debug_blocks(run)


@every_interpreter
def test_development_mode(record, python):
    run = record_interpreter(record, python, "-X", "dev", PYTHON / "settings.py")
    assert run.returncode == 44, run.stderr.decode()
    check_debug_blocks(run)


def check_with_tracemalloc(run):
    """tracemalloc keeps its own notes, with malloc, on the line that allocates: the truth and at most a few hundred bytes a block more."""
    for mark in read_marks(PYTHON / "settings.py"):
        figures, expected = line_figures(run.lines, mark.file, mark.line), mark.expected(run.facts)
        for field in ("allocated_bytes", "peak_bytes"):
            assert expected[field] <= figures[field] <= expected[field] + 300 * expected["allocations"], (mark, field)


@every_interpreter
def test_tracemalloc_from_the_start(record, python):
    run = record_interpreter(record, python, "-X", "tracemalloc=10", PYTHON / "settings.py")
    assert run.returncode == 44, run.stderr.decode()
    check_with_tracemalloc(run)


@every_interpreter
def test_tracemalloc_switched_on_by_the_program(record, python):
    run = record_script(record, python, "settings.py", "tracemalloc")
    assert run.returncode == 44, run.stderr.decode()
    check_with_tracemalloc(run)


@some_interpreters
@pytest.mark.parametrize("arguments", [["-I"], ["-S"], ["-O"], ["-X", "importtime"]], ids=lambda a: "".join(a))
def test_interpreter_options(record, python, arguments):
    # -I hides the script's own folder from imports.
    if arguments == ["-I"]:
        run = record_interpreter(record, python, *arguments, "-c", "block = bytearray(50_000)")
        assert run.returncode == 0, run.stderr.decode()
        return
    run = record_interpreter(record, python, *arguments, PYTHON / "settings.py")
    assert run.returncode == 44, run.stderr.decode()
    check_marks(run.lines, PYTHON / "settings.py", run.facts)


@some_interpreters
@pytest.mark.parametrize("how", ["gc", "profile", "trace"])
def test_switched_on_by_the_program(record, python, how):
    run = record_script(record, python, "settings.py", how)
    assert run.returncode == 44, run.stderr.decode()
    check_marks(run.lines, PYTHON / "settings.py", run.facts, only=["big"] if how in ("profile", "trace") else None)


ENDINGS = {"return": 0, "exit": 41, "message": 1, "_exit": 42, "raise": 1, "interrupt": -signal.SIGINT, "abort": -signal.SIGABRT,
           "segv": -signal.SIGSEGV, "kill": -signal.SIGKILL, "atexit": 0, "thread": 46, "daemon": 0, "recursion": 1, "memory": 1}


@some_interpreters
@pytest.mark.parametrize("how", ENDINGS)
def test_endings(record, python, how):
    run = record_script(record, python, "endings.py", how)
    bare = run_bare(python.path, PYTHON / "endings.py", how, environment=QUIET)
    assert run.returncode == bare.returncode == ENDINGS[how]
    assert run.stdout == bare.stdout
    assert scrubbed(run.stderr) == scrubbed(bare.stderr)
    check_marks(run.lines, PYTHON / "endings.py", run.facts, groups=[how])
    assert run.report["complete"] is (ENDINGS[how] >= 0)


def scrubbed(output):
    """faulthandler prints thread addresses."""
    return [line for line in output.splitlines() if b"0x" not in line]


@some_interpreters
@pytest.mark.parametrize("how", ["fork", "subprocess", "pool:fork", "pool:spawn", "pool:forkserver"])
def test_children(record, python, how):
    run = record_script(record, python, "processes.py", how)
    source = PROCESSES
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout == b"done 40000\n" * (2 if how == "subprocess" else 1)
    children = run.children()
    assert run.facts["child"] in children
    (mark,) = [mark for mark in read_marks(source) if mark.name == "block"]
    total = {"allocated_bytes": 0, "allocations": 0}
    for traces in children.values():
        for trace in traces:
            assert trace.report["lost_events"] == 0
            assert sum(row["allocated_bytes"] for row in trace.lines) == trace.report["allocated_bytes"]
            figures = line_figures(trace.lines, mark.file, mark.line)
            for field in total:
                total[field] += figures[field]
    # Six tasks of the pool and one process of its own.
    times = 1 if how in ("fork", "subprocess") else 7
    assert total == {"allocated_bytes": 60057 * times, "allocations": 2 * times}
    (parent,) = [mark for mark in read_marks(source) if mark.name == "parent"]
    assert line_figures(run.lines, parent.file, parent.line)["allocated_bytes"] == 40057
    assert line_figures(run.lines, mark.file, mark.line)["allocations"] == 0


@every_layout
def test_objects_inherited_by_a_fork(record, python):
    """Objects within arenas and above: live in the child until it frees them, allocated only by the parent."""
    run = record_script(record, python, "processes.py", "fork")
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PROCESSES, run.facts, groups=["inherited"], only=["small", "large"])
    (child,) = run.children()[run.facts["child"]]
    child.check_sums(stacks=False)
    # Of 1000 places the child deleted 100 to 599: 400 small ones and 100 large ones. 500 small ones had gone before the fork.
    for name, live, count in (("small", 16 * 100, 100), ("large", 400 * 3057, 800)):
        (mark,) = [mark for mark in read_marks(PROCESSES) if mark.name == name]
        figures = line_figures(child.lines, mark.file, mark.line)
        assert (figures["live_bytes"], figures["live_allocations"]) == (live, count), name
        assert figures["allocations"] == 0


def test_shell_in_a_subprocess(record):
    run = record_script(record, DEFAULT, "processes.py", "subprocess_shell")
    assert run.returncode == 0, run.stderr.decode()


@every_interpreter
def test_threads_that_python_never_made(record, python):
    run = record_script(record, python, "strangers.py", "foreign_threads")
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "strangers.py", run.facts, groups=["foreign_threads"])


@every_layout
def test_subinterpreter(record, python):
    run = record_script(record, python, "strangers.py", "subinterpreter")
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "strangers.py", run.facts, groups=["subinterpreter"])


@every_interpreter
@pytest.mark.parametrize("options", [[], ["--native", "--check-native", "20"]], ids=["python", "native"])
@pytest.mark.parametrize("package", ["greenlet", "gevent"])
def test_switched_stacks(record, python, package, options):
    folder = package_folder(python, package)
    run = record_script(record, python, "strangers.py", package, options=options, environment={"PYTHONPATH": folder})
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "strangers.py", run.facts, groups=[package])
    assert run.report["native_differences"] == 0 and (run.report["native_checks"] > 1000) == bool(options)


@some_interpreters
def test_output_is_the_programs_own(record, python):
    script = "import sys; print('out'); print('err', file=sys.stderr); print(sys.stdin.read()); sys.exit(7)"
    run = record_interpreter(record, python, "-c", script, stdin=None, input=b"in\n")
    assert (run.returncode, run.stdout, run.stderr) == (7, b"out\nin\n\n", b"err\n")


@some_interpreters
def test_some_of_cpythons_own_tests(record, python):
    """They pass under the recorder as they pass without it."""
    arguments = ["-m", "test", "-q", "test_list", "test_dict", "test_generators", "test_thread", "test_exceptions"]
    bare = run_bare(python.path, *arguments, environment=QUIET)
    if bare.returncode != 0:
        pytest.skip("they don't pass here without the recorder, or this interpreter comes without them")
    run = record_interpreter(record, python, *arguments)
    assert run.returncode == 0, run.stdout.decode()[-3000:] + run.stderr.decode()[-3000:]
