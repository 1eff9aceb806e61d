"""Programs that a recorded program executes and that can't be recorded: they run unharmed, and the report names them."""

import os
import shutil

import pytest

from recording import Trace, completed, heapline, target

STATIC, ENVIRONMENT = "statically linked", "started without the recorder in its environment"
PRIVILEGED = "setuid, setgid or with capabilities"

# What each way to execute a program is in Python: sys.argv[1] is the program; what it says goes to standard output, its status is printed.
WAYS = {
    "fork": "pid = os.fork()\nif pid == 0:\n    os.execve(path, [path], environment)\nprint(os.waitpid(pid, 0)[1])",
    "vfork": "import subprocess\nprint(subprocess.run([path], env=environment).returncode << 8)",
    "spawn": "pid = os.posix_spawn(path, [path], environment)\nprint(os.waitpid(pid, 0)[1])",
    "spawnp": "pid = os.posix_spawnp(path, [path], environment)\nprint(os.waitpid(pid, 0)[1])",
    "descriptor": "pid = os.fork()\nif pid == 0:\n    os.execve(os.open(path, os.O_RDONLY), [path], environment)\nprint(os.waitpid(pid, 0)[1])",
}
BEGINNING = "import os, sys\npath = sys.argv[1]\nenvironment = dict(os.environ) if sys.argv[2] == 'same' else {}\nsys.stdout.flush()\n"


def record_way(tmp_path, way, program, environment):
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "-o", trace, "-c", BEGINNING + WAYS[way], program, environment)
    return result, completed(trace)


def unrecorded(trace):
    return [process for process in trace.report["processes"] if process["unrecorded"]]


def check_named(trace, program, reason, parent=None):
    (found,) = unrecorded(trace)
    assert (found["command"], found["unrecorded"]) == (str(program), reason)
    assert found["parent_pid"] == (parent or trace.report["pid"]) and found["peak_bytes"] == 0 and found["exit"] is None
    assert trace.report["all_processes"]["unrecorded"] == 1
    text = " ".join(heapline("report", trace.path).stdout.decode().split())
    assert f"1 program not recorded: {program} ({reason})" in text
    own = " ".join(heapline("report", found["trace"]).stdout.decode().split())
    assert f"this program was not recorded: {reason}" in own
    return found


@pytest.mark.parametrize("way", WAYS)
def test_static(tmp_path, way):
    program = target("simple_static")
    result, trace = record_way(tmp_path, way, program, "same")
    assert (result.returncode, result.stdout) == (0, b"simple: done\n%d\n" % (17 << 8)), result.stderr
    check_named(trace, program, STATIC)


@pytest.mark.parametrize("way", WAYS)
def test_empty_environment(tmp_path, way):
    """It sees what it was given, and nothing of ours."""
    program = target("simple")
    result, trace = record_way(tmp_path, way, program, "none")
    assert (result.returncode, result.stdout) == (0, b"simple: done\n%d\n" % (17 << 8)), result.stderr
    check_named(trace, program, ENVIRONMENT)


def test_environment_of_its_own(tmp_path):
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "-o", trace, "--", "/usr/bin/env", "-i", "A=1", "/usr/bin/env")
    assert (result.returncode, result.stdout) == (0, b"A=1\n")
    found = check_named(Trace(trace), "/usr/bin/env", ENVIRONMENT, parent=Trace(trace).report["processes"][0]["parent_pid"])
    assert found["pid"] == Trace(trace).report["pid"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a program that changes its user")
@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_setuid(tmp_path, way):
    program = tmp_path / "other"
    shutil.copy("/usr/bin/id", program)
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    if os.statvfs(tmp_path).f_flag & os.ST_NOSUID:
        pytest.skip("this file system ignores set-id bits")
    result, trace = record_way(tmp_path, way, program, "same")
    assert result.returncode == 0 and b"euid=65534" in result.stdout and result.stdout.endswith(b"\n0\n"), result.stderr
    check_named(trace, program, PRIVILEGED)


def test_script_of_a_static_interpreter(tmp_path):
    script = tmp_path / "script"
    script.write_text(f"#!{target('simple_static')}\n")
    script.chmod(0o755)
    result, trace = record_way(tmp_path, "vfork", script, "same")
    assert (result.returncode, result.stdout) == (0, b"simple: done\n%d\n" % (18 << 8)), result.stderr
    check_named(trace, target("simple_static"), STATIC)


def test_goes_on_recorded(tmp_path):
    """A program that isn't recorded executes one that is: both are there."""
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "-o", trace, "--", "/bin/sh", "-c", f"{target('launcher_static')} {target('simple')}; true")
    assert (result.returncode, result.stdout) == (0, b"simple: done\n"), result.stderr
    trace = completed(trace)
    (found,) = unrecorded(trace)
    same = [process for process in trace.report["processes"] if process["pid"] == found["pid"] and not process["unrecorded"]]
    assert [process["exit"] for process in same] == [17]


@pytest.mark.parametrize("way", [*WAYS, "missing"])
def test_what_fails_is_not_named(tmp_path, way):
    """An exec that fails leaves nothing behind, nor does a recorded child."""
    program = "/nonexistent/program" if way == "missing" else target("simple")
    code = BEGINNING + (WAYS[way] if way != "missing" else
                        "for call in (os.execve, os.posix_spawn):\n    try:\n        call(path, [path], {})\n    except FileNotFoundError:\n        print('none')")
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "-o", trace, "-c", code, program, "same")
    assert result.stdout == (b"none\nnone\n" if way == "missing" else b"simple: done\n%d\n" % (17 << 8)), result.stderr
    found = completed(trace)
    assert unrecorded(found) == [] and found.report["all_processes"]["unrecorded"] == 0
    assert "not recorded" not in heapline("report", trace).stdout.decode()


def test_not_followed(tmp_path):
    """With --no-follow nobody asks."""
    trace = tmp_path / "t.heapline"
    result = heapline("run", "--quiet", "--no-follow", "-o", trace, "-c", BEGINNING + WAYS["spawn"], target("simple_static"), "same")
    assert result.returncode == 0
    assert len(completed(trace).report["processes"]) == 1


def test_many(tmp_path):
    """More than there are notes for at a time: all run, and none is forgotten in the sum."""
    trace = tmp_path / "t.heapline"
    code = BEGINNING + "for i in range(150):\n    pid = os.posix_spawn(path, [path], environment)\n    assert os.waitpid(pid, 0)[1] == 17 << 8"
    result = heapline("run", "--quiet", "-o", trace, "-c", code, target("simple_static"), "same")
    assert result.returncode == 0 and result.stdout == b"simple: done\n" * 150, result.stderr
    named = len(unrecorded(completed(trace)))
    properties = {row["key"]: row["value"] for row in Trace(trace).sql("SELECT key, value FROM property")}
    assert named + int(properties.get("unrecorded_children", 0)) == 150 and named >= 64
