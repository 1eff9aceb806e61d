"""Which process is meant, and what it is called: the id of `heapline run` itself, programs under another name, processes with children."""

import os
import shutil
import subprocess
import sys

import pytest

from phases import program  # noqa: F401
from recording import Trace, clean_environment, heapline, target

needs_attach = pytest.mark.skipif(os.uname().machine != "x86_64", reason="attaching is there on x86-64 only")


def said(command, pid, *arguments):
    result = heapline(command, pid, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def test_that_of_run(program, tmp_path):
    """A shell's $! and a service manager's main process is `heapline run`: its program is meant."""
    run, pid = program.process.pid, program.pid
    assert run != pid
    assert said("start", run) == f"process {pid} is recorded already, into {program.trace}\n"
    assert said("sample", run, "0") == f"of process {pid} everything is recorded already, into {program.trace}\n"
    assert f"pid {pid} " in said("live", run, "--once").splitlines()[0]
    assert f'heapline_up{{pid="{pid}"}} 1\n' in said("metrics", run, "--once")
    assert said("snapshot", run, "--quiet", "-o", tmp_path / "now.heapline") == f"{tmp_path}/now.heapline\n"
    assert Trace(tmp_path / "now.heapline").report["pid"] == pid
    assert said("stop", run) == f"process {pid} is no longer recorded; what was is in {program.trace}\n"


def test_run_itself_is_not_attached_to(program):
    result = heapline("attach", program.process.pid)
    assert result.returncode == 4 and f"process {program.pid} is recorded already" in result.stderr.decode()


def waiting(*command, **options):
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(), **options)


def attached(process, folder):
    """What attach says, and the trace that a detach leaves."""
    try:
        first = process.stdout.readline()
        words = heapline("attach", process.pid, cwd=folder).stdout.decode().splitlines()
        assert heapline("detach", process.pid, cwd=folder).returncode == 0
    finally:
        process.kill()
        process.communicate()
    (path,) = folder.glob("*.heapline")
    return first, words, Trace(path)


@needs_attach
def test_program_behind_a_link(tmp_path):
    """redis-server is a link to redis-check-rdb: its trace is called what the process is."""
    shutil.copy(target("attached"), tmp_path / "one-of-many")
    (tmp_path / "server").symlink_to("one-of-many")
    _, _, trace = attached(process := waiting(tmp_path / "server"), tmp_path)
    assert trace.path.name == f"server.{process.pid}.heapline"


@needs_attach
def test_title(tmp_path):
    """A title that is written over the arguments, as setproctitle does, with NULs behind it: the command is the title. One empty argument is one."""
    source = tmp_path / "titled.c"
    source.write_text('#include <stdio.h>\n#include <string.h>\n'
                      'int main(int c, char **v) { size_t n = v[c - 1] + strlen(v[c - 1]) - v[0]; memset(v[0], 0, n); strcpy(v[0], "db: idle");\n'
                      'puts("0"); fflush(stdout); getchar(); return 0; }\n')
    subprocess.run(["cc", "-o", tmp_path / "titled", source], check=True)
    _, _, trace = attached(waiting(tmp_path / "titled", "first", "second", "third"), tmp_path)
    assert trace.report["program"] == "'db: idle'"
    path = tmp_path / "empty.heapline"
    assert heapline("run", "-q", "-o", path, "--", "true", "").returncode == 0
    assert Trace(path).report["program"] == "true ''"


@needs_attach
@pytest.mark.parametrize("count", [0, 1, 3])
def test_children_are_named(tmp_path, count):
    """Workers that were there before an attach are not recorded by it, and attach says so. Those that have ended are none."""
    source = ("import os, sys, time\n"
              "ended = os.posix_spawn('/bin/true', ['true'], {})\n"
              "os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)\n"
              f"children = [os.posix_spawn('/bin/cat', ['cat'], {{}}) for _ in range({count})]\n"
              "print(*children, flush=True)\nsys.stdin.read()\n")
    first, words, _ = attached(waiting(sys.executable, "-c", source), tmp_path)
    children = first.decode().split()
    expected = {0: [], 1: ["a process that it has started before is not recorded by that; attach to it as well if it matters:"],
                3: ["3 processes that it has started before are not recorded by that; attach to those that matter as well:"]}[count]
    assert words[1:] == [f"{text} {' '.join(children)}" for text in expected]
