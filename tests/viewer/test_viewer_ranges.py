"""Ranges of time: whatever is chosen, figures add up; all of the run as a range is what --json says, and a part of it what the events in it add up
to, one by one."""

import pytest

from listed_events import Listed
from viewer_commands import HERE, PYTHON, document, heapline

WHOLE = {"peak": "peak_bytes", "live": "live_bytes_at_end", "allocated": "allocated_bytes", "copied": "copied_bytes"}


def last_window(browser):
    return browser.evaluate("heapline.model.windowCount") - 1


@pytest.mark.parametrize("cost", WHOLE)
def test_all_of_the_run_as_a_range(browser, page, trace, cost):
    browser.open(page)
    last = last_window(browser)
    browser.open(page, f"cost={cost}&from=0&to={last}")
    assert browser.state()["total"] == document("report", trace)[WHOLE[cost]]


def test_every_line_of_the_whole_range(browser, page, trace):
    """By line too, each figure, although it comes from other data than the table of the whole run."""
    browser.open(page)
    browser.open(page, f"tab=lines&from=0&to={last_window(browser)}")
    figures = ("peak_bytes", "peak_allocations", "live_bytes", "live_allocations", "allocated_bytes", "allocations", "temporary_allocations",
               "copied_bytes", "copies")
    rows = {(r["path"], max(r["line"], 0), r["functionName"]): [r[f] for f in figures] for r in browser.state()["rows"]}
    lines = {(r["file"] or "", r["line"] or 0, r["function"]): [r[f] for f in figures] for r in document("lines", trace)["lines"]}
    assert {key: row for key, row in rows.items() if any(row)} == lines


def test_levels_of_windows(browser, page):
    """At each window's end and highest moment, blocks by birth and death add up to the heap."""
    browser.open(page)
    data = browser.evaluate("heapline.model.process.ranges")
    for window, heap in enumerate(data["heap_bytes"]):
        kept = data["kept"]
        live = sum(b for b, birth, death in zip(kept["bytes"], kept["birth"], kept["death"]) if birth <= window < death)
        assert live + data["end_slack_bytes"][window] == heap
        peak = live + sum(b for b, at in zip(data["peak"]["bytes"], data["peak"]["window"]) if at == window)
        assert peak + data["peak_slack_bytes"][window] == data["peak_bytes"][window] >= heap
    assert max(data["peak_bytes"]) == browser.evaluate("heapline.model.process.summary.peak_bytes")


def test_kept_in_parts(browser, page):
    """What is kept of a part, and of the next, is at least what is kept of both; the leak's blocks are kept in the part they come in."""
    browser.open(page)
    last, middle = last_window(browser) - 3, last_window(browser) // 2 # behind that, the interpreter frees what it held
    kept = {}
    for start, end in ((0, middle), (middle + 1, last), (0, last)):
        browser.open(page, f"tab=lines&from={start}&to={end}&filter=leak")
        kept[start, end] = sum(row["kept"] for row in browser.state()["rows"] if row["functionName"] == "leak")
    blocks = 20_000 * 20
    assert kept[0, middle] > blocks and kept[middle + 1, last] > blocks
    assert kept[0, middle] + kept[middle + 1, last] >= kept[0, last]


