"""Process pools, servers with worker processes and task queues: each process has a trace, with exactly what it allocated."""

import collections
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from interpreters import DEFAULT, package_folder
from marks import line_figures
from recording import HEAPLINE, ROOT, SOURCES, TIMEOUT, Trace, clean_environment, completed

PROGRAM = SOURCES / "python" / "served.py"
LINE = next(number for number, text in enumerate(PROGRAM.read_text().splitlines(), 1) if text.endswith("# the block"))
BLOCK_BYTES = 60_057  # with the object, and a NUL behind the bytes


def ended(path):
    """The trace once its collector has seen how the process ended: servers let the signal that stops them kill them in the end."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        trace = Trace(path)
        if trace.report["exit"] is not None:
            return trace
        time.sleep(0.1)
    raise AssertionError(f"{path.name} has no end")


def all_traces(path):
    """Every process's traces, once all collectors are done: {pid: [Trace]}."""
    first = ended(path)
    found = {first.report["pid"]: [first]}
    for pid, traces in Trace(path).children().items():
        found.setdefault(pid, []).extend(ended(trace.path) for trace in traces)
    return found


def blocks_of(traces):
    """{pid: (blocks, bytes)} of the marked line, where there are any: each block is the bytes and its object."""
    found = {}
    for pid, process_traces in traces.items():
        rows = [line_figures(trace.lines, PROGRAM.name, LINE) for trace in process_traces]
        allocations, size = (sum(row[field] for row in rows) for field in ("allocations", "allocated_bytes"))
        if allocations:
            found[pid] = (allocations // 2, size)
    return found


def check_workers(path, answered, root):
    """answered: how often each process worked, by its own account. `root`: the process that `run` started."""
    traces = all_traces(path)
    assert blocks_of(traces) == {pid: (count, count * BLOCK_BYTES) for pid, count in answered.items()}
    processes = Trace(path).report["processes"]
    assert collections.Counter(process["pid"] for process in processes) == collections.Counter(
        {pid: len(process_traces) for pid, process_traces in traces.items()})
    parents = {process["pid"]: process["parent_pid"] for process in processes}
    assert all(parents[pid] == root for pid in answered), (parents, root)
    for process_traces in traces.values():
        for trace in process_traces:
            assert trace.report["lost_events"] == 0
    return traces


def environment_with(*packages):
    folders = [ROOT / "python", PROGRAM.parent, *(package_folder(DEFAULT, package) for package in packages)]
    return clean_environment(PYTHONPATH=os.pathsep.join(str(folder) for folder in folders if folder), PYTHONDONTWRITEBYTECODE=1)


def start(trace, environment, *arguments, **options):
    return subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", trace, "--", DEFAULT.path, *(str(word) for word in arguments)],
                            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask_until(url, workers, least):
    """Requests until so many workers have answered, and `least` in all. {pid: answers}."""
    answered = collections.Counter()
    deadline = time.monotonic() + TIMEOUT
    while (len(answered) < workers or answered.total() < least) and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                answered[json.load(answer)[0]] += 1
        except OSError:
            time.sleep(0.1)
    assert len(answered) == workers
    return answered


def child_of(pid):
    """What `heapline run` waits for."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return int(file.read().split()[0])


def test_concurrent_futures(tmp_path):
    path = tmp_path / "pool.heapline"
    program = start(path, environment_with(), PROGRAM, "executor")
    output, errors = program.communicate(timeout=TIMEOUT)
    assert program.returncode == 0, errors
    root = completed(path).report["pid"]
    check_workers(path, collections.Counter(json.loads(output)), root)


@pytest.mark.parametrize("server, arguments", [
    ("gunicorn", ["-m", "gunicorn", "--workers", "2", "--log-level", "warning", "--bind", "127.0.0.1:{port}", "served:wsgi"]),
    ("uvicorn", ["-m", "uvicorn", "--workers", "2", "--timeout-worker-healthcheck", "100", "--log-level", "warning", "--port", "{port}", "served:asgi"]),
], ids=["gunicorn", "uvicorn"])
def test_server(tmp_path, server, arguments):
    path, port = tmp_path / "server.heapline", free_port()
    program = start(path, environment_with(server), *(word.format(port=port) for word in arguments), cwd=PROGRAM.parent)
    try:
        answered = ask_until(f"http://127.0.0.1:{port}/", 2, 20)
        root = child_of(program.pid)
        os.kill(root, signal.SIGTERM)
        _, errors = program.communicate(timeout=TIMEOUT)
    finally:
        program.kill()
    assert program.returncode in (0, -signal.SIGTERM, 128 + signal.SIGTERM), errors
    check_workers(path, answered, root)


def test_celery(tmp_path):
    environment = environment_with("celery")
    messages, notes, path = tmp_path / "messages", tmp_path / "notes", tmp_path / "celery.heapline"
    messages.mkdir()
    sent = subprocess.run([DEFAULT.path, PROGRAM, "send", messages, notes], env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert sent.returncode == 0, sent.stderr
    program = start(path, environment, PROGRAM, "worker", messages, cwd=tmp_path)
    try:
        _, errors = program.communicate(timeout=TIMEOUT)
    finally:
        program.kill()
    assert program.returncode == 0, errors
    answered = collections.Counter(int(line) for line in notes.read_text().split())
    assert answered.total() == 12
    traces = check_workers(path, answered, completed(path).report["pid"])
    # Each task has its name for a tag.
    tagged = 0
    for pid in answered:
        for trace in traces[pid]:
            rows = trace.json("lines", "--tag", "served.work")["lines"]
            tagged += line_figures(rows, PROGRAM.name, LINE)["allocated_bytes"]
    assert tagged == 12 * BLOCK_BYTES
