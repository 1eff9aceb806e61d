"""heapline metrics, scraped by Debian's Prometheus."""

import json
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from phases import program  # noqa: F401
from recording import HEAPLINE, clean_environment, heapline, target

TOTALS = {"heapline_live_bytes": "live_bytes", "heapline_live_blocks": "live_allocations", "heapline_peak_bytes": "peak_bytes",
          "heapline_allocated_bytes_total": "allocated_bytes", "heapline_allocations_total": "allocations",
          "heapline_copied_bytes_total": "copied_bytes", "heapline_lost_events_total": "lost_events",
          "heapline_sampling_interval_bytes": "sampling_interval_bytes"}


@pytest.fixture
def server(program):
    process = subprocess.Popen([HEAPLINE, "metrics", str(program.pid), "--listen", "127.0.0.1:0"], env=clean_environment(), stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    assert first.startswith(f"process {program.pid} at http://127.0.0.1:")
    process.url = first.split()[-1]
    yield process
    process.kill()
    process.communicate()


def parse(text):
    """Values by name and labels."""
    return {tuple(line.rsplit(" ", 1))[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")}


def once(pid, *arguments):
    result = heapline("metrics", pid, "--once", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def labels(pid, function="allocate_kept", place=r"[^\"]*phases\.c:\d+"):
    return re.compile(rf'\{{pid="{pid}",line="{place}",function="{function}"\}}$')


def line_value(values, name, pattern):
    (value,) = [value for key, value in values.items() if key.startswith(name + "{") and pattern.search(key)]
    return value


def test_figures(program):
    document = json.loads(heapline("live", program.pid, "--json", "--interval", 100).stdout)
    values = parse(once(program.pid))
    for name, field in TOTALS.items():
        assert values[f'{name}{{pid="{program.pid}"}}'] == document[field], name
    assert values[f'heapline_up{{pid="{program.pid}"}}'] == 1
    kept = labels(program.pid)
    assert [line_value(values, f"heapline_line_{name}", kept) for name in ("live_bytes", "live_blocks", "allocated_bytes_total", "allocations_total")] == [15000, 30, 20000, 40]


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_lines_are_bounded(program, limit):
    values = parse(once(program.pid, "--lines", limit))
    live = {key: value for key, value in values.items() if key.startswith("heapline_line_live_bytes")}
    assert len(live) == limit + 1 and f'heapline_line_live_bytes{{pid="{program.pid}",line="others",function=""}}' in live
    assert sum(live.values()) == values[f'heapline_live_bytes{{pid="{program.pid}"}}']


def test_promtool(program):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    result = subprocess.run(["promtool", "check", "metrics"], input=once(program.pid), text=True, capture_output=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def get(url, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_http(program, server):
    status, content_type, text = get(server.url)
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert line_value(parse(text), "heapline_line_live_bytes", labels(program.pid)) == 15000
    assert get(server.url.replace("/metrics", "/"))[0] == 200
    assert get(server.url + "/more")[0] == 404
    assert get(server.url, "POST")[0] == 405
    address = urllib.parse.urlsplit(server.url)
    for nonsense in (b"\n\n", b"GET\r\n\r\n", b"\0" * 100 + b"\r\n\r\n", b"GET " + b"x" * 20000):
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(nonsense)
    with socket.create_connection((address.hostname, address.port)):
        assert get(server.url + "?x=1")[0] == 200, "one who says nothing keeps nobody"


def test_it_ends_with_the_program(program, server):
    program.finish()
    assert server.wait(timeout=30) == 0
    assert server.stdout.read() == f"process {program.pid} has ended\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_asked_to(program, server, number):
    server.send_signal(number)
    assert server.wait(timeout=30) == 0
    assert program.go_on()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def query(port, expression):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        result = json.loads(get(url)[2])["data"]["result"]
    except (OSError, ValueError, KeyError):
        return None
    return float(result[0]["value"][1]) if result else None


def test_prometheus(program, server, tmp_path):
    """A server of its own scrapes it; what its API answers is what the program holds, before and after it goes on."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed")
    port, config = free_port(), tmp_path / "prometheus.yml"
    scraped = urllib.parse.urlsplit(server.url).netloc
    config.write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: heapline, static_configs: [{{targets: ['{scraped}']}}]}}]\n")
    prometheus = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}",
                                   f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, 'heapline_line_live_bytes{function="allocate_kept"}', 15000)
        wait_for(port, 'up{job="heapline"}', 1)
        assert query(port, "sum(heapline_live_bytes) - sum(heapline_line_live_bytes)") == 0
        program.go_on()
        wait_for(port, 'heapline_line_live_blocks{function="allocate_kept"}', 20)
    finally:
        prometheus.terminate()
        prometheus.wait(timeout=30)


def wait_for(port, expression, value):
    end = time.monotonic() + 60
    while query(port, expression) != value:
        assert time.monotonic() < end, (expression, query(port, expression))
        time.sleep(0.2)


def test_refusals(program):
    for address in ("nowhere", "1.2.3.4:x", "127.0.0.1:70000", ""):
        assert heapline("metrics", program.pid, "--listen", address).returncode == 2, address
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = heapline("metrics", program.pid, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert result.returncode == 4 and b"cannot listen at" in result.stderr
    assert heapline("metrics", program.pid, "--lines", 100000).returncode == 2
