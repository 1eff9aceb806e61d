"""Programs that were started without us: heapline attach and heapline detach, and what can't be attached to."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from interpreters import LAYOUTS, every_layout
from marks import check_marks
from recording import BUILD, HEAPLINE, ROOT, SOURCES, Trace, clean_environment, heapline, target

SOURCE = SOURCES / "attached.c"
SCRIPT = SOURCES / "python" / "attached.py"
needs_ptrace = pytest.mark.skipif(os.uname().machine != "x86_64", reason="attaching is there on x86-64 only")
pytestmark = needs_ptrace
TAKERS = [python for python in LAYOUTS if python.version >= (3, 14)]
that_take_scripts = pytest.mark.parametrize("python", TAKERS, ids=[python.id for python in TAKERS])


class Running:
    """A program that waits for lines on its standard input, and says "ROUND PID" before each."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=clean_environment(), **options)
        self.round, self.pid = map(int, self.process.stdout.readline().split())

    def go_on(self, rounds=1):
        for _ in range(rounds):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
            self.round += 1
            assert int(self.process.stdout.readline().split()[0]) == self.round

    def finish(self):
        output, errors = self.process.communicate(timeout=60)
        assert errors == b"" and output == b""
        return self.process.returncode


@pytest.fixture
def start():
    """start(program, …) -> Running, ended with the test."""
    running = []

    def begin(*command, **options):
        running.append(Running(*command, **options))
        return running[-1]

    yield begin
    for program in running:
        program.process.kill()
        program.process.communicate()


def attach(pid, trace, *options):
    result = heapline("attach", *options, "-o", trace, pid)
    assert result.returncode == 0, result.stderr.decode()
    assert f"process {pid} is recorded from now on, into " in result.stdout.decode()


def detach(pid):
    result = heapline("detach", pid)
    assert result.returncode == 0, result.stderr.decode()
    assert f"process {pid} is no longer recorded; what was is in " in result.stdout.decode()


def refusal(pid, *options, command="attach"):
    result = heapline(command, *options, pid)
    assert result.returncode == 4 and result.stdout == b""
    return result.stderr.decode()


# ---- exact lines ----

@pytest.mark.parametrize("options", [[], ["--native"], ["--no-copies"]], ids=["plain", "native", "no-copies"])
def test_c_program(start, tmp_path, options):
    program = start(target("attached"))
    program.go_on()
    attach(program.pid, tmp_path / "t.heapline", *options)
    program.go_on(2)
    detach(program.pid)
    trace = Trace(tmp_path / "t.heapline")
    program.go_on()
    assert program.finish() == 17
    left_out = {"text", "copy"} if options == ["--no-copies"] else {"text"}
    check_marks(trace.lines, SOURCE, {"rounds": 2}, only={"early", "kept", "copy"} - left_out)
    assert trace.report["unknown_frees"] == 2  # two old blocks, allocated before
    assert trace.report["lost_events"] == 0 and trace.report["complete"] is True
    trace.check_sums()


def test_again(start, tmp_path):
    """Each time has a trace of its own, which knows nothing of the time in between, and of the threads and lines of the time before."""
    program = start(target("attached"))
    for number in range(3):
        attach(program.pid, tmp_path / f"{number}.heapline")
        program.go_on(number + 1)
        detach(program.pid)
        program.go_on()
    assert program.finish() == 17
    for number in range(3):
        trace = Trace(tmp_path / f"{number}.heapline")
        check_marks(trace.lines, SOURCE, {"rounds": number + 1}, only={"early", "kept", "copy"})
        assert trace.report["lost_events"] == 0 and trace.report["complete"] is True
        trace.check_sums()


