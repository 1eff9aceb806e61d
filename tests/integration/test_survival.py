"""What happens to a program, or to its collector, is survived: the program does what it would have done, and the trace reads."""

import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import time

import pytest

from recording import BUILD, HEAPLINE, Trace, clean_environment, collector_of, completed, heapline, run_bare, target

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ROUNDS = 1000000


def start(trace, *command, options=(), **more):
    return subprocess.Popen([HEAPLINE, "run", "--quiet", *options, "-o", trace, "--", *map(str, command)],
                            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def collector_for(trace):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        collector = collector_of(trace) if trace.exists() else None
        if collector:
            return collector
        time.sleep(0.002)
    raise AssertionError("no collector")


def program_of(run):
    """What `heapline run` runs, by its process id."""
    (child,) = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    return int(child)


def ended(run, status, output=b""):
    stdout, stderr = run.communicate(timeout=60)
    assert (run.returncode, stdout) == (status, output), stderr
    return stderr


@pytest.fixture(scope="module")
def all_events(tmp_path_factory):
    """How many events many_events makes where nothing happens to anybody."""
    trace = tmp_path_factory.mktemp("whole") / "t.heapline"
    assert heapline("run", "--quiet", "-o", trace, "--", target("many_events"), ROUNDS).returncode == 13
    report = Trace(trace).report
    assert report["complete"] is True and report["lost_events"] == 0
    return report["events"]


# ---- the collector ----

def killed_in_time(tmp_path, begin, delay):
    """The trace of a run that begin(trace) starts, whose collector was killed after so many seconds, while the program went on: on a busy machine
    it may have ended before."""
    for attempt in range(10):
        trace = tmp_path / f"{attempt}.{begin.__name__}.heapline"
        run, collector = begin(trace), None
        while not collector and run.poll() is None:
            time.sleep(0.002)
            collector = collector_of(trace) if trace.exists() else None
        time.sleep(delay)
        try:
            if collector:
                os.kill(collector, signal.SIGKILL)
        except ProcessLookupError:
            pass
        ended(run, 13, b"many_events: done\n")
        if Trace(trace).report["complete"] is False:
            return trace
    raise AssertionError("whenever the collector was killed, the trace is complete")


def check_cut(trace, all_events):
    """All that the program did is in the trace, or counted as lost."""
    report = trace.check_sums().report
    assert report["complete"] is False and report["has_end"] is False and report["damage"] is None
    assert report["cut"] == "the collector was killed" and report["lost_events"] > 0
    # An event that the thread was about to write when it learned of it may be counted twice, or be neither.
    assert abs(report["events"] + report["lost_events"] - all_events) <= 2
    text = heapline("report", trace.path).stdout.decode()
    assert "the trace was cut (the collector was killed)" in " ".join(text.split()) and "lost: figures lack" in text


@pytest.mark.parametrize("round", range(6))
def test_collector_killed(tmp_path, all_events, round):
    """At any moment: the program goes on to its end, and what it did afterwards is counted."""
    def begin(trace):
        return start(trace, target("many_events"), ROUNDS)

    check_cut(Trace(killed_in_time(tmp_path, begin, 0.06 * random.uniform(0, 1) * round / 5)), all_events)


@pytest.mark.parametrize("options", [[], ["--sample", "1"]], ids=["exact", "sample"])
def test_collector_of_an_idle_program_killed(tmp_path, options):
    """Nobody notices before the program's end, as its events fit: they are counted then. By a mean of one byte hardly a block is missed."""
    trace = tmp_path / "t.heapline"
    code = "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\nkept = [bytearray(100) for i in range(1000)]\nraise SystemExit(5)"
    run = subprocess.Popen([HEAPLINE, "run", "--quiet", *options, "-o", trace, "-c", code], env=clean_environment(), stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline() == b"ready\n"
    os.kill(collector_for(trace), signal.SIGKILL)
    stdout, stderr = run.communicate(b"\n", timeout=60)
    assert (run.returncode, stdout, stderr) == (5, b"", b"")
    report = Trace(trace).check_sums().report
    assert report["complete"] is False and report["cut"] == "the collector was killed" and report["lost_events"] >= 2000


def counted(trace, all_events):
    """The report, once what is missing is counted: a program that ends doesn't wait for that for ever."""
    deadline = time.monotonic() + 30
    while True:
        report = Trace(trace).check_sums().report
        if abs(report["events"] + report["lost_events"] - all_events) <= 2:
            return report
        assert time.monotonic() < deadline, report
        time.sleep(0.1)


def test_collector_of_a_bounded_trace_killed(tmp_path):
    """Also where events are added up: sums until then stay, and what is missing is counted."""
    options, rounds = ["--max-trace-size", "1M"], 5 * ROUNDS
    whole = tmp_path / "whole.heapline"
    assert heapline("run", "--quiet", *options, "-o", whole, "--", target("many_events"), rounds).returncode == 13
    trace = tmp_path / "t.heapline"
    run = start(trace, target("many_events"), rounds, options=options)
    collector = collector_for(trace)
    while trace.stat().st_size < 1 << 16:
        time.sleep(0.002)
    # It stands still while it is looked at, so that it hasn't ended when the trace is seen to be full.
    program = program_of(run)
    os.kill(program, signal.SIGSTOP)
    while not Trace(trace).report["stream_truncated"]:
        os.kill(program, signal.SIGCONT)
        time.sleep(0.02)
        os.kill(program, signal.SIGSTOP)
    os.kill(collector, signal.SIGKILL)
    os.kill(program, signal.SIGCONT)
    ended(run, 13, b"many_events: done\n")
    report = counted(trace, Trace(whole).report["events"])
    assert report["complete"] is False and report["has_end"] is False and report["damage"] is None and report["stream_truncated"] is True
    assert report["cut"] == "the collector was killed" and report["lost_events"] > 0


def test_collector_of_a_rotated_trace_killed(tmp_path):
    """Whatever it was doing at the moment: what is missing is counted."""
    options, rounds = ["--rotate", "20K", "--max-trace-size", "1M"], 5 * ROUNDS
    whole = tmp_path / "whole.heapline"
    assert heapline("run", "--quiet", *options, "-o", whole, "--", target("many_events"), rounds).returncode == 13

    def begin(trace):
        return start(trace, target("many_events"), rounds, options=options)

    for attempt in range(6):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        trace = killed_in_time(folder, begin, random.uniform(0, 0.3))
        report = counted(trace, Trace(whole).report["events"])
        assert report["complete"] is False and report["has_end"] is False and report["damage"] is None
        assert report["cut"] == "the collector was killed" and report["lost_events"] > 0


@pytest.mark.parametrize("options", ["", ",rotate=20K,max-trace-size=1M"], ids=["listed", "rotated"])
def test_collector_of_a_sample_killed(tmp_path, options):
    """The program goes on sampling, by the same seed, to its end: what the sample lacks is counted."""
    def started(trace):
        environment = clean_environment(LD_PRELOAD=next(BUILD.glob("lib/**/libheapline.so")), HEAPLINE_OUTPUT=trace,
                                        HEAPLINE_OPTIONS="sample=10K,seed=5" + options)
        return subprocess.Popen([target("many_events"), str(ROUNDS)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    whole = tmp_path / "whole.heapline"
    ended(started(whole), 13, b"many_events: done\n")
    events = completed(whole).report["events"]
    assert 300_000 < events < 500_000  # of two million
    report = counted(killed_in_time(tmp_path, started, 0), events)
    assert report["complete"] is False and report["has_end"] is False and report["damage"] is None
    assert report["cut"] == "the collector was killed" and report["lost_events"] > 0


def test_collector_killed_and_program_too(tmp_path):
    """What nobody counted is said to be unknown, where the program's own end came as a surprise too."""
    trace = tmp_path / "t.heapline"
    run = start(trace, target("random_blocks"), 100000, "sleep")
    assert run.stdout.readline() == b"ready\n"
    os.kill(collector_for(trace), signal.SIGKILL)
    os.kill(program_of(run), signal.SIGKILL)
    run.communicate(timeout=60)
    assert run.returncode == -signal.SIGKILL
    report = Trace(trace).check_sums().report
    assert report["complete"] is False and report["has_end"] is False and report["damage"] is None
    assert "has no end" in heapline("report", trace).stdout.decode()


def test_collector_stopped(tmp_path, all_events):
    """A program whose collector doesn't run is not held up for ever; what didn't fit is counted, and recording goes on with the collector."""
    trace = tmp_path / "t.heapline"
    run = start(trace, target("many_events"), ROUNDS)
    collector = collector_for(trace)
    os.kill(collector, signal.SIGSTOP)
    try:
        assert run.stdout.readline() == b"many_events: done\n"
    finally:
        os.kill(collector, signal.SIGCONT)
    ended(run, 13)
    report = completed(trace).check_sums().report
    assert report["has_end"] is True and report["damage"] is None and report["cut"] is None
    assert report["lost_events"] > 0 and report["events"] > 0
    # Deallocations of blocks whose allocation was lost are no events, but counted.
    assert abs(report["events"] + report["lost_events"] + report["unknown_frees"] - all_events) <= 2


def test_suspended(tmp_path, all_events):
    """Both stand still, as in a suspended machine, and go on: nothing is lost."""
    trace = tmp_path / "t.heapline"
    run = start(trace, target("many_events"), ROUNDS)
    both = [collector_for(trace), program_of(run)]
    for number in (signal.SIGSTOP, signal.SIGCONT) * 2:
        for pid in both:
            os.kill(pid, number)
        time.sleep(0.5 if number == signal.SIGSTOP else 0.05)
    ended(run, 13, b"many_events: done\n")
    report = completed(trace).check_sums().report
    assert report["lost_events"] == 0 and report["events"] == all_events and report["duration_ns"] > 1_000_000_000


# ---- the program ----

def test_fault(tmp_path):
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "-o", trace, "-c", "import ctypes; kept = bytearray(1 << 20); ctypes.string_at(0)")
    assert result.returncode == -signal.SIGSEGV
    report = Trace(trace).check_sums(stacks=False).report
    assert report["complete"] is False and report["has_end"] is True and report["damage"] is None
    assert report["processes"][0]["exit"] == -signal.SIGSEGV
    assert report["live_bytes_at_end"] > 1 << 20 and report["lost_events"] == 0


def test_killed_as_it_starts(tmp_path):
    """Before the recorder is up, while it comes up, and after: what is there reads, and nobody waits for what is not."""
    read = 0
    for attempt in range(12):
        trace = tmp_path / f"{attempt}.heapline"
        run = start(trace, target("many_events"), ROUNDS)
        time.sleep(0.03 * attempt / 11)
        children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        run.communicate(timeout=60)
        assert run.returncode == (-signal.SIGKILL if children else 13)
        if trace.exists():
            report = Trace(trace).report
            assert report["complete"] is not bool(children) and report["damage"] is None and report["lost_events"] == 0
            read += 1
    assert read > 0


@pytest.mark.parametrize("before", [
    "os.closerange(0, 4096)",
    "os.setgid(65534); os.setuid(65534)",
    "os.mkdir('root'); os.chroot('root'); os.chdir('/')",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
    "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))",
    "resource.setrlimit(resource.RLIMIT_STACK, (65536, 65536))",
], ids=["closed", "unprivileged", "chroot", "nofile", "fsize", "nproc", "stack"])
def test_restricts_itself(tmp_path, before):
    """What the program does to itself once it runs is no concern of the collector."""
    if os.geteuid() != 0 and ("setuid" in before or "chroot" in before):
        pytest.skip("needs root")
    trace = tmp_path / "t.heapline"
    code = f"import os, resource; {before}; kept = [bytearray(1000) for i in range(5000)]; os._exit(7)"
    result = heapline("run", "--quiet", "-o", trace, "-c", code, cwd=tmp_path)
    assert result.returncode == 7, result.stderr
    report = completed(trace).check_sums(stacks=False).report
    assert report["complete"] is True and report["lost_events"] == 0 and report["live_bytes_at_end"] > 5000 * 1000


LIMITS = {"as": (resource.RLIMIT_AS, 150 << 20), "nofile": (resource.RLIMIT_NOFILE, 4), "fsize": (resource.RLIMIT_FSIZE, 100000),
          "nproc": (resource.RLIMIT_NPROC, 1), "stack": (resource.RLIMIT_STACK, 128 << 10)}


@pytest.mark.parametrize("name", LIMITS)
def test_started_with_little(tmp_path, name):
    """The same output and status as without the recorder, whether or not there is room for that."""
    def lower():
        resource.setrlimit(LIMITS[name][0], (LIMITS[name][1],) * 2)

    bare = run_bare(target("many_events"), 30000, preexec_fn=lower)
    trace = tmp_path / "t.heapline"
    library = next(BUILD.glob("lib/**/libheapline.so"))
    environment = clean_environment(LD_PRELOAD=library, HEAPLINE_OUTPUT=trace)
    result = subprocess.run([target("many_events"), "30000"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                            preexec_fn=lower)
    assert (result.returncode, result.stdout, result.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    if trace.exists():
        report = completed(trace).check_sums().report
        assert report["lost_events"] == 0 and report["allocations"] >= 30000


def processes_of(folder):
    """The collectors that write into the folder, and the programs that run for it."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            is_collector = (entry / "comm").read_text() == "heapline-collec\n"
            if is_collector and any(os.readlink(file).startswith(f"{folder}/") for file in (entry / "fd").iterdir()):
                found.append(int(entry.name))
            elif (entry / "cmdline").read_bytes().startswith(os.fsencode(target("children")) + b"\0") and \
                    os.fsencode(f"={folder}/") in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_anybody_killed(tmp_path):
    """Parents, children and their collectors, at random moments: the command ends, nothing is left behind, and every trace reads."""
    for attempt in range(16):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        run = start(folder / "t.heapline", target("children"), ("threads", "grandchildren", "fork", "exec")[attempt % 4], "3")
        for _ in range(random.randint(1, 3)):
            time.sleep(random.uniform(0, 0.05))
            for pid in random.sample(found, 1) if (found := processes_of(folder)) else []:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        run.communicate(timeout=60)
        for path in folder.glob("t.heapline*"):
            if path.stat().st_size:
                assert Trace(path).report["damage"] is None
        deadline = time.monotonic() + 10
        while processes_of(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert processes_of(folder) == []


# ---- the machine ----

@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("tmpfs can't be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@needs_root
def test_full_disk(small_disk, all_events):
    trace = small_disk / "t.heapline"
    result = heapline("run", "--quiet", "-o", trace, "--", target("many_events"), ROUNDS)
    assert (result.returncode, result.stdout) == (13, b"many_events: done\n")
    assert b"no space was left" in result.stderr
    found = Trace(trace)
    report = found.check_sums().report
    assert report["complete"] is False and report["damage"] is None and report["cut"] == "No space left on device"
    assert report["events"] > 0 and report["events"] + report["lost_events"] == all_events


@needs_root
@pytest.mark.parametrize("rotate", ["100K", "50ms"])
def test_full_disk_of_a_rotated_trace(small_disk, all_events, rotate):
    """Its bound lets it grow larger than the disk."""
    trace = small_disk / "t.heapline"
    result = heapline("run", "--quiet", "--rotate", rotate, "--max-trace-size", "4M", "-o", trace, "--", target("many_events"), ROUNDS)
    assert (result.returncode, result.stdout) == (13, b"many_events: done\n")
    assert b"no space was left" in result.stderr
    report = Trace(trace).check_sums().report
    assert report["complete"] is False and report["damage"] is None and report["cut"] == "No space left on device"
    assert report["events"] > 0 and report["events"] + report["lost_events"] == all_events


@pytest.fixture
def memory_group():
    """A cgroup with 48 MiB of memory: (the folder, how to enter it)."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = pathlib.Path(root) / f"heapline-test-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(48 << 20))
        except OSError:
            if group.exists():
                group.rmdir()
            continue
        yield group
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                group.rmdir()
                return
            except OSError:
                time.sleep(0.1)
        return
    pytest.skip("no cgroup with a memory limit can be made here")


def test_out_of_memory(tmp_path, memory_group):
    """The kernel kills the program in its cgroup, or the collector, or one after the other: what was recorded reads."""
    trace = tmp_path / "t.heapline"
    code = "kept = []\nwhile True:\n    kept.append(bytearray(b'x') * 100_000)"
    run = subprocess.Popen(["sh", "-c", f"echo $$ > {memory_group}/cgroup.procs && exec \"$@\"", "sh", HEAPLINE, "run", "--quiet", "-o", trace,
                            "-c", code], env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    stdout, stderr = run.communicate(timeout=60)
    assert run.returncode == -signal.SIGKILL, stderr
    report = Trace(trace).check_sums().report
    assert report["complete"] is False and report["damage"] is None
    assert 5 << 20 < report["peak_bytes"] < 48 << 20


UNSHARED = {"user": ["--user", "--map-root-user"], "pid": ["--pid", "--fork", "--mount-proc"], "both": ["--user", "--map-root-user", "--pid", "--fork",
                                                                                                     "--mount-proc"]}


def unshare(kind):
    command = ["unshare", *UNSHARED[kind]]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("unshare: namespaces of this kind can't be made here")
    return command


@pytest.mark.parametrize("kind", UNSHARED)
def test_in_a_namespace(tmp_path, kind):
    """The command and the program are in there."""
    trace = tmp_path / "t.heapline"
    command = unshare(kind)
    result = subprocess.run([*command, HEAPLINE, "run", "--quiet", "-o", trace, "--", target("many_events"), "30000"], env=clean_environment(),
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout) == (13, b"many_events: done\n"), result.stderr
    report = Trace(trace).check_sums().report
    assert report["complete"] is True and report["lost_events"] == 0 and report["allocations"] >= 30000
    assert report["processes"][0]["exit"] == 13


def test_goes_into_a_namespace(tmp_path):
    """The recorded program starts the first process of a namespace of its own, where /proc shows the others."""
    trace = tmp_path / "t.heapline"
    unshare("pid")
    result = heapline("run", "--quiet", "-o", trace, "--", "unshare", "--pid", "--fork", target("many_events"), 300000)
    assert (result.returncode, result.stdout) == (13, b"many_events: done\n"), result.stderr
    (inner,) = [process for process in completed(trace).report["processes"] if process["pid"] == 1]
    assert inner["command"] == f"{target('many_events')} 300000" and inner["allocations"] == 300000
    assert (inner["exit"], inner["complete"], inner["lost_events"]) == (13, True, 0)


def test_first_process_of_a_namespace(tmp_path):
    """It takes all others with it when it ends: its trace is whole all the same, and it sees no child that isn't its own."""
    trace = tmp_path / "t.heapline"
    command = unshare("pid")
    library = next(BUILD.glob("lib/**/libheapline.so"))
    code = ("import os\nassert os.getpid() == 1\nkept = [bytearray(1000) for i in range(5000)]\nif os.fork() == 0:\n    os._exit(3)\n"
            "print(os.waitstatus_to_exitcode(os.wait()[1]))\ntry:\n    os.wait()\nexcept ChildProcessError:\n    print('no other')\nraise SystemExit(9)")
    result = subprocess.run([*command, "env", f"LD_PRELOAD={library}", f"HEAPLINE_OUTPUT={trace}", "HEAPLINE_OPTIONS=no-follow", "/usr/bin/python3",
                             "-c", code], env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (9, b"3\nno other\n", b"")
    report = Trace(trace).check_sums().report
    assert report["complete"] is True and report["lost_events"] == 0 and report["peak_bytes"] > 5000 * 1000
    assert report["processes"][0]["exit"] == 9
