"""Wrong usage and a hostile world: clear errors with the right status, and a program that always goes on."""

import os
import re
import resource
import signal
import stat
import subprocess

import pytest

from recording import HEAPLINE, Trace, clean_environment, heapline, target

READERS = ["report", "lines", "peak", "copies", "leaks", "timeline", "dump", "sql"]


@pytest.mark.parametrize("program", ["heapline-no-such-program", "/nonexistent/program", "./nothing.py"])
def test_missing_program(tmp_path, program):
    trace = tmp_path / "t.heapline"
    result = heapline("run", "-o", trace, "--", program, cwd=tmp_path)
    assert result.returncode in (2, 4, 127)
    assert program.encode() in result.stderr
    assert not trace.exists()


def test_program_that_is_no_program(tmp_path):
    file = tmp_path / "data"
    file.write_bytes(b"\x00\x01\x02")
    file.chmod(0o755)
    result = heapline("run", "-o", tmp_path / "t.heapline", "--", file)
    assert result.returncode in (2, 126) and str(file).encode() in result.stderr
    file.chmod(0o644)
    result = heapline("run", "-o", tmp_path / "t.heapline", "--", file)
    assert result.returncode in (2, 126) and str(file).encode() in result.stderr


def test_no_program_at_all():
    result = heapline("run")
    assert result.returncode == 2 and result.stderr


@pytest.mark.parametrize("arguments", [["frobnicate"], ["report"], ["lines", "--no-such-option", "x"], ["run", "--no-such-option", "true"]])
def test_wrong_usage(arguments):
    result = heapline(*arguments)
    assert result.returncode == 2
    assert result.stdout == b"" and result.stderr


def test_unwritable_output(tmp_path):
    trace = tmp_path / "no" / "such" / "folder" / "t.heapline"
    result = heapline("run", "-o", trace, "--", target("simple"))
    assert result.returncode in (2, 4)
    assert str(trace).encode() in result.stderr
    assert result.stdout == b"", "the program must not have started"


@pytest.mark.parametrize("name", ["/proc/heapline.trace", "n" * 300])
def test_output_that_cannot_be_made(tmp_path, name):
    """A folder that seems writable (to root, every folder does) isn't enough."""
    result = heapline("run", "-o", name, "--", target("simple"), cwd=tmp_path)
    assert result.returncode == 4
    assert name.encode() in result.stderr
    assert result.stdout == b"", "the program must not have started"
    assert os.listdir(tmp_path) == []


def test_output_is_a_folder(tmp_path):
    result = heapline("run", "-o", tmp_path, "--", target("simple"))
    assert result.returncode in (2, 4) and result.stdout == b"" and str(tmp_path).encode() in result.stderr


def test_existing_output(tmp_path):
    trace = tmp_path / "t.heapline"
    trace.write_bytes(b"precious")
    result = heapline("run", "-o", trace, "--", target("simple"))
    assert result.returncode in (2, 4) and b"--force" in result.stderr
    assert result.stdout == b"" and trace.read_bytes() == b"precious"
    result = heapline("run", "--quiet", "--force", "-o", trace, "--", target("simple"))
    assert result.returncode == 17
    Trace(trace).check_sums()


def test_forced_again_is_the_new_run(tmp_path):
    """A database cached for the old trace must not answer for the new one."""
    trace = tmp_path / "t.heapline"
    assert heapline("run", "--quiet", "-o", trace, "--", target("many_events"), "1000").returncode == 13
    assert Trace(trace).report["allocations"] >= 1000
    before = Trace(trace).report["allocations"]
    assert heapline("run", "--quiet", "--force", "-o", trace, "--", target("many_events"), "2000").returncode == 13
    assert Trace(trace).report["allocations"] == before + 1000


def test_default_output_name(tmp_path):
    result = heapline("run", "--", target("simple"), cwd=tmp_path)
    assert result.returncode == 17
    (trace,) = tmp_path.glob("*.heapline")
    match = re.fullmatch(r"simple\.(\d+)\.heapline", trace.name)
    assert match
    assert Trace(trace).report["processes"][0]["pid"] == int(match[1])
    assert trace.name.encode() in result.stderr


def query_for(command):
    return ["SELECT 1"] if command == "sql" else []


