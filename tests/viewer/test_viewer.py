"""The page in a real browser: what it shows is what --json says."""

import os

import pytest

from viewer_commands import document, heapline

COSTS = {"peak": "peak_bytes", "live": "live_bytes", "allocated": "allocated_bytes", "copied": "copied_bytes"}
TOTALS = {"peak": "peak_bytes", "live": "live_bytes_at_end", "allocated": "allocated_bytes", "copied": "copied_bytes"}


def test_no_outside_and_small(page):
    text = page.read_text()
    assert page.stat().st_size < 5_000_000
    assert "https://" not in text.split('id="data"')[0].split("<style>")[0]
    assert "default-src 'none'" in text


def test_header_says_the_totals(browser, page, trace):
    report = document("report", trace)
    browser.open(page)
    titles = browser.evaluate("[...document.querySelectorAll('.figure-box')].map(box => box.title.replace(/[^0-9]/g, ''))")
    assert [int(title) for title in titles] == [report[key] for key in ("peak_bytes", "peak_rss_bytes", "allocated_bytes", "copied_bytes", "live_bytes_at_end")]


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("invert", [0, 1])
def test_flame_total(browser, page, trace, cost, invert):
    browser.open(page, f"cost={cost}&invert={invert}")
    assert browser.state()["total"] == document("report", trace)[TOTALS[cost]]


def test_flame_boxes_are_the_stacks(browser, page, trace):
    """The outermost frames hold what the stacks that begin with them hold, of all that --json lists."""
    stacks = document("export", "--format", "json", trace)["stacks"]
    browser.open(page, "cost=allocated&interpreter=1")
    sums = {}
    for stack in stacks:
        if stack["frames"]:
            outermost = stack["frames"][-1]
            sums[outermost["function"]] = sums.get(outermost["function"], 0) + stack["allocated_bytes"]
    shown = {}
    for name, total in browser.evaluate("(({tree}) => tree.children(tree.root).map(i => [tree.model.functionName(i.frame), i.total]))(heapline.currentTree())"):
        shown[name] = shown.get(name, 0) + total
    assert shown == {name: total for name, total in sums.items() if total}


@pytest.mark.parametrize("inclusive", [False, True])
def test_table_is_lines(browser, page, trace, inclusive):
    lines = document("lines", trace, *(["--inclusive"] if inclusive else []))["lines"]
    browser.open(page, "tab=lines" + ("&inclusive=1" if inclusive else ""))
    rows = browser.state()["rows"]
    figures = [name for name in lines[0] if name.endswith(("bytes", "allocations", "copies"))]
    expected = {(row["file"] or "", row["line"] or 0, row["function"]): [row[name] for name in figures] for row in lines}
    assert {(row["path"], max(row["line"], 0), row["functionName"]): [row[name] for name in figures] for row in rows} == expected


def test_table_sorts_and_filters(browser, page, trace):
    lines = document("lines", trace)["lines"]
    browser.open(page, "tab=lines")
    browser.ask(click="[data-focus=sort-allocated_bytes]")
    rows = browser.state()["rows"]
    assert [row["allocated_bytes"] for row in rows] == sorted((row["allocated_bytes"] for row in lines), reverse=True)
    browser.ask(type=["input[type=search]", "program.py leak"])
    rows = browser.state()["rows"]
    assert {row["functionName"] for row in rows} == {"leak"}
    shown = browser.evaluate("[...document.querySelectorAll('tbody tr')].map(row => +row.querySelectorAll('td.number')[4].dataset.value)")
    assert shown == [row["allocated_bytes"] for row in rows]
    assert int(browser.evaluate("document.querySelector('[data-sum=allocated_bytes]').dataset.value")) == sum(
        row["allocated_bytes"] for row in lines if row["function"] == "leak")


def test_search(browser, page, trace):
    """What is found is what the stacks with such a frame hold, each once."""
    stacks = document("export", "--format", "json", trace)["stacks"]
    expected = sum(s["allocated_bytes"] for s in stacks if any(f["function"] == "churn" for f in s["frames"]))
    browser.open(page, "cost=allocated&interpreter=1")
    browser.ask(type=["[data-focus=search]", "churn  "])
    assert browser.state()["matched"] == expected > 0
    assert "found:" in browser.evaluate("document.querySelector('.match-note').textContent")


def test_keyboard_zoom_and_source(browser, page):
    browser.open(page, "cost=allocated")
    browser.evaluate("document.querySelector('.flame canvas').focus()")
    for _ in range(4):
        browser.ask(press="ArrowDown")
    assert "work" in browser.evaluate("document.getElementById('announcer').textContent")
    browser.ask(press="Enter")
    assert browser.state()["state"]["zoom"].count(".") == 3
    assert browser.evaluate("new URLSearchParams(location.hash.slice(1)).get('zoom')").count(".") == 3
    browser.ask(press="s")
    state = browser.state()["state"]
    assert state["tab"] == "source" and state["file"].endswith("program.py")
    assert browser.evaluate("document.querySelector('tr.target').id") == f"L{state['line']}"


def test_fragment_keeps_the_view(browser, page):
    browser.open(page, "cost=copied&layout=flame&frames=function&search=copy")
    state = browser.state()["state"]
    assert (state["cost"], state["layout"], state["frames"], state["search"]) == ("copied", "flame", "function", "copy")
    browser.ask(click="[role=radiogroup][aria-label=Measure] [data-key=allocated]")
    assert "cost=allocated" in browser.evaluate("location.hash") and "search=copy" in browser.evaluate("location.hash")