def test_brush(browser, page):
    browser.open(page, "tab=lines")
    everything = browser.state()["rows"]
    browser.ask(drag=[".uplot .u-over", 0.25, 0.5])
    state = browser.state()["state"]
    count = last_window(browser) + 1
    assert abs(state["from"] - count // 4) <= 1 and abs(state["to"] - count // 2) <= 1
    assert "steps of" in browser.evaluate("document.querySelector('.range').textContent")
    within = browser.state()["rows"]
    assert 0 < sum(row["allocated_bytes"] for row in within) < sum(row["allocated_bytes"] for row in everything)
    browser.evaluate("[...document.querySelectorAll('.range button')].find(b => b.textContent === 'all of the run').click()")
    assert browser.state()["rows"] == everything


def test_range_by_keyboard(browser, page):
    browser.open(page)
    browser.evaluate("[...document.querySelectorAll('.range button')].find(b => b.textContent === 'choose by keyboard').click()")
    browser.evaluate("document.querySelector('[data-edge=to]').focus()")
    browser.ask(press="ArrowLeft")
    assert browser.state()["state"]["to"] == last_window(browser) - 1


@pytest.mark.parametrize("cost", WHOLE)
def test_by_thread(browser, page, trace, cost):
    """The threads' parts add up, and the worker's holds what only it allocated."""
    browser.open(page, f"split=thread&cost={cost}&interpreter=1")
    tops = browser.evaluate("(({tree}) => tree.children(tree.root).map(i => [i.label, i.total]))(heapline.currentTree())")
    assert sum(total for _, total in tops) == document("report", trace)[WHOLE[cost]]
    if cost == "allocated":
        churn = sum(s["allocated_bytes"] for s in document("export", "--format", "json", trace)["stacks"] if any(f["function"] == "churn" for f in s["frames"]))
        assert max(total for _, total in tops) > churn > 0
        assert len([label for label, _ in tops if label.startswith("thread")]) == 2


def shown(browser, page, first, last, cost, **more):
    """The flame graph's total: what is shown of a range."""
    browser.open(page, f"cost={cost}&interpreter=1&from={first}&to={last}" + "".join(f"&{key}={value}" for key, value in more.items()))
    return browser.state()["total"]


def windows(browser, page, process=0):
    browser.open(page, f"process={process}")
    return browser.evaluate("[heapline.model.windows.start, ...heapline.model.windows.ends]")


COSTS = ("allocated", "copied", "peak", "live", "kept")


def test_parts_are_what_their_events_add_up_to(browser, page, trace):
    listed, ends = Listed(trace), windows(browser, page)
    last = len(ends) - 2
    for first, end in ((0, 0), (0, last // 3), (last // 3 + 1, last // 2), (last // 2, last)):
        expected = listed.range(ends[first], ends[end + 1], end == last)
        assert {cost: shown(browser, page, first, end, cost) for cost in COSTS} == expected


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    trace = tmp_path_factory.mktemp("sample") / "sample.heapline"
    heapline("run", "--quiet", "--copies", "--sample", "2K", "-o", trace, "--python", PYTHON, HERE / "program.py")
    out = trace.with_suffix(".html")
    heapline("export", "--format", "html", "-o", out, trace)
    return trace, out


def test_ranges_of_a_sample(browser, sample):
    """Estimates: all of the run is what --json says of each line, and parts of the run add up to it."""
    trace, page = sample
    last = len(windows(browser, page)) - 2
    for cost, name in WHOLE.items():
        assert shown(browser, page, 0, last, cost) == document("report", trace)[name] > 0
    browser.open(page, f"tab=lines&from=0&to={last}")
    figures = ("peak_bytes", "peak_allocations", "live_bytes", "live_allocations", "allocated_bytes", "allocations", "temporary_allocations", "copied_bytes", "copies")
    rows = {(r["path"], max(r["line"], 0), r["functionName"]): [r[f] for f in figures] for r in browser.state()["rows"]}
    lines = {(r["file"] or "", r["line"] or 0, r["function"]): [r[f] for f in figures] for r in document("lines", trace)["lines"]}
    assert {key: row for key, row in rows.items() if any(row)} == {key: row for key, row in lines.items() if any(row)}
    assert "estimates" in browser.evaluate("document.querySelector('.range').textContent")
    middle = last // 2
    for cost in ("allocated", "copied"):
        assert shown(browser, page, 0, middle, cost) + shown(browser, page, middle + 1, last, cost) == document("report", trace)[WHOLE[cost]]


def test_a_sample_finds_what_the_program_did(browser, sample):
    """The 8 MB of its first phase are in the first half only; what it leaks of 20 000-byte blocks comes in both. Blocks that are larger than the
    interval are nearly certain to be sampled."""
    _, page = sample
    last = len(windows(browser, page)) - 2
    kept = {}
    for start, end in ((0, last // 2), (last // 2 + 1, last)):
        browser.open(page, f"tab=lines&from={start}&to={end}")
        rows = browser.state()["rows"]
        kept[start] = [sum(row["allocated_bytes"] for row in rows if row["functionName"] == name) for name in ("hold", "leak")]
    assert kept[0][0] >= 8_000_000 and all(10 * 20_000 < leak < 70 * 20_020 for _, leak in kept.values())
    assert sum(leak for _, leak in kept.values()) >= 80 * 20_000 * 0.95
