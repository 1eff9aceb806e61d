"""Ranges of traces of bounded size: they lie where events are listed, and hold what those add up to."""

import pytest

from listed_events import Listed
from viewer_commands import PYTHON, document, heapline

COSTS = ("allocated", "copied", "peak", "live", "kept")


def shown(browser, page, first, last, cost):
    """The flame graph's total: what is shown of a range."""
    browser.open(page, f"cost={cost}&interpreter=1&from={first}&to={last}")
    return browser.state()["total"]


def windows(browser, page):
    browser.open(page)
    return browser.evaluate("[heapline.model.windows.start, ...heapline.model.windows.ends]")


CHURN = """
import random, sys
kept = []
def churn(count, size):
    for i in range(count):
        block = bytes(random.randrange(1, size))
        if i % 50 == 0: kept.append(block)
churn(int(sys.argv[1]), 60_000)
kept.clear()
churn(int(sys.argv[1]) // 4, 2_000)
"""


def record_bounded(folder, *options):
    trace = folder / "run.heapline"
    (folder / "churn.py").write_text(CHURN)
    heapline("run", "--quiet", *options, "-o", trace, "--python", PYTHON, folder / "churn.py", 300_000)
    heapline("export", "--format", "html", "-o", trace.with_suffix(".html"), trace)
    return trace, trace.with_suffix(".html")


def test_ranges_of_a_bounded_trace(browser, tmp_path):
    """Up to where its events are listed; figures of all of the run are there as ever."""
    trace, page = record_bounded(tmp_path, "--copies", "--max-trace-size", "1M")
    report, listed, ends = document("report", trace), Listed(trace), windows(browser, page)
    assert report["stream_truncated"] and ends[0] == 0 and ends[-1] == report["events_until_ns"] < report["duration_ns"]
    last = len(ends) - 2
    first, end = last // 3, last // 2
    assert {cost: shown(browser, page, first, end, cost) for cost in COSTS} == listed.range(ends[first], ends[end + 1], False)
    browser.open(page, "cost=allocated")
    assert browser.state()["total"] == report["allocated_bytes"]
    assert "up to" in browser.evaluate("document.querySelector('.range').textContent")
    browser.ask(drag=[".uplot .u-over", 0.97, 0.99])
    assert browser.state()["state"]["from"] == -1
    assert browser.evaluate("document.getElementById('announcer').textContent").startswith("Events are listed up to")
    browser.ask(drag=[".uplot .u-over", 0.1, 0.99])
    assert browser.state()["state"]["to"] == last


@pytest.mark.parametrize("sampling", [[], ["--sample", "1K"]])
def test_ranges_of_a_rotated_trace(browser, tmp_path, sampling):
    """From where its events are listed: the blocks that are live then are known, and so is all that follows."""
    trace, page = record_bounded(tmp_path, "--copies", "--rotate", "300K", "--max-trace-size", "1500K", *sampling)
    report, ends = document("report", trace), windows(browser, page)
    assert ends[0] == report["events_from_ns"] > 0 and ends[-1] == report["duration_ns"]
    last = len(ends) - 2
    assert shown(browser, page, 0, last, "live") == report["live_bytes_at_end"]
    if report["peak_time_ns"] > ends[0]:
        assert shown(browser, page, 0, last, "peak") == report["peak_bytes"]
    allocated = [shown(browser, page, *part, "allocated") for part in ((0, last), (0, last // 2), (last // 2 + 1, last))]
    assert 0 < allocated[0] == allocated[1] + allocated[2] < report["allocated_bytes"]
    if not sampling:
        first, flows = last // 2, ("allocated", "copied", "kept")
        expected = Listed(trace, report["events_from_ns"]).range(ends[first], ends[-1], True)
        assert {cost: shown(browser, page, first, last, cost) for cost in flows} == {cost: expected[cost] for cost in flows}
    browser.open(page, "cost=peak")
    assert browser.state()["total"] == report["peak_bytes"]
    assert "from" in browser.evaluate("document.querySelector('.range').textContent")
    browser.open(page, "tab=source&from=3&to=5")
    assert browser.evaluate("console") == []