@pytest.mark.parametrize("first", [0, "64K"], ids=["exact", "sample"])
def test_again_after_another_interval(start, tmp_path, first):
    """A recording begins as the first one did, whatever 'heapline sample' has changed since: all of its threads, from their first event on."""
    program = start(target("attached"))
    options = ["--sample", first] if first else []
    for number in range(3):
        attach(program.pid, tmp_path / f"{number}.heapline", *options)
        program.go_on(2)
        if number < 2:
            assert heapline("sample", program.pid, 0 if first else "64K").returncode == 0
            program.go_on(2)
        detach(program.pid)
    for number, others in enumerate([65536, 65536, 65536 if first else 0]):
        trace = Trace(tmp_path / f"{number}.heapline")
        changes = [change["sampling_interval_bytes"] for change in trace.report["sampling_changes"]]
        assert trace.report["sampling_interval_bytes"] == others and trace.report["lost_events"] == 0
        assert changes == ([] if number == 2 else [65536, 0] if first else [0, 65536])
    if not first:
        check_marks(Trace(tmp_path / "2.heapline").lines, SOURCE, {"rounds": 2}, only={"early", "kept", "copy"})
    assert program.finish() == 17


def is_rotated(trace):
    """A flag of the header (docs/trace_format.md)."""
    return bool(trace.path.read_bytes()[64] & 8)


@pytest.mark.parametrize("value", ["20K", "100ms", "1h"])
def test_rotated(start, tmp_path, value):
    """By size and time, the first time and again; each recording has its own bound, or none."""
    program = start(target("attached"))
    for number, options in enumerate([["--rotate", value], [], ["--rotate", value, "--max-trace-size", "2M"], ["--max-trace-size", "2M"]]):
        attach(program.pid, tmp_path / f"{number}.heapline", *options)
        program.go_on(2)
        detach(program.pid)
        trace = Trace(tmp_path / f"{number}.heapline")
        assert is_rotated(trace) is ("--rotate" in options)
        check_marks(trace.lines, SOURCE, {"rounds": 2}, only={"early", "kept", "copy"})
        assert trace.report["lost_events"] == 0 and trace.report["complete"] is True
        trace.check_sums()
    assert program.finish() == 17


def test_room_is_made(start, tmp_path):
    """A recording that begins again stays within its bound, and its figures are those of all that happened."""
    program = start(sys.executable, SOURCES / "python" / "churned.py")
    attach(program.pid, tmp_path / "0.heapline")
    detach(program.pid)
    attach(program.pid, tmp_path / "1.heapline", "--rotate", "20K", "--max-trace-size", "1M")
    program.go_on(3)
    detach(program.pid)
    assert program.finish() == 0
    trace = Trace(tmp_path / "1.heapline")
    assert trace.path.stat().st_size <= 1 << 20 and 0 < trace.report["events_from_ns"] < trace.report["duration_ns"]
    check_marks(trace.lines, SOURCES / "python" / "churned.py", {"rounds": 3})
    assert trace.report["lost_events"] == 0 and trace.report["complete"] is True
    trace.check_sums(stacks=False)


@pytest.mark.parametrize("options", [["--rotate", "30m"], ["--rotate", "999999999d"], ["--rotate", "1h", "--max-trace-size", "0"]], ids=" ".join)
def test_rotation_refused(options):
    result = heapline("attach", *options, os.getpid())
    assert result.returncode == 2 and b"attach: --rotate" in result.stderr


def test_to_the_end(start, tmp_path):
    program = start(target("attached"))
    attach(program.pid, tmp_path / "t.heapline")
    program.go_on(2)
    assert program.finish() == 17
    deadline = time.monotonic() + 30
    while not Trace(tmp_path / "t.heapline").report["complete"] and time.monotonic() < deadline:
        time.sleep(0.05)
    trace = Trace(tmp_path / "t.heapline")
    check_marks(trace.lines, SOURCE, {"rounds": 2}, only={"early", "kept", "copy"})
    assert trace.report["processes"][0]["exit"] == 17


