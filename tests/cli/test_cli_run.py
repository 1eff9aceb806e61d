"""`heapline run`: what it starts, what it refuses, and that the program is left alone. Needs the whole build."""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from command import HEAPLINE, TIMEOUT, document, environment, run

PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script(path, text, mode=0o755):
    path.write_text(text)
    path.chmod(mode)
    return path


def compile_program(path, source, *flags):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or subprocess.run([compiler, "-xc", "-", "-o", path, *flags], input=source, text=True, capture_output=True).returncode:
        pytest.skip("no compiler for this kind of program")
    return path


def program_of(trace):
    return document(HEAPLINE, "report", trace)["program"]


# ---- what is run ----

def test_script(here):
    script(here / "job.py", "import sys\nprint(sys.argv[1:])\nsys.exit(7)\n", 0o644)
    result = run(HEAPLINE, "run", "-q", "-o", "t", "--python", PYTHON, "job.py", "--json", "-x")
    assert (result.returncode, result.stdout, result.stderr) == (7, "['--json', '-x']\n", "")
    assert program_of("t").endswith("python3 job.py --json -x")


def test_module_and_code(here):
    script(here / "mod.py", "import sys\nprint(__name__, sys.argv[1:])\n", 0o644)
    result = run(HEAPLINE, "run", "-q", "-o", "m", "--python", PYTHON, "-m", "mod", "-o", "x")
    assert (result.returncode, result.stdout, result.stderr) == (0, "__main__ ['-o', 'x']\n", "")
    result = run(HEAPLINE, "run", "-q", "-o", "c", "--python", PYTHON, "-c", "import sys; print(sys.argv)", "--help")
    assert (result.returncode, result.stdout, result.stderr) == (0, "['-c', '--help']\n", "")


def test_options_after_the_program_are_its_own(here):
    result = run(HEAPLINE, "run", "-q", "-o", "t", "echo", "--quiet", "-o", "--", "x")
    assert (result.returncode, result.stdout) == (0, "--quiet -o -- x\n")
    result = run(HEAPLINE, "run", "-qo", "u", "--", "echo", "a")
    assert (result.returncode, result.stdout) == (0, "a\n")