@pytest.mark.parametrize("command", READERS)
def test_missing_trace(tmp_path, command):
    path = tmp_path / "absent.heapline"
    result = heapline(command, path, *query_for(command))
    assert result.returncode == 3 and str(path).encode() in result.stderr and result.stdout == b""


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\necho no trace\n", bytes(100000)], ids=["empty", "script", "zeros"])
def test_not_a_trace(tmp_path, command, content):
    path = tmp_path / "t.heapline"
    path.write_bytes(content)
    result = heapline(command, "--json", path, *query_for(command))
    assert result.returncode == 3 and str(path).encode() in result.stderr and result.stdout == b""


def test_newer_version(tmp_path):
    trace = tmp_path / "t.heapline"
    assert heapline("run", "--quiet", "-o", trace, "--", target("simple")).returncode == 17
    data = bytearray(trace.read_bytes())
    data[8] += 1
    trace.write_bytes(data)
    result = heapline("report", trace)
    assert result.returncode == 3 and b"newer" in result.stderr


def test_trace_is_private(tmp_path):
    """What a program keeps in memory says much about it: others don't get to read it by default."""
    trace = tmp_path / "t.heapline"
    old = os.umask(0o022)
    try:
        heapline("run", "--quiet", "-o", trace, "--", target("simple"))
    finally:
        os.umask(old)
    assert stat.S_IMODE(trace.stat().st_mode) & 0o022 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_full_disk(tmp_path):
    """The disk fills up while recording: the program goes on and ends as ever; what was written reads."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("tmpfs can't be mounted here")
    try:
        trace = disk / "t.heapline"
        result = heapline("run", "-o", trace, "--", target("many_events"), 3000000, timeout=120)
        assert result.returncode == 13 and result.stdout == b"many_events: done\n"
        assert b"space" in result.stderr or b"disk" in result.stderr
        report = Trace(trace).check_sums().report
        assert report["complete"] is False
        assert 0 < report["allocations"] < 3000000
    finally:
        subprocess.run(["umount", disk], check=True)


def test_file_size_limit_while_recording(tmp_path):
    """The same through RLIMIT_FSIZE, whose signal must not kill program or collector."""
    trace = tmp_path / "t.heapline"

    def lower():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000000, 2000000))

    result = heapline("run", "--quiet", "-o", trace, "--", target("many_events"), 3000000, preexec_fn=lower)
    assert result.returncode == 13 and result.stdout == b"many_events: done\n"
    if trace.exists() and trace.stat().st_size:
        report = Trace(trace).check_sums().report
        assert report["complete"] is False and report["allocations"] < 3000000


def test_reading_into_a_closed_pipe(tmp_path):
    trace = tmp_path / "t.heapline"
    assert heapline("run", "--quiet", "-o", trace, "--", target("many_events"), 50000).returncode == 13
    reader = subprocess.Popen([HEAPLINE, "dump", trace], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(),
                              preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
    reader.stdout.read(100)
    reader.stdout.close()
    assert reader.stderr.read() == b""
    assert reader.wait(timeout=60) in (-signal.SIGPIPE, 0, 4)


def test_sql_is_read_only(tmp_path):
    trace = tmp_path / "t.heapline"
    assert heapline("run", "--quiet", "-o", trace, "--", target("simple")).returncode == 17
    allocations = Trace(trace).report["allocations"]
    for query in ("DELETE FROM stack_use", "DROP TABLE summary", "UPDATE summary SET allocations = 0", "ATTACH 'x.db' AS x"):
        assert heapline("sql", trace, query, cwd=tmp_path).returncode != 0
    assert heapline("sql", trace, "SELECT no_such_column FROM summary").returncode == 2
    assert Trace(trace).report["allocations"] == allocations
    assert not (tmp_path / "x.db").exists()


def test_read_only_folder(tmp_path):
    """A trace in a folder that can't be written: the database goes elsewhere, or stays in memory."""
    folder = tmp_path / "folder"
    folder.mkdir()
    trace = folder / "t.heapline"
    assert heapline("run", "--quiet", "-o", trace, "--", target("simple")).returncode == 17
    folder.chmod(0o555)
    try:
        environment = clean_environment(XDG_CACHE_HOME=tmp_path / "cache")
        first = heapline("report", "--json", trace, environment=environment)
        second = heapline("report", "--json", trace, environment=environment)
        assert first.returncode == second.returncode == 0 and first.stdout == second.stdout
    finally:
        folder.chmod(0o755)