@every_layout
@pytest.mark.parametrize("options", [[], ["--native"]], ids=["plain", "native"])
def test_python(start, tmp_path, python, options):
    program = start(python.path, SCRIPT)
    program.go_on()
    for number in range(2):
        attach(program.pid, tmp_path / f"{number}.heapline", *options)
        program.go_on(number + 1)
        detach(program.pid)
        program.go_on()
    assert program.finish() in range(5)  # its main thread may come by, or wait
    for number in range(2):
        trace = Trace(tmp_path / f"{number}.heapline")
        check_marks(trace.lines, SCRIPT, {"rounds": number + 1})
        assert trace.report["lost_events"] == 0 and trace.report["complete"] is True


# ---- by the interpreter ----

def leftovers(word):
    """Scripts below /tmp that have this word in what they pass on."""
    pattern = "".join(f"\\x{byte:02x}" for byte in str(word).encode())
    return [script for script in pathlib.Path("/tmp").glob("heapline-attach-*/*") if pattern in script.read_text()]


@that_take_scripts
@pytest.mark.parametrize("options", [[], ["--native"]], ids=["plain", "native"])
def test_python_that_comes_by(start, tmp_path, python, options):
    """Its main thread runs Python code: it loads the recorder, calls it, and puts its hooks away again, by itself."""
    program = start(python.path, SCRIPT, "busy")
    program.go_on()
    for number in range(2):
        attach(program.pid, tmp_path / f"{number}.heapline", *options)
        program.go_on(number + 1)
        detach(program.pid)
        program.go_on()
    assert program.finish() == 4
    for number in range(2):
        trace = Trace(tmp_path / f"{number}.heapline")
        check_marks(trace.lines, SCRIPT, {"rounds": number + 1})
        assert trace.report["lost_events"] == 0 and trace.report["complete"] is True
    assert leftovers(tmp_path) == []


def await_reading(pid):
    while not pathlib.Path(f"/proc/{pid}/syscall").read_text().startswith("0 "):
        time.sleep(0.001)


@that_take_scripts
@pytest.mark.parametrize("arguments", [[SCRIPT], ["-X", "disable-remote-debug", SCRIPT, "busy"]], ids=["waiting", "disabled"])
def test_python_that_does_not_come_by(start, tmp_path, python, arguments):
    """A thread is stopped instead, and the script, which has been taken back, never runs."""
    program = start(python.path, *arguments)
    program.go_on()
    is_waiting = arguments == [SCRIPT]
    if is_waiting:
        await_reading(program.pid)
    attach(program.pid, tmp_path / "t.heapline")
    program.go_on(2)
    if is_waiting:
        await_reading(program.pid)
    detach(program.pid)
    program.go_on()
    assert program.finish() == 0
    trace = Trace(tmp_path / "t.heapline")
    check_marks(trace.lines, SCRIPT, {"rounds": 2})
    assert trace.report["lost_events"] == 0 and trace.report["complete"] is True
    assert leftovers(tmp_path) == []


def test_forked_child(start, tmp_path):
    program = start(target("attached"), "fork")
    attach(program.pid, tmp_path / "t.heapline")
    program.go_on()
    detach(program.pid)
    trace = Trace(tmp_path / "t.heapline")
    check_marks(trace.lines, SOURCE, {"rounds": 1}, only={"kept", "copy"})
    (child,) = [traces[0] for traces in trace.children().values()]
    (row,) = [row for row in child.lines if row["function"] == "work" and row["allocated_bytes"]][:1]
    assert row["allocations"] == 10 and row["allocated_bytes"] == 7000
    assert program.finish() == 17


def test_children_that_execute(start, tmp_path):
    """They run as ever, and are named: nothing was put into their environment."""
    program = start("/usr/bin/python3", "-c", "import os, subprocess, sys\nnumber = 0\nprint(0, os.getpid(), flush=True)\nfor line in sys.stdin:\n"
                    "    number += 1\n    assert subprocess.run(['/bin/echo', 'hello'], stdout=subprocess.DEVNULL).returncode == 0\n"
                    "    pid = os.fork()\n    if pid == 0:\n        os.execv('/bin/true', ['true'])\n    assert os.waitpid(pid, 0)[1] == 0\n"
                    "    print(number, flush=True)")
    attach(program.pid, tmp_path / "t.heapline")
    program.go_on(2)
    detach(program.pid)
    assert program.finish() == 0
    trace = Trace(tmp_path / "t.heapline")
    named = [(process["command"], process["unrecorded"]) for process in trace.report["processes"] if process["unrecorded"]]
    assert sorted(named) == sorted([("/bin/echo", "started without the recorder in its environment"),
                                    ("/bin/true", "started without the recorder in its environment")] * 2)


