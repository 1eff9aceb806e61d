"""The examples of docs/services.md, run as they stand there."""

import json
import re
import socket
import subprocess
import time

from recording import HEAPLINE, ROOT, Trace, clean_environment

SERVER = """
import os, time
cache = []
open("pid", "w").write(str(os.getpid()))
os.rename("pid", "server.pid")
while True:
    cache.append(bytes(1000))
    time.sleep(0.002)
"""


def wait_for(condition, limit=60):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def commands():
    page = (ROOT / "docs" / "services.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, re.S) for line in block.splitlines()]
    return [line.partition("  #")[0].strip() for line in lines]


def cached(pid, environment):
    """Bytes that the server's line holds, so that it is among the largest."""
    shown = subprocess.run([HEAPLINE, "live", pid, "--json", "--interval", "100", "--filter", "server.py"], env=environment, capture_output=True, timeout=60)
    return sum(row["live_bytes"] for row in json.loads(shown.stdout)["lines"]) if shown.returncode == 0 else 0


def test_the_page(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = clean_environment(PATH=f"{HEAPLINE.parent}:/usr/bin:/bin")
    (tmp_path / "server.py").write_text(SERVER)
    background, answers = [], {}

    def start(command):
        background.append(subprocess.Popen(["sh", "-c", "exec " + command.rstrip("& ")], cwd=tmp_path, env=environment,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def run(command):
        return subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    first, *rest = commands()
    rest.remove("heapline run --quiet --snapshot-signal USR2 -o signalled.heapline python3 server.py &")  # test_run_signals.py does that
    assert first == "heapline run --quiet -o server.heapline python3 server.py &"
    start(first)
    try:
        wait_for((tmp_path / "server.pid").exists)
        pid = (tmp_path / "server.pid").read_text()
        wait_for(lambda: cached(pid, environment) > 500_000)
        for line in rest:
            command = line.replace("PID", pid).replace("9464", port)
            if command.endswith("&"):
                start(command)
            elif command == f"heapline live {pid}":
                assert "no terminal" in run(command).stderr
            elif command.startswith("curl"):
                wait_for(lambda: run(command).returncode == 0)
                answers["curl"] = run(command).stdout
            else:
                result = run(command)
                assert result.returncode == 0, (command, result.stderr)
                answers[line] = result.stdout
    finally:
        subprocess.run(["kill", pid])
        for process in background:
            process.wait(timeout=60)
    assert "server.py:7" in answers["heapline snapshot PID"] and "server.snapshot-1.heapline" in answers["heapline snapshot PID"]
    assert answers["heapline snapshot PID -o before.heapline -q"] == "before.heapline\n"
    assert "server.py:7" in answers["heapline live PID --once"]
    assert re.search(rf'heapline_line_live_bytes{{pid="{pid}",line="[^"]*server.py:7",function="<module>"}} \d+', answers["curl"])
    before, end = Trace(tmp_path / "before.heapline").report, Trace(tmp_path / "server.heapline").report
    assert before["live_bytes_at_end"] < end["live_bytes_at_end"]
