"""heapline run --snapshot-signal, --start-signal, --stop-signal: signals that are meant for the recording."""

import signal

import pytest

from marks import check_marks
from phases import Phases
from recording import SOURCES, Trace, heapline, target


def test_each(tmp_path):
    options = ("--paused", "--start-signal", "SIGUSR1", "--stop-signal", "40", "--snapshot-signal", "usr2")
    program = Phases(tmp_path, target("phases"), options=options, cwd=tmp_path)
    program.go_on()

    def send(number):
        program.process.send_signal(number)
        return program.process.stderr.readline().decode()

    assert send(signal.SIGUSR1) == f"process {program.pid} is recorded from now on, into t.heapline\n"
    program.go_on()
    assert send(signal.SIGUSR2) == "t.snapshot-1.heapline\n"
    assert send(signal.SIGUSR2) == "t.snapshot-2.heapline\n"
    assert send(40) == f"process {program.pid} is no longer recorded; what was is in t.heapline\n"
    run = program.finish()
    for trace in (run, Trace(tmp_path / "t.snapshot-1.heapline"), Trace(tmp_path / "t.snapshot-2.heapline")):
        check_marks(trace.lines, SOURCES / "phases.c", groups=["first"])
        assert trace.report["complete"] is True


def test_others_are_passed_on(tmp_path):
    program = Phases(tmp_path, target("phases"), options=("--snapshot-signal", "USR2"), cwd=tmp_path)
    program.process.send_signal(signal.SIGUSR1)
    program.process.wait(timeout=60)  # before its input ends, which would end it as well
    program.process.communicate()
    assert program.process.returncode == -signal.SIGUSR1


@pytest.mark.parametrize("arguments", [["--snapshot-signal", "KILL"], ["--start-signal", "nothing"], ["--stop-signal", "0"], ["--stop-signal", "99"],
                                       ["--start-signal", "SEGV"], ["--start-signal", "USR1", "--stop-signal", "10"]])
def test_wrong_usage(arguments):
    result = heapline("run", *arguments, "--", "true")
    assert result.returncode == 2 and b"heapline: run: --" in result.stderr