def test_forked_while_detached(start, tmp_path):
    """The child has the library, and no recorder."""
    program = start(target("attached"), "fork")
    attach(program.pid, tmp_path / "t.heapline")
    detach(program.pid)
    program.go_on()
    attach(program.pid, tmp_path / "u.heapline")
    program.go_on()
    detach(program.pid)
    assert program.finish() == 17
    assert sorted(path.name for path in tmp_path.glob("*.heapline*") if path.suffix != ".report") == ["t.heapline", "u.heapline"]
    check_marks(Trace(tmp_path / "u.heapline").lines, SOURCE, {"rounds": 1}, only={"early", "kept", "copy"})


# ---- a busy server ----

def run_server(tmp_path, cycles, *arguments):
    server = subprocess.Popen([target("server"), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=clean_environment())
    pid = int(server.stdout.readline().split()[1])
    try:
        for number in range(cycles):
            attach(pid, tmp_path / f"{number}.heapline")
            time.sleep(0.02)
            detach(pid)
    finally:
        output, errors = server.communicate(timeout=60)
    assert server.returncode == 0 and errors == b""
    facts = dict(word.split("=") for word in output.decode().split())
    assert int(facts["answers"]) > 0 and facts["wrong"] == "0" and facts["interruptions"] == "0"


@pytest.mark.parametrize("arguments", [["4"], ["2", "computing"]], ids=["waiting", "computing"])
def test_server_is_not_disturbed(tmp_path, arguments):
    run_server(tmp_path, 10, *arguments)
    for number in range(10):
        report = Trace(tmp_path / f"{number}.heapline").report
        assert report["complete"] is True and report["lost_events"] == 0
        assert report["allocations"] > 0


def test_example_of_the_page(tmp_path):
    page = (ROOT / "docs" / "attach.md").read_text()
    (session,) = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "heapline").symlink_to(HEAPLINE)
    environment = clean_environment(PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    with subprocess.Popen([target("server")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment()) as server:
        pid = int(server.stdout.readline().split()[1])
        commands = [line.partition("#")[0].strip() for line in session.replace("4711", str(pid)).splitlines()]
        said = []
        for command in commands:
            result = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
            assert result.returncode == 0, f"{command}: {result.stderr}"
            said.append(result.stdout)
            time.sleep(0.2)
        server.communicate()
        assert server.returncode == 0
    begun, named = said[0].splitlines()  # the server's own client is a child of it
    assert begun == f"process {pid} is recorded from now on, into server.{pid}.heapline; 'heapline detach {pid}' ends it"
    assert named.startswith("a process that it has started before is not recorded by that")
    assert "server.c:" in said[3] and "allocate_answer" in said[3]


# ---- what can't be done ----

def test_twice(start, tmp_path):
    program = start(target("attached"))
    assert "has no recorder" in refusal(program.pid, command="detach")
    attach(program.pid, tmp_path / "t.heapline")
    assert f"is recorded already, into {tmp_path}/t.heapline" in refusal(program.pid)
    detach(program.pid)
    assert "was detached from already" in refusal(program.pid, command="detach")
    assert "was detached from" in refusal(program.pid, command="start")
    assert "with other options (copies)" in refusal(program.pid, "--native", "-o", tmp_path / "u.heapline")
    program.go_on()
    assert program.finish() == 17


def test_output_is_kept(start, tmp_path):
    program = start(target("attached"))
    (tmp_path / "t.heapline").write_text("mine")
    result = heapline("attach", "-o", tmp_path / "t.heapline", program.pid)
    assert result.returncode == 2 and b"exists" in result.stderr
    assert (tmp_path / "t.heapline").read_text() == "mine"
    names = [f"attached.{program.pid}.heapline", f"attached.{program.pid}.2.heapline"]
    for _ in names:
        result = heapline("attach", program.pid, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        detach(program.pid)
    assert sorted(path.name for path in tmp_path.glob("attached.*")) == sorted(names)


def test_started_with_the_recorder(tmp_path):
    with subprocess.Popen([BUILD / "cli" / "heapline", "run", "--quiet", "--paused", "-o", tmp_path / "t.heapline", "--", target("attached")],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment()) as process:
        pid = int(process.stdout.readline().split()[1])
        assert f"which is paused: 'heapline start {pid}'" in refusal(pid)
        assert heapline("start", pid).returncode == 0
        assert "is recorded already" in refusal(pid)
        assert "'heapline stop' ends the recording" in refusal(pid, command="detach")


@pytest.fixture
def sleeper():
    """sleeper(command …, ready=…) -> its process id, once ready(its folder in /proc) is true."""
    processes = []

    def begin(*command, ready):
        processes.append(subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, env=clean_environment()))
        folder = pathlib.Path(f"/proc/{processes[-1].pid}")
        deadline = time.monotonic() + 20
        while not ready(folder):
            assert processes[-1].poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        return processes[-1].pid

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def is_executed(name):
    return lambda folder: (folder / "comm").read_text() == name + "\n"


def is_running(name):
    """Executed, and its loader has mapped the C library: for programs that have one."""
    return lambda folder: is_executed(name)(folder) and "/libc.so.6\n" in (folder / "maps").read_text()


def test_no_such_process():
    assert "process 4194305 does not exist" in refusal(4194305)


@pytest.mark.parametrize("option", ["-static", "-static-pie"])
def test_static(tmp_path, sleeper, option):
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no compiler")
    (tmp_path / "sleep.c").write_text("#include <unistd.h>\nint main(void) { return (int)sleep(60); }\n")
    subprocess.run([compiler, option, tmp_path / "sleep.c", "-o", tmp_path / "sleeps"], check=True)
    assert "is statically linked" in refusal(sleeper(tmp_path / "sleeps", ready=is_executed("sleeps")))


def test_loader_runs_the_program(tmp_path, sleeper):
    """What the kernel has executed names no loader, as a static program, because it is one."""
    loader = "/lib64/ld-linux-x86-64.so.2"
    pid = sleeper(loader, "/bin/sleep", "60", ready=is_running("ld-linux-x86-64"))
    attach(pid, tmp_path / "t.heapline")
    detach(pid)
    assert Trace(tmp_path / "t.heapline").report["complete"] is True


@pytest.fixture
def starting(tmp_path, sleeper):
    """(its process id, go_on()): a program just executed, whose loader waits for a library to preload before it maps the C library."""
    fifo = tmp_path / "preloaded.so"
    os.mkfifo(fifo)

    def go_on():
        with open(fifo, "wb"):  # the loader gets the end of a file, and goes on without
            fifo.unlink()  # and programs that it executes don't wait
        while not is_running("sleep")(folder):
            time.sleep(0.01)

    pid = sleeper("env", f"LD_PRELOAD={fifo}", "/bin/sleep", "60", ready=is_executed("sleep"))
    folder = pathlib.Path(f"/proc/{pid}")
    return pid, go_on


def test_only_just_started(starting, tmp_path):
    pid, go_on = starting
    assert f"process {pid} has not loaded a C library (libc.so.6) yet: try again" in refusal(pid)
    go_on()
    attach(pid, tmp_path / "t.heapline")


def test_started_meanwhile(starting, tmp_path):
    """It is waited for. Whoever waits is held meanwhile, so that the test depends on nobody's pace."""
    pid, go_on = starting
    trace = tmp_path / "t.heapline"
    with subprocess.Popen([HEAPLINE, "attach", "-o", trace, str(pid)], stdout=subprocess.PIPE, env=clean_environment()) as waiting:
        while not pathlib.Path(f"/proc/{waiting.pid}/syscall").read_text().startswith("230 "):  # clock_nanosleep
            assert waiting.poll() is None
        waiting.send_signal(signal.SIGSTOP)
        go_on()
        waiting.send_signal(signal.SIGCONT)
        assert f"process {pid} is recorded from now on, into " in waiting.communicate(timeout=60)[0].decode()
        assert waiting.returncode == 0
    detach(pid)
    assert Trace(trace).report["complete"] is True


def test_musl(tmp_path, sleeper):
    compiler = shutil.which("musl-gcc")
    if not compiler:
        pytest.skip("no musl")
    (tmp_path / "sleep.c").write_text("#include <unistd.h>\nint main(void) { return (int)sleep(60); }\n")
    subprocess.run([compiler, tmp_path / "sleep.c", "-o", tmp_path / "sleeps"], check=True)
    assert "uses musl instead of glibc" in refusal(sleeper(tmp_path / "sleeps", ready=is_executed("sleeps")))


def test_32_bit(tmp_path, sleeper):
    source, program = tmp_path / "wait.s", tmp_path / "wait32"
    source.write_text(".globl _start\n_start: mov $29, %eax\nint $0x80\njmp _start\n")  # pause(2)
    for command in (["as", "--32", "-o", f"{program}.o", source], ["ld", "-m", "elf_i386", "-o", program, f"{program}.o"]):
        if subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("no 32-bit programs can be made here")
    try:
        pid = sleeper(program, ready=is_executed("wait32"))
    except OSError:
        pytest.skip("the kernel runs no 32-bit programs")
    assert "is a 32-bit program: only 64-bit ones can be recorded" in refusal(pid)


def test_stopped(sleeper):
    pid = sleeper("/bin/sleep", "60", ready=is_running("sleep"))
    os.kill(pid, signal.SIGSTOP)
    while "State:\tT" not in pathlib.Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.01)
    assert f"is stopped: let it go on first ('kill -CONT {pid}')" in refusal(pid)


def test_traced(sleeper):
    if not shutil.which("strace"):
        pytest.skip("no strace")
    def sleeping(folder):
        """Its child that runs sleep: it has others, for a moment, to try things out."""
        for child in (folder / "task" / folder.name / "children").read_text().split():
            try:
                status = pathlib.Path(f"/proc/{child}/status").read_text()
            except FileNotFoundError:
                continue
            if f"TracerPid:\t{folder.name}\n" in status and "Name:\tsleep\n" in status:
                return child
        return None

    tracer = sleeper("strace", "-o", "/dev/null", "/bin/sleep", "60", ready=sleeping)
    pid = sleeping(pathlib.Path(f"/proc/{tracer}"))
    assert f"is being traced by process {tracer} (strace)" in refusal(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("kind, words", [("--net", "a network of its own"), ("--pid", "process ids for its children of its own")])
def test_container(sleeper, kind, words):
    command = ["unshare", kind, *(["--fork", "--kill-child"] if kind == "--pid" else []), "/bin/sleep", "60"]
    name = "net" if kind == "--net" else "pid_for_children"

    def is_elsewhere(folder):
        return os.readlink(folder / "ns" / name) != os.readlink(f"/proc/self/ns/{name}")

    assert f"is in a container (it has {words})" in refusal(sleeper(*command, ready=is_elsewhere))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_root(tmp_path, sleeper):
    """A folder with all that sleep needs, and without the recorder."""
    libraries = [word for word in subprocess.run(["ldd", "/bin/sleep"], capture_output=True, text=True).stdout.split() if word.startswith("/")]
    for path in ["/bin/sleep", *libraries]:
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / path[1:])
    assert "does not see " in refusal(sleeper("chroot", tmp_path, "/bin/sleep", "60", ready=is_running("sleep")))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_another_user(sleeper):
    pid = sleeper("/bin/sleep", "60", ready=is_running("sleep"))
    result = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", BUILD / "cli" / "heapline", "attach", str(pid)],
                            capture_output=True, text=True, env=clean_environment())
    assert result.returncode == 4 and "is another user's" in result.stderr


