"""Split by tag and by process: the parts are what the command line says of each, and add up."""

import os

import pytest

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
    assert "of one process" in browser.evaluate("document.querySelector('.range').textContent")


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
