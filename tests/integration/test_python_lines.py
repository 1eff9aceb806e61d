"""Python programs with marked lines: allocated, live, peak and copied bytes equal the truth on every interpreter of the machine.

The truth comes from sys.getsizeof and known layouts inside the target."""

import pathlib
import subprocess

from interpreters import every_interpreter, package_folder
from marks import check_marks, line_figures
from recording import HEAPLINE, SOURCES, Trace, clean_environment

PYTHON = SOURCES / "python"
QUIET = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


def record_script(record, python, script, *arguments, options=(), environment=None, stacks=False, **more):
    environment = {**QUIET, **(environment or {})}
    if python.is_named:  # it can't be asked which program it is
        return record(python.path, PYTHON / script, *arguments, options=options, environment=environment, stacks=stacks, **more)
    return record(PYTHON / script, *arguments, options=["--python", python.path, *options], environment=environment, stacks=stacks, **more)


@every_interpreter
def test_objects(record, python):
    run = record_script(record, python, "objects.py")
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "objects.py", run.facts)
    generated = line_figures(run.lines, "generated_code.py", 4)
    assert generated["live_bytes"] == run.facts["generated"] and generated["live_allocations"] == 2
    by_line = {(pathlib.PurePath(row["file"] or "").name, row["line"]): row for row in run.lines}
    sawtooth = next(row for row in by_line.values() if row["function"] and row["function"].endswith("sawtooth"))
    assert sawtooth["kind"] == "python"


@every_interpreter
def test_control_flow(record, python):
    run = record_script(record, python, "control_flow.py")
    assert run.returncode == 33, run.stderr.decode()
    check_marks(run.lines, PYTHON / "control_flow.py", run.facts)
    check_marks(run.lines, PYTHON / "imported_module.py", run.facts)


@every_interpreter
def test_copy_volume(record, python):
    run = record_script(record, python, "copy_volume.py")
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "copy_volume.py", run.facts)


@every_interpreter
def test_memory_from_ctypes(record, python):
    run = record_script(record, python, "foreign.py")
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "foreign.py", run.facts)
    assert run.report["peak_bytes"] >= 2 * (400 << 20)


@every_interpreter
def test_allocator_domains(record, python):
    run = record_script(record, python, "own_allocators.py", stacks=True)
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "own_allocators.py", run.facts)


@every_interpreter
def test_numpy(record, python):
    folder = package_folder(python, "numpy")
    run = record_script(record, python, "arrays.py", environment={"PYTHONPATH": folder, "OPENBLAS_NUM_THREADS": "1"})
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "arrays.py", run.facts)


@every_interpreter
def test_with_native_stacks(record, python):
    """Native frames below change no Python line's figures."""
    run = record_script(record, python, "objects.py", options=["--native"])
    assert run.returncode == 0, run.stderr.decode()
    check_marks(run.lines, PYTHON / "objects.py", run.facts)


@every_interpreter
def test_annotated_source(record, python):
    """`lines --source` shows the file's lines with their figures."""
    run = record_script(record, python, "settings.py")
    document = run.json("lines", "--source", PYTHON / "settings.py")
    assert any(row["allocated_bytes"] == run.facts["big"] for row in document["lines"])


def test_module_and_code_arguments(record, tmp_path):
    """`-m MODULE` and `-c CODE` run as python3 runs them."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import sys\nblock = bytearray(70_000)\nprint(sys.argv[1:])\nsys.exit(9)\n")
    def run(trace, *arguments):
        return subprocess.run([HEAPLINE, "run", "--quiet", "-o", trace, *arguments], capture_output=True, cwd=tmp_path,
                              env=clean_environment(**QUIET), stdin=subprocess.DEVNULL, timeout=60)

    result = run(tmp_path / "m.heapline", "-m", "package", "one", "--two")
    assert (result.returncode, result.stdout) == (9, b"['one', '--two']\n"), result.stderr
    figures = line_figures(Trace(tmp_path / "m.heapline").check_sums().lines, "__main__.py", 2)
    assert 70_057 <= figures["allocated_bytes"] < 71_000
    result = run(tmp_path / "c.heapline", "-c", "import sys; print(sys.argv); sys.exit(8)", "three")
    assert (result.returncode, result.stdout) == (8, b"['-c', 'three']\n"), result.stderr
