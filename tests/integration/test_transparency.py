"""A program sees and shows the same with and without the recorder: output, exit status, errno, file descriptors, signals, limits."""

import os
import resource
import signal
import subprocess

import pytest

from marks import check_marks
from recording import HEAPLINE, SOURCES, Trace, clean_environment, run_bare, target


def same(recorded, bare):
    assert recorded.returncode == bare.returncode
    assert recorded.stdout == bare.stdout
    assert recorded.stderr == bare.stderr


def both(record, program, *arguments, check=True, **options):
    """Run it recorded and bare; the recording."""
    recording = record(program, *arguments, check=check, **options)
    options.pop("options", None)
    same(recording, run_bare(program, *arguments, **options))
    return recording


@pytest.mark.parametrize("options", [(), ("--native",)], ids=["plain", "native"])
def test_what_a_program_sees(record, options):
    run = both(record, target("transparent"), "one", "two words", "--help", "-o", "", options=options)
    assert run.returncode == 77 and b"argument 2: [two words]" in run.stdout
    assert run.stderr == b"to stderr\n"


def test_standard_input_is_passed_through(record, tmp_path):
    data = bytes(range(256)) * 4000
    run = record(target("transparent"), stdin=None, input=data)
    bare = run_bare(target("transparent"), stdin=None, input=data)
    same(run, bare)
    assert data in run.stdout


@pytest.mark.parametrize("closed", ["0", "1", "2", "01", "012"])
def test_closed_standard_files(tmp_path, closed):
    """With standard files closed the first open gets their numbers: ours must not take or leak any."""
    redirections = " ".join(f"{number}{'<' if number == '0' else '>'}&-" for number in closed)
    shown = tmp_path / "shown"

    def run(prefix, facts):
        # A file keeps the output where 1 is closed: the program opens it itself.
        script = f'exec {prefix} /bin/sh -c \'ls -l /proc/self/fd | sed "s/.* \\([0-9]*\\) ->.*/\\1/" >"$1"; exit 41\' sh "$1" {redirections}'
        return subprocess.run(["/bin/sh", "-c", script, "sh", str(shown)], env=clean_environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)

    bare = run("", "bare")
    expected = shown.read_text()
    trace = tmp_path / "t.heapline"
    recorded = run(f"{HEAPLINE} run --quiet -o {trace} --", "recorded")
    assert recorded.returncode == bare.returncode == 41
    assert shown.read_text() == expected
    assert (recorded.stdout, recorded.stderr) == (bare.stdout, bare.stderr)
    Trace(trace).check_sums()


def test_many_inherited_descriptors(record):
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(300)]
    for file in files:
        os.set_inheritable(file, True)
    try:
        both(record, target("transparent"), close_fds=False)
    finally:
        for file in files:
            os.close(file)


@pytest.mark.parametrize("limit", [
    pytest.param((resource.RLIMIT_AS, 1 << 30), id="address_space_1G"),
    pytest.param((resource.RLIMIT_NOFILE, 256), id="files_256"),
    pytest.param((resource.RLIMIT_FSIZE, 512 << 20), id="file_size_512M"),
    pytest.param((resource.RLIMIT_STACK, 1 << 20), id="stack_1M"),
    pytest.param((resource.RLIMIT_CORE, 0), id="core_0"),
])
def test_generous_limits_change_nothing(record, limit):
    which, value = limit

    def lower():
        resource.setrlimit(which, (value, value))

    run = both(record, target("simple"), preexec_fn=lower)
    assert run.returncode == 17
    check_marks(run.lines, SOURCES / "simple.c", run.facts)


@pytest.mark.parametrize("limit", [
    pytest.param((resource.RLIMIT_AS, 40 << 20), id="address_space_40M"),
    pytest.param((resource.RLIMIT_NOFILE, 8), id="files_8"),
    pytest.param((resource.RLIMIT_NOFILE, 5), id="files_5"),
    pytest.param((resource.RLIMIT_FSIZE, 4096), id="file_size_4096"),
    pytest.param((resource.RLIMIT_FSIZE, 0), id="file_size_0"),
])
def test_tight_limits_leave_the_program_alone(record, limit):
    """Where there is no room to record, the program runs all the same, or run refuses with status 4 before it starts."""
    which, value = limit

    def lower():
        resource.setrlimit(which, (value, value))

    run = record(target("limited"), "nothing", preexec_fn=lower, check=False)
    if run.returncode == 4:
        assert run.stdout == b"" and run.stderr
    else:
        assert (run.returncode, run.stdout) == (12, b"limited: done\n"), run.stderr


@pytest.mark.parametrize("how", [(), ("exec",)], ids=["itself", "before_exec"])
@pytest.mark.parametrize("what", ["files", "file_size", "address_space", "data", "processes"])
def test_a_program_that_limits_itself(record, what, how):
    """Its own limits must not make the recorder fail the program: 256 MiB of address space, no more files, no bytes to write."""
    run = record(target("limited"), what, *how, check=False)
    bare = run_bare(target("limited"), what, *how)
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout), run.stderr
    if not how:
        check_marks(run.lines, SOURCES / "limited.c", run.facts)


@pytest.mark.parametrize("how, count", [("strict", 1000), ("refused", 300000)])
def test_confined_program(record, how, count):
    """seccomp: recording needs no system call that the program's own rules would answer with death or a refusal."""
    run = record(target("confined"), how, count)
    assert (run.returncode, run.stdout) == (15, b"confined: done\n"), run.stderr
    check_marks(run.lines, SOURCES / "confined.c", run.facts)


def test_niceness(record):
    both(record, target("transparent"), preexec_fn=lambda: os.nice(5))


def test_signal_dispositions_are_inherited(record):
    def ignore():
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    run = both(record, target("transparent"), preexec_fn=ignore)
    assert b"signal 12: ignored" in run.stdout and b"signal 10: blocked" in run.stdout


def test_other_programs(record):
    """Programs of the system, in a pipeline, with output that is a file or a pipe."""
    both(record, "/bin/sh", "-c", "echo one; echo two >&2; exit 5")
    both(record, "/bin/sh", "-c", "seq 1 20000 | sort -rn | head -3; exit 6")
    both(record, "/bin/ls", "-l", "/usr/bin")
    both(record, "/usr/bin/env", "printf", "%s|", "a b", "", "c")


def test_broken_pipe(tmp_path):
    """The reader goes away: the program dies of SIGPIPE as ever."""
    trace = tmp_path / "t.heapline"
    writer = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", trace, "--", "/usr/bin/yes"], env=clean_environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
    assert writer.stdout.readline() == b"y\n"
    writer.stdout.close()
    assert writer.wait(timeout=60) == -signal.SIGPIPE
    assert writer.stderr.read() == b""


def test_closing_report_goes_to_stderr_only(tmp_path):
    trace = tmp_path / "t.heapline"
    result = subprocess.run([HEAPLINE, "run", "-o", trace, "--", target("simple")], env=clean_environment(), stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=60)
    assert result.returncode == 17
    assert result.stdout == b"simple: done\n"
    assert b"simple.c" in result.stderr and b"heapline" in result.stderr