def test_launcher_that_is_a_script(here):
    """As pyenv's shims: the interpreter it starts is recorded, not the shell."""
    script(here / "python3", f"#!/bin/sh\nexec {PYTHON} \"$@\"\n")
    script(here / "job.py", "print('ran')\n", 0o644)
    result = run(HEAPLINE, "run", "-q", "-o", "t", "job.py", env=environment(PATH=f"{here}:/usr/bin:/bin"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "ran\n", "")
    assert len(document(HEAPLINE, "report", "t")["processes"]) == 1
    assert "python" in program_of("t")


@pytest.mark.parametrize("line", [f"#!{PYTHON}", "#!/usr/bin/env python3"])
def test_python_script_by_its_interpreter_line(here, line):
    script(here / "tool", f"{line}\nimport sys\nprint(sys.argv)\n")
    result = run(HEAPLINE, "run", "-q", "-o", "t", "./tool", "a", env=environment(PATH="/usr/bin:/bin"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "['./tool', 'a']\n", "")
    assert len(document(HEAPLINE, "report", "t")["processes"]) == 1


def test_environment_of_the_program(here):
    result = run(HEAPLINE, "run", "-q", "-o", "t", "--native", "--no-copies", "--no-follow", "--copy-threshold", "1K", "--", PYTHON, "-c",
                 "import os; print({k: v for k, v in os.environ.items() if k.startswith('HEAPLINE_') or k == 'LD_PRELOAD'})",
                 env=environment(LD_PRELOAD="libm.so.6"))
    assert result.returncode == 0
    trace = sqlite_properties("t")
    assert trace["options"] == "no-copies,no-follow,native,copy-threshold=1024"


def sqlite_properties(trace):
    rows = json.loads(run(HEAPLINE, "sql", "--json", trace, "SELECT key, value FROM property").stdout)["rows"]
    return {row["key"]: row["value"] for row in rows}


# ---- the report at the end ----

def test_report_at_the_end(here):
    result = run(HEAPLINE, "run", "-o", "t", "--", PYTHON, "-c", "x = bytearray(50_000_000); print('done')")
    assert (result.returncode, result.stdout) == (0, "done\n")
    peak = re.search(r"^  peak +([0-9.]+) MiB  at ", result.stderr, re.M)
    assert 47.7 < float(peak[1]) < 70
    assert "Next: heapline peak t " in result.stderr
    assert re.search(r"^Trace: t \([0-9.]+ KiB\)$", result.stderr, re.M)


def test_default_output(here):
    result = run(HEAPLINE, "run", "--", "true")
    assert result.returncode == 0
    (trace,) = here.glob("*.heapline")
    assert re.fullmatch(r"true\.\d+\.heapline", trace.name)
    assert f"Trace: {trace.name} (" in result.stderr


def test_exit_by_signal(here):
    result = run(HEAPLINE, "run", "-q", "-o", "t", "sh", "-c", "kill -USR1 $$")
    assert result.returncode == -signal.SIGUSR1
    process = subprocess.Popen([HEAPLINE, "run", "-q", "-o", "u", "sh", "-c", "kill -SEGV $$"], env=environment(),
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2))
    status = os.waitpid(process.pid, 0)[1]
    process.returncode = 0
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert not os.WCOREDUMP(status), "the core is the program's, not ours"


def test_ignored_signals_stay_ignored(here):
    """nohup: what the caller ignores, the program ignores."""
    code = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    result = run(HEAPLINE, "run", "-q", "-o", "t", "--", PYTHON, "-c", code, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert (result.returncode, result.stdout) == (0, "True True\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGQUIT])
def test_signals_are_forwarded(here, number):
    code = (f"import signal, sys, time\nsignal.signal({int(number)}, lambda *_: sys.exit(33))\n"
            "print('ready', flush=True)\nwhile True: time.sleep(0.1)\n")
    process = subprocess.Popen([HEAPLINE, "run", "-q", "-o", "t", "--", PYTHON, "-c", code], stdout=subprocess.PIPE, env=environment())
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(timeout=TIMEOUT) == 33


# ---- what is refused before anything starts ----

def check_refused(result, status, *words):
    assert result.returncode == status and result.stdout == ""
    assert result.stderr.startswith("heapline: run: ") and "\n" not in result.stderr[:-1]
    for word in words:
        assert str(word) in result.stderr


def test_no_such_program(here):
    check_refused(run(HEAPLINE, "run", "no-such-program"), 2, "no-such-program", "PATH")
    check_refused(run(HEAPLINE, "run", "./absent"), 2, "./absent")
    check_refused(run(HEAPLINE, "run", "absent.py"), 2, "absent.py")
    (here / "here").touch(mode=0o755)
    check_refused(run(HEAPLINE, "run", "here"), 2, "'./here' names the file")
    (here / "data").touch(mode=0o644)
    check_refused(run(HEAPLINE, "run", "./data"), 2, "not executable")
    check_refused(run(HEAPLINE, "run", "/tmp"), 2, "directory")
    check_refused(run(HEAPLINE, "run", "--python", "no-python", "-c", "1"), 2, "no-python")


def test_static_program(here):
    program = compile_program(here / "static", "int main(void) { return 0; }", "-static")
    check_refused(run(HEAPLINE, "run", program), 4, program, "statically linked")


def test_other_architectures(here):
    program = pathlib.Path(shutil.which("true")).read_bytes()
    (here / "foreign").write_bytes(program[:18] + b"\xf3\x00" + program[20:])  # RISC-V
    (here / "small").write_bytes(program[:4] + b"\x01" + program[5:])
    for name in ("foreign", "small"):
        (here / name).chmod(0o755)
    check_refused(run(HEAPLINE, "run", "./foreign"), 4, "another processor")
    check_refused(run(HEAPLINE, "run", "./small"), 4, "32-bit")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a program of another user")
def test_setuid_program(here):
    shutil.copy(shutil.which("true"), here / "setuid")
    os.chown(here / "setuid", 1, 1)
    (here / "setuid").chmod(0o4755)
    check_refused(run(HEAPLINE, "run", "./setuid"), 4, "gains privileges")


def test_outputs(here):
    (here / "file").write_text("precious")
    check_refused(run(HEAPLINE, "run", "-o", "file", "true"), 2, "'file' exists", "--force")
    assert (here / "file").read_text() == "precious"
    check_refused(run(HEAPLINE, "run", "-o", "no/such/t", "true"), 4, here / "no/such/t")
    check_refused(run(HEAPLINE, "run", "-o", "file/t", "true"), 4, "is not a directory")
    check_refused(run(HEAPLINE, "run", "-o", str(here), "true"), 2, "is a directory")
    check_refused(run(HEAPLINE, "run", "--force", "-o", "/dev/null", "true"), 2, "not a regular file")
    check_refused(run(HEAPLINE, "run", "-o", "", "true"), 2, "name of a file")


def test_force_removes_its_own_run_only(here):
    keep = ["t.12", "t.report.txt", "t.x", "tt", "t.1.2.3"]
    for name in keep:
        (here / name).write_text("not a trace")
    assert run(HEAPLINE, "run", "-q", "-o", "t", "sh", "-c", "true & wait").returncode == 0
    first = document(HEAPLINE, "report", "t")
    assert (here / "t.report").exists()
    children = [process["pid"] for process in first["processes"][1:]]
    result = run(HEAPLINE, "run", "-q", "--force", "-o", "t", "true")
    assert result.returncode == 0 and result.stderr == ""
    assert not (here / "t.report").exists()
    assert not any((here / f"t.{pid}").exists() for pid in children)
    for name in keep:
        assert (here / name).read_text() == "not a trace"
    assert document(HEAPLINE, "report", "t")["pid"] != first["pid"]


def test_library_that_is_not_there(here):
    result = run(HEAPLINE, "run", "true", env=environment(HEAPLINE_LIBRARY="/no/such/library.so"))
    check_refused(result, 4, "/no/such/library.so")


def test_recorder_that_is_not_loaded(here):
    """A program that drops the preload before it starts what matters: said once, clearly, and the exit status is the program's."""
    (here / "nothing.so").write_text("")
    result = run(HEAPLINE, "run", "-o", "t", "sh", "-c", "exit 5", env=environment(HEAPLINE_LIBRARY=here / "nothing.so"))
    assert result.returncode == 5
    assert "heapline: no trace was written" in result.stderr and not (here / "t").exists()
