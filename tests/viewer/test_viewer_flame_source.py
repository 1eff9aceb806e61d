"""A click on a flame zooms and goes to its line: the source pane below shows it, while the flame graph stays. Keys do the same."""

import json

import pytest

from viewer_commands import HERE, document, heapline

# The boxes of a function: where to click, and what the pane is to show.
BOXES = """(name => { const { flame } = heapline, { tree } = flame.options, canvas = flame.canvas.getBoundingClientRect();
  return flame.boxes.filter(b => b.item.frame && tree.model.functionName(b.item.frame) === name && b.width > 4)
    .map(b => ({ x: b.x + b.width / 2, y: flame.rowTop(b.depth) + 10, file: tree.model.file(b.item.frame), line: tree.model.process.frames.line[b.item.frame], key: b.item.key })); })(%s)"""
PANE = """(() => { const pane = document.querySelector('.peek'), target = pane.querySelector('tr.target'), box = pane.querySelector('.code'), note = pane.querySelector('[data-note]');
  if (pane.hidden) return null;
  if (!target) return { note: note.textContent };
  const line = target.getBoundingClientRect(), code = box.getBoundingClientRect(), window_ = code.bottom <= innerHeight + 1 && code.top >= 0;
  return { path: pane.querySelector('.path').textContent, number: +target.querySelector('.line-number').textContent, text: target.querySelector('.text').textContent,
    inSight: window_ && line.top >= code.top && line.bottom <= code.bottom, marked: [...pane.querySelectorAll('[aria-current=true]')].length,
    figures: Object.fromEntries([...target.querySelectorAll('[data-measure]')].map(c => [c.dataset.measure, +c.dataset.value])) }; })()"""


def boxes(browser, name):
    return browser.evaluate(BOXES % json.dumps(name))


def click(browser, box, times=1):
    browser.ask(clickAt=[".flame canvas", box["x"], box["y"]], times=times)


@pytest.mark.parametrize("layout", ["icicle", "flame"])
@pytest.mark.parametrize("name", ["leak", "hold", "work", "churn"])
def test_a_click_zooms_and_goes_to_the_line(browser, page, trace, name, layout):
    browser.open(page, f"cost=allocated&layout={layout}")
    box = boxes(browser, name)[0]
    click(browser, box)
    state, pane = browser.state()["state"], browser.evaluate(PANE)
    assert state["tab"] == "flame" and state["zoom"].split(".")[-1] == box["key"]
    assert (state["file"], state["line"]) == (box["file"], box["line"])
    text = (HERE / "program.py").read_text().splitlines()[box["line"] - 1]
    assert (pane["path"], pane["number"], pane["text"], pane["marked"]) == (f"{box['file']}:{box['line']}", box["line"], text, 1)
    assert pane["inSight"]
    rows = [row for row in document("lines", trace, "--inclusive")["lines"] if (row["file"], row["line"]) == (box["file"], box["line"])]
    measures = ("peak_bytes", "live_bytes", "allocated_bytes", "temporary_allocations", "copied_bytes")
    assert pane["figures"] == {m: sum(row[m] for row in rows) for m in measures if sum(row[m] for row in rows)}
    assert boxes(browser, name)


def test_the_next_click_goes_to_the_next_line(browser, page):
    browser.open(page, "cost=allocated")
    click(browser, boxes(browser, "<module>")[0])
    first = browser.evaluate(PANE)
    click(browser, boxes(browser, "leak")[0])
    second = browser.evaluate(PANE)
    assert first["number"] != second["number"] == browser.state()["state"]["line"]
    browser.evaluate("[...document.querySelectorAll('.trail button')].find(b => b.textContent === 'reset zoom').click()")
    assert browser.evaluate(PANE) is None and browser.state()["state"]["zoom"] == ""


def test_a_double_click_opens_the_file(browser, page):
    browser.open(page, "cost=allocated")
    box = boxes(browser, "leak")[0]
    click(browser, box, times=2)
    state = browser.state()["state"]
    assert (state["tab"], state["file"], state["line"]) == ("source", box["file"], box["line"])


def test_keys_do_the_same(browser, page):
    browser.open(page, "cost=allocated")
    browser.evaluate("document.querySelector('.flame canvas').focus()")
    for _ in range(3):
        browser.ask(press="ArrowDown")
    browser.evaluate("new Promise(done => setTimeout(done, 300))")
    focused = browser.evaluate("(({ current }) => [current.item.frame, heapline.model.process.frames.line[current.item.frame]])(heapline.flame)")
    assert browser.evaluate(PANE)["number"] == focused[1] and browser.state()["state"]["zoom"] == ""
    browser.ask(press="Enter")
    pane = browser.evaluate(PANE)
    assert pane["number"] == focused[1] and pane["inSight"]
    assert browser.state()["state"]["zoom"].count(".") == 2
    assert f"line {focused[1]} of {pane['path'].split('/')[-1].split(':')[0]}" in browser.evaluate("document.getElementById('announcer').textContent")
    browser.ask(press="Escape")
    assert browser.evaluate(PANE)["number"] != focused[1] and browser.state()["state"]["zoom"].count(".") == 1
    assert browser.evaluate("document.activeElement === heapline.flame.canvas")


def test_frames_without_a_line_say_so(browser, page):
    """What no line owns, and native frames of modules without debug information."""
    browser.open(page, "cost=peak")
    click(browser, boxes(browser, "arena slack")[0])
    assert "room that Python keeps" in browser.evaluate(PANE)["note"]
    assert browser.state()["state"]["line"] == 0


def test_the_address_keeps_the_line(browser, page):
    browser.open(page, "cost=allocated")
    click(browser, boxes(browser, "leak")[0])
    fragment, pane = browser.evaluate("location.hash.slice(1)"), browser.evaluate(PANE)
    browser.open(page, fragment)
    assert browser.evaluate(PANE) == pane
    browser.ask(click=".peek [aria-label='Close the source pane']")
    assert browser.evaluate(PANE) is None and "line=" not in browser.evaluate("location.hash")


def test_a_function_goes_to_its_heaviest_line(browser, page):
    """With functions as frames, `main` stands for all its lines: the pane goes to the one that holds most."""
    browser.open(page, "cost=peak&frames=function")
    click(browser, boxes(browser, "main")[0])
    text = browser.evaluate(PANE)["text"]
    assert text.strip() == "first = hold(8_000_000)"


def test_without_sources(browser, trace, tmp_path):
    out = tmp_path / "page.html"
    heapline("export", "--format", "html", "--no-source", "-o", out, trace)
    browser.open(out, "cost=allocated")
    click(browser, boxes(browser, "leak")[0])
    assert "no text: left out: --no-source" in browser.evaluate("document.querySelector('.peek').textContent")


def test_in_a_range(browser, page):
    """Figures in the pane are those of the range."""
    last = browser.evaluate("heapline.model.windowCount") - 1
    browser.open(page, f"cost=allocated&from=0&to={last // 2}")
    box = boxes(browser, "leak")[0]
    click(browser, box)
    shown = browser.evaluate(PANE)["figures"]["allocated_bytes"]
    browser.open(page, f"tab=lines&from=0&to={last // 2}&filter=leak")
    assert shown == sum(row["allocated_bytes"] for row in browser.state()["rows"] if (row["path"], row["line"]) == (box["file"], box["line"]))
