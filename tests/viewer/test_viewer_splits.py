"""Split by tag and by process: the parts are what the command line says of each, and add up."""

import os

import pytest

from listed_events import Listed
from viewer_commands import HERE, PYTHON, document, heapline

COSTS = {"peak": "peak_bytes", "live": "live_bytes", "allocated": "allocated_bytes"}
TOPS = "(({tree}) => Object.fromEntries(tree.children(tree.root).map(i => [i.label, i.total])))(heapline.currentTree())"


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("splits") / "tagged.heapline"
    package = HERE.parent.parent / "python"
    heapline("run", "--quiet", "--follow", "-o", path, "--python", PYTHON, "--", HERE / "tagged.py", env={**os.environ, "PYTHONPATH": str(package)})
    return path


@pytest.fixture(scope="module")
def page(trace, browser):
    path = trace.with_suffix(".html")
    heapline("export", "--format", "html", "--processes", "-o", path, trace)
    return path


@pytest.fixture(scope="module")
def processes(trace):
    """{pid: path of its trace}"""
    found = {}
    for path in [trace, *sorted(trace.parent.glob("tagged.heapline.*[0-9]"))]:
        found[document("report", path)["processes"][0]["pid"]] = path
    assert len(found) == 2
    return found


@pytest.mark.parametrize("cost", COSTS)
def test_by_tag(browser, page, trace, cost):
    rows = document("lines", "--by", "tag", trace)["lines"]
    browser.open(page, f"split=tag&cost={cost}")
    expected = {f"tag {row['function']}" if row["kind"] == "tag" and row["function"] != "(no tag)" else row["function"]: row[COSTS[cost]] for row in rows if row[COSTS[cost]]}
    assert browser.evaluate(TOPS) == expected
    assert ("tag render" in expected) == (cost != "live") and "(no tag)" in expected # at its end, the program frees all that it held


def test_tags_are_frames_or_hidden(browser, page):
    names = "heapline.inspect().drawn.map(box => box.title)"
    browser.open(page)
    assert "GET /orders" in browser.evaluate(names)
    browser.open(page, "tags=0")
    assert "GET /orders" not in browser.evaluate(names)
    browser.open(page, "split=tag")
    assert "tag GET /orders" in browser.evaluate(names) and "GET /orders" not in browser.evaluate(names)


@pytest.mark.parametrize("cost", COSTS)
def test_by_process(browser, page, processes, cost):
    browser.open(page, f"process=-1&split=process&cost={cost}")
    totals = {pid: sum(row[COSTS[cost]] for row in document("lines", path)["lines"]) for pid, path in processes.items()}
    assert {int(title.split()[0]): total for title, total in browser.evaluate(TOPS).items()} == totals


def test_all_together(browser, page, processes):
    """Merged, one line of the program is one frame, with what all processes have there; so are rows of tables, with every figure."""
    documents = [document("lines", path)["lines"] for path in processes.values()]
    expected = {}
    for row in sum(documents, []):
        key = (row["file"] or "", row["line"] or 0, row["function"])
        expected[key] = [a + b for a, b in zip(expected.get(key, [0] * 3), (row[m] for m in COSTS.values()))]
    browser.open(page, "process=-1&tab=lines")
    rows = {(r["path"], r["line"], r["functionName"]): [r[m] for m in COSTS.values()] for r in browser.state()["rows"]}
    assert rows == expected
    browser.open(page, "process=-1&interpreter=1")
    assert browser.state()["total"] == sum(row[0] for row in expected.values())


def test_timeline_together(browser, page, processes):
    """The highest that both held at once: at least the larger peak, at most the sum of the peaks."""
    peaks = [document("report", path)["peak_bytes"] for path in processes.values()]
    browser.open(page, "process=-1")
    highest = browser.evaluate("heapline.model.highest.bytes")
    assert max(peaks) <= highest <= sum(peaks)