def test_source_lines(browser, page, trace):
    lines = document("lines", trace, "--source", "program.py")["lines"]
    browser.open(page, "tab=source")
    assert browser.evaluate("document.querySelector('.path').textContent").endswith("program.py")
    for row in lines:
        text = browser.evaluate(f"document.querySelector('#L{row['line']} .text').textContent")
        assert text.rstrip() == row["text"].rstrip()
    for measure in ("peak_bytes", "live_bytes", "allocated_bytes", "copied_bytes"):
        shown = browser.evaluate(f"Object.fromEntries([...document.querySelectorAll('[data-measure={measure}]')].map(c => [c.parentNode.id, +c.dataset.value]))")
        sums = {}
        for row in lines:
            sums[f"L{row['line']}"] = sums.get(f"L{row['line']}", 0) + row[measure]
        assert shown == {line: value for line, value in sums.items() if value}


def test_leaks(browser, page, trace):
    candidates = document("leaks", trace)["candidates"]
    browser.open(page, "tab=leaks")
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; d.dispatchEvent(new Event('toggle')) })")
    shown = browser.evaluate("[...document.querySelectorAll('.leak')].map(c => [c.dataset.place, +c.querySelector('[data-live]').dataset.live])")
    grows = [c for c in candidates if c["confidence"] >= 0.5]
    rest = [c for c in candidates[:100] if c["confidence"] < 0.5]
    assert shown == [[f"{c['file'] if c['file'] is not None else 'null'}:{c['line'] if c['line'] is not None else 'null'}", c["live_bytes"]] for c in grows + rest]
    assert any(c["function"] == "leak" for c in grows)
    leaks = [c["leak"] for c in grows]
    assert browser.evaluate("[...document.querySelectorAll('.leak-group')].map(g => [+g.dataset.leak, g.querySelectorAll('.leak').length])") == [
        [leak, leaks.count(leak)] for leak in dict.fromkeys(leaks) if leaks.count(leak) > 1]


def test_copies(browser, page, trace):
    browser.open(page, "tab=copies")
    assert int(browser.evaluate("document.querySelector('[data-copied]').dataset.copied")) == document("copies", trace)["copied_bytes"]
    assert browser.evaluate("document.querySelectorAll('.sankey path').length") > 0
    first = browser.evaluate("[...document.querySelectorAll('.copies-table tbody tr')[0].children].map(c => c.textContent)")
    assert first[2] == "copy"


def test_every_tab_by_key(browser, page):
    browser.open(page)
    for key, tab in zip("123456", ("flame", "lines", "source", "leaks", "copies", "about")):
        browser.ask(press=key)
        assert browser.state()["state"]["tab"] == tab
        assert browser.evaluate("document.querySelector('[role=tab][aria-selected=true]').id") == f"tab-{tab}"


def test_names_for_screen_readers(browser, page):
    """Everything that can be operated has a name."""
    for tab in ("flame", "lines", "source", "leaks", "copies", "about"):
        browser.open(page, f"tab={tab}", scheme="dark")
        nameless = browser.evaluate("""[...document.querySelectorAll('button, input, select, .flame canvas, [tabindex="0"]')].filter(e =>
            !(e.textContent.trim() || e.getAttribute('aria-label') || e.title || e.closest('label')?.textContent.trim())).map(e => e.outerHTML.slice(0, 100))""")
        assert nameless == []


def test_no_source_and_confidential(browser, page, trace, tmp_path):
    for arguments, environment, why in ((["--no-source"], {}, "--no-source"), (["--confidential", "program.py$"], {}, "confidential"),
                                        ([], {"HEAPLINE_CONFIDENTIAL": "nothing:*/program.py"}, "confidential")):
        out = tmp_path / "left_out.html"
        heapline("export", "--format", "html", "-o", out, *arguments, trace, env={**os.environ, **environment})
        browser.open(out, "tab=source")
        assert why in browser.evaluate("document.querySelector('.code .note').textContent")
        assert "bytearray" not in browser.evaluate("document.querySelector('.code').textContent")


def test_prints_light_and_open(browser, page):
    browser.open(page, "tab=leaks", scheme="dark")
    browser.evaluate("void dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate("document.documentElement.dataset.theme") == "light"
    assert browser.evaluate("document.querySelector('.leak details').open")
    browser.evaluate("void dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate("document.documentElement.dataset.theme") is None


def test_what_is_nobodys_line_is_explained(browser, page):
    browser.open(page, "tab=lines&filter=arena%20slack")
    assert "room that Python keeps" in browser.evaluate("document.querySelector('tbody th').textContent")


def test_a_line_far_down_is_in_sight(browser, page, trace):
    """Lines around it come first, and stay in sight when the rest of the file has come."""
    row = max((row for row in document("lines", trace)["lines"] if (row["file"] or "").endswith("typing.py") or (row["file"] or "").endswith("threading.py")),
              key=lambda row: row["line"])
    browser.open(page, f"tab=source&file={row['file']}&line={row['line']}")
    browser.evaluate("new Promise(done => { const wait = () => document.querySelector('.source-view').dataset.complete ? done() : setTimeout(wait, 10); wait(); })")
    assert row["line"] > 500 and browser.evaluate("document.querySelectorAll('.code tbody tr').length") >= row["line"]
    assert browser.evaluate("""(() => { const line = document.querySelector('tr.target').getBoundingClientRect(), box = document.querySelector('.code').getBoundingClientRect();
        return line.top > box.top && line.bottom < box.bottom; })()""")
    assert browser.evaluate("[...document.querySelectorAll('.code .line-number')].every((cell, i) => cell.textContent == i + 1)")