# Executes its arguments in a mount namespace in which the kernel says this ptrace_scope, as this user, with ptrace refused as that would.
SCOPED = """
import ctypes, os, pathlib, sys
scope, user, *command = sys.argv[1:]
libc = ctypes.CDLL(None)
assert libc.unshare(0x20000) == 0 and libc.mount(b"none", b"/", None, 0x44000, None) == 0
assert libc.mount(b"none", b"/proc/sys/kernel", b"tmpfs", 0, None) == 0
yama = pathlib.Path("/proc/sys/kernel/yama")
yama.mkdir()
(yama / "ptrace_scope").write_text(scope + "\\n")
os.setresuid(int(user), int(user), int(user))
class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("t", ctypes.c_ubyte), ("f", ctypes.c_ubyte), ("k", ctypes.c_uint)]
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]
filters = (Filter * 4)(Filter(0x20, 0, 0, 0), Filter(0x15, 0, 1, 101), Filter(6, 0, 0, 0x50001), Filter(6, 0, 0, 0x7fff0000))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(Program(4, filters))) == 0
os.execv(command[0], command)
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
@pytest.mark.parametrize("scope, user, words", [
    (1, 65534, "kernel.yama.ptrace_scope is 1, which allows it to root only; 'sysctl kernel.yama.ptrace_scope=0' or sudo"),
    (2, 65534, "kernel.yama.ptrace_scope is 2, which allows it to root only; 'sysctl kernel.yama.ptrace_scope=0' or sudo"),
    (3, 65534, "this system allows no tracing at all (kernel.yama.ptrace_scope is 3 until it is restarted)"),
    (3, 0, "this system allows no tracing at all (kernel.yama.ptrace_scope is 3 until it is restarted)"),
    (0, 0, "the system does not permit it (it is privileged or has made itself undumpable"),
])
def test_ptrace_scope(sleeper, scope, user, words):
    pid = sleeper("setpriv", "--reuid", user, "--clear-groups", "/bin/sleep", "60", ready=is_running("sleep"))
    result = subprocess.run(["/usr/bin/python3", "-c", SCOPED, str(scope), str(user), HEAPLINE, "attach", str(pid)],
                            capture_output=True, text=True, cwd="/tmp", env=clean_environment(), timeout=60)
    assert result.returncode == 4 and f"process {pid} can't be attached to: {words}" in result.stderr, result.stderr
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert "State:\tS" in status and "TracerPid:\t0\n" in status


def test_confined(tmp_path, sleeper):
    """A filter of its own that allows everything: what it allows can't be told from outside."""
    script = tmp_path / "confined.py"
    script.write_text("import ctypes, time\n"
                      "libc = ctypes.CDLL(None)\n"
                      "class Filter(ctypes.Structure):\n"
                      "    _fields_ = [('code', ctypes.c_ushort), ('t', ctypes.c_ubyte), ('f', ctypes.c_ubyte), ('k', ctypes.c_uint)]\n"
                      "class Program(ctypes.Structure):\n"
                      "    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.POINTER(Filter))]\n"
                      "allow = Filter(6, 0, 0, 0x7fff0000)\n"
                      "assert libc.prctl(38, 1, 0, 0, 0) == 0\n"
                      "assert libc.prctl(22, 2, ctypes.byref(Program(1, ctypes.pointer(allow)))) == 0\n"
                      "time.sleep(60)\n")
    assert "is confined (seccomp)" in refusal(sleeper("/usr/bin/python3", script, ready=lambda folder: "Seccomp:\t2" in (folder / "status").read_text()))