def test_choosing(browser, page):
    """Split by process shows all of them, and merging one again."""
    browser.open(page)
    choose = "(label, value) => { const list = [...document.querySelectorAll('label.control')].find(l => l.textContent.startsWith(label)).querySelector('select'); list.value = value; list.dispatchEvent(new Event('change')); }"
    browser.evaluate(f"({choose})('Split', 'process')")
    state = browser.state()["state"]
    assert (state["process"], state["split"]) == (-1, "process")
    browser.evaluate(f"({choose})('Split', 'none')")
    state = browser.state()["state"]
    assert (state["process"], state["split"]) == (0, "none")
    browser.evaluate(f"({choose})('Process', '1')")
    assert browser.state()["state"]["process"] == 1


def test_every_tab(browser, page):
    for tab in ("flame", "lines", "source", "leaks", "copies", "about"):
        browser.open(page, f"process=-1&tab={tab}")
        assert browser.state()["state"]["tab"] == tab


@pytest.fixture(scope="module")
def listed(processes):
    """Of each process, in the order of the page: its events, and when it began and ended."""
    found = []
    for path in processes.values():
        report = document("report", path)
        found.append((Listed(path), report["start_realtime_ns"], report["start_realtime_ns"] + report["duration_ns"]))
    return found


@pytest.mark.parametrize("part", [(0, 1), (0, 0.4), (0.4, 0.8), (0.8, 1)])
def test_ranges_of_all_processes(browser, page, listed, part):
    """Each process that ran in the range has there what its events of that time add up to."""
    browser.open(page, "process=-1")
    count = browser.evaluate("heapline.model.windowCount")
    start, end = min(began for _, began, _ in listed), max(ended for _, _, ended in listed)
    first, last = int(part[0] * count), int(part[1] * count) - 1
    low, high = (end - start) * first // count, (end - start) * (last + 1) // count
    expected = dict.fromkeys(("allocated", "copied", "peak", "live", "kept"), 0)
    for events, began, ended in listed:
        offset = began - start
        if high <= offset or low >= ended - start:
            continue
        own = events.range(max(low - offset, 0), high - offset, start + high >= ended)
        expected = {cost: amount + own[cost] for cost, amount in expected.items()}
    shown = {}
    for cost in expected:
        browser.open(page, f"process=-1&cost={cost}&from={first}&to={last}&interpreter=1")
        shown[cost] = browser.state()["total"]
    assert shown == expected and expected["allocated"] > 0


def test_a_range_of_all_processes_in_every_view(browser, page, processes):
    browser.open(page, "process=-1")
    last = browser.evaluate("heapline.model.windowCount") - 1
    totals = {pid: sum(row["allocated_bytes"] for row in document("lines", path)["lines"]) for pid, path in processes.items()}
    browser.open(page, f"process=-1&split=process&cost=allocated&from=0&to={last}")
    assert {int(title.split()[0]): total for title, total in browser.evaluate(TOPS).items()} == totals
    browser.open(page, f"process=-1&split=thread&cost=allocated&from=0&to={last}")
    threads = browser.evaluate(TOPS)
    assert sum(threads.values()) == sum(totals.values())
    assert all(any(title.endswith(f"of process {pid}") for title in threads) for pid in processes)
    browser.open(page, f"process=-1&tab=lines&from=0&to={last}")
    within = sorted((r["path"], r["functionName"], r["allocated_bytes"]) for r in browser.state()["rows"] if r["path"].endswith("tagged.py") and r["allocated_bytes"])
    browser.open(page, "process=-1&tab=lines")
    assert within == sorted((r["path"], r["functionName"], r["allocated_bytes"]) for r in browser.state()["rows"] if r["path"].endswith("tagged.py") and r["allocated_bytes"])
    for tab in ("source", "leaks", "copies", "about"):
        browser.open(page, f"process=-1&tab={tab}&from=3&to={last // 2}")
        assert browser.evaluate("console") == []


def test_brushing_all_processes(browser, page):
    browser.open(page, "process=-1")
    browser.ask(drag=[".uplot .u-over", 0.25, 0.5])
    state, count = browser.state()["state"], browser.evaluate("heapline.model.windowCount")
    assert abs(state["from"] - count // 4) <= 1 and abs(state["to"] - count // 2) <= 1 and state["process"] == -1
