"""Programs that bring another allocator; programs that no preloaded library can see."""

import shutil
import subprocess

import pytest

from marks import check_marks
from recording import BUILD, SOURCES, clean_environment, completed, heapline, target

SOURCE = SOURCES / "simple.c"
LIBRARIES = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4", "mimalloc": "libmimalloc.so.2"}


def library(name):
    """Path of an allocator's library as the linker knows it."""
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    for line in cache.splitlines():
        if line.split()[:1] == [LIBRARIES[name]]:
            return line.rpartition("=>")[2].strip()
    pytest.skip(f"{LIBRARIES[name]} is not installed")


@pytest.mark.parametrize("name", LIBRARIES)
def test_linked(record, name):
    run = record(target(f"simple_{name}"))
    assert run.returncode == 17, run.stderr
    assert run.stdout == b"simple: done\n"
    check_marks(run.lines, SOURCE, run.facts)


@pytest.mark.parametrize("name", LIBRARIES)
def test_preloaded_after_ours(record, name):
    run = record(target("simple"), environment={"LD_PRELOAD": library(name)})
    assert run.returncode == 17, run.stderr
    assert run.stdout == b"simple: done\n"
    check_marks(run.lines, SOURCE, run.facts)


@pytest.mark.parametrize("name", LIBRARIES)
def test_threads_with_another_allocator(record, name):
    run = record(target("threads"), "exchange", 20000, environment={"LD_PRELOAD": library(name)})
    assert run.returncode == 0, run.stderr
    check_marks(run.lines, SOURCES / "threads.c", run.facts, groups=["exchange"])


def test_static_program_is_refused_with_the_reason(tmp_path):
    trace = tmp_path / "t.heapline"
    result = heapline("run", "-o", trace, "--", target("simple_static"))
    assert result.returncode == 4
    assert result.stdout == b"", "the program must not have started"
    assert b"statically linked" in result.stderr and not trace.exists()


@pytest.fixture
def musl_program(tmp_path):
    """Its C library isn't the one that the recorder is made for."""
    if not shutil.which("musl-gcc"):
        pytest.skip("no musl-gcc here")
    source, program = tmp_path / "small.c", tmp_path / "small"
    source.write_text('#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts(malloc(9) ? "musl: done" : "none"); return 7; }\n')
    subprocess.run(["musl-gcc", "-o", program, source], check=True)
    return program


def test_musl_program_is_refused_with_the_reason(musl_program, tmp_path):
    result = heapline("run", "-o", tmp_path / "t.heapline", "--", musl_program)
    assert result.returncode == 4
    assert result.stdout == b"", "the program must not have started"
    assert b"musl" in result.stderr and not (tmp_path / "t.heapline").exists()


@pytest.mark.parametrize("option", ["--follow", "--no-follow"])
def test_musl_program_as_a_child_is_left_alone(option, record, musl_program):
    run = record("/bin/sh", "-c", f"{musl_program}; echo $?; exec {target('simple')}", options=["--native", option])
    assert (run.returncode, run.stdout, run.stderr) == (17, b"musl: done\n7\nsimple: done\n", b"")
    # A program that can't be recorded is named; the one after it is recorded, under the shell's number.
    followed = option == "--follow"
    assert len(run.report["processes"]) == (3 if followed else 1)
    named = {process["pid"]: (process["command"], process["unrecorded"]) for process in run.report["processes"] if process["unrecorded"]}
    assert list(named.values()) == ([(str(musl_program), "built for musl")] if followed else [])
    assert set(run.children()) == ({run.report["processes"][0]["pid"], *named} if followed else set())


def test_programs_in_deep_folders(record, tmp_path):
    """The recorder is found from wherever the program lies."""
    program = tmp_path.joinpath(*["deeper"] * 40) / "simple"
    program.parent.mkdir(parents=True)
    shutil.copy(target("simple"), program)
    for command in ([program], ["/usr/bin/env", "-C", program.parent, "./simple"]):
        run = record(*command)
        assert (run.returncode, run.stdout, run.stderr) == (17, b"simple: done\n", b"")
        check_marks(run.lines, SOURCE, run.facts)


def test_own_malloc_is_not_recorded_silently(tmp_path):
    """The executable's own malloc comes before ours: nothing can be seen of it, and the user is told."""
    trace = tmp_path / "t.heapline"
    result = heapline("run", "-o", trace, "--", target("own_malloc"))
    assert result.returncode == 19
    assert result.stdout == b"own malloc: done\n"
    assert b"malloc" in result.stderr


def test_own_address_of_malloc_is_no_other_malloc(record):
    run = record(target("malloc_pointer"))
    assert run.returncode == 0, run.stderr
    assert b"another library" not in heapline("report", run.path).stdout + run.stderr


@pytest.mark.parametrize("name", LIBRARIES)
def test_preloaded_before_ours(tmp_path, name):
    """Whoever preloads by hand may put another allocator first: its malloc wins, and the report has to say so."""
    trace = tmp_path / "t.heapline"
    ours = next(BUILD.glob("lib/**/libheapline.so"))
    result = subprocess.run([target("simple")], capture_output=True, timeout=60,
                            env=clean_environment(LD_PRELOAD=f"{library(name)} {ours}", HEAPLINE_OUTPUT=trace))
    assert result.returncode == 17
    assert result.stdout == b"simple: done\n"
    said = result.stderr
    trace = completed(trace)
    trace.check_sums()
    said += heapline("report", trace.path).stdout
    assert b"malloc" in said
