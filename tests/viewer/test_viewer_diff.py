"""heapline diff --format html in a real browser: what it shows is what diff --json says."""

import json
import subprocess

import pytest

from viewer_commands import HEAPLINE, HERE, PYTHON, document, heapline

MEASURES = ("peak_bytes", "peak_allocations", "live_bytes", "live_allocations", "allocated_bytes", "allocations", "temporary_allocations",
            "copied_bytes", "copies")
COSTS = {"peak": "peak_bytes", "live": "live_bytes", "allocated": "allocated_bytes", "copied": "copied_bytes"}


@pytest.fixture(scope="module")
def pair(trace, tmp_path_factory):
    """The program, and a version of it with a line more, a larger block, no copies at the end and a leak of half the size."""
    folder = tmp_path_factory.mktemp("diff")
    text = (HERE / "program.py").read_text()
    edited = text.replace("KEPT = []", "KEPT = []\nMORE = []").replace("hold(3_000_000)", "hold(5_000_000)").replace("bytearray(20_000)", "bytearray(10_000)")
    edited = edited.replace("    copy(KEPT[0], 10)\n", "    MORE.append(hold(123_456))\n")
    (folder / "program.py").write_text(edited)
    new = folder / "new.heapline"
    heapline("run", "--quiet", "-o", new, "--copies", "--python", PYTHON, "--", folder / "program.py")
    return trace, new


@pytest.fixture(scope="module")
def page(pair, browser):
    path = pair[1].with_suffix(".html")
    heapline("diff", "--format", "html", "-o", path, *pair)
    return path


def compare(pair, *arguments):
    return document("diff", *pair, *arguments)


def test_header(browser, page, pair):
    found = compare(pair)
    browser.open(page)
    shown = browser.evaluate("Object.fromEntries([...document.querySelectorAll('.figure-box')].map(box => [box.dataset.key, +box.querySelector('[data-delta]').dataset.delta]))")
    for key, name in (("peak_bytes", "peak_bytes"), ("allocated_bytes", "allocated_bytes"), ("copied_bytes", "copied_bytes"), ("live_bytes_at_end", "live_bytes")):
        assert shown[key] == found["delta_" + name]
    assert browser.evaluate("document.title") == f"{pair[0].name} → {pair[1].name} – heapline"


def expected_rows(rows):
    return sorted([row["file"] or "", row["line"] or 0, row["function"], row["status"], *(row[f"{side}_{m}"] for m in MEASURES for side in ("old", "new"))] for row in rows)


def test_lines(browser, page, pair):
    browser.open(page, "tab=lines")
    rows = browser.state()["rows"]
    shown = sorted([row["path"], row["line"], row["functionName"], row["status"].split(",")[0],
                    *(amount for m in MEASURES for amount in (row["old"][m], row[m]))] for row in rows)
    assert shown == expected_rows(compare(pair)["rows"])


def test_a_line_that_moved(browser, page):
    """Every line of the edited program is one further down."""
    browser.open(page, "tab=lines&filter=leak")
    leak = max((row for row in browser.state()["rows"] if row["functionName"] == "leak"), key=lambda row: row["peak_bytes"])
    assert leak["status"].endswith(f"program.py:{leak['line'] - 1}")
    assert leak["status"].startswith("shrank, was ") and leak["peak_bytes"] < leak["old"]["peak_bytes"]


def test_table_shows_change_and_sorts(browser, page, pair):
    for cost, measure in COSTS.items():
        browser.open(page, f"tab=lines&cost={cost}")
        cells = browser.evaluate("""[...document.querySelectorAll('.table-box tbody tr')].map(row => ['change', 'old', 'new'].map(c => +row.querySelector(`[data-column=${c}]`).dataset.value))""")
        assert cells and all(change == new - old for change, old, new in cells)
        sizes = [abs(change) for change, _, _ in cells]
        assert sizes == sorted(sizes, reverse=True)
        found = compare(pair, "--of", cost)
        assert sizes == sorted((abs(row["delta_" + measure]) for row in found["rows"]), reverse=True)[:len(sizes)]
        assert int(browser.evaluate("document.querySelector('[data-sum=change]').dataset.value")) == found["delta_" + measure]


def test_functions(browser, page, pair):
    browser.open(page, "tab=lines&group=function")
    shown = sorted([row["functionName"], *(amount for m in MEASURES for amount in (row["old"][m], row[m]))] for row in browser.state()["rows"])
    rows = compare(pair, "--by", "function")["rows"]
    assert shown == sorted([row["function"], *(row[f"{side}_{m}"] for m in MEASURES for side in ("old", "new"))] for row in rows)


TREE = """(({tree}) => {
  const found = {};
  const visit = (item, path) => {
    for (const child of tree.children(item)) visit(child, child.frame ? [...path, tree.model.functionName(child.frame)] : path);
    const children = item.children, before = item.before - children.reduce((s, c) => s + c.before, 0), after = item.after - children.reduce((s, c) => s + c.after, 0);
    const key = JSON.stringify(path), into = found[key] ??= [0, 0];
    into[0] += before; into[1] += after;
  };
  visit(tree.root, []);
  return Object.entries(found).map(([key, [before, after]]) => [JSON.parse(key), before, after]);
})(heapline.currentTree())"""


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("width", ["old", "new"])
def test_stacks(browser, page, pair, cost, width):
    """Each stack's figures, by the names of its frames from the root. What a trace has nothing of has no width."""
    browser.open(page, f"cost={cost}&interpreter=1&width={width}")
    side = ["old", "new"].index(width)
    shown = {json.dumps(path): sides[side] for path, *sides in browser.evaluate(TREE) if sides[side]}
    expected = {}
    for row in compare(pair, "--by", "stack")["rows"]:
        key = json.dumps([frame["function"] for frame in reversed(row["frames"])])
        expected[key] = expected.get(key, 0) + row[f"{width}_{COSTS[cost]}"]
    assert shown == {key: amount for key, amount in expected.items() if amount}


@pytest.mark.parametrize("invert", [0, 1])
def test_width_of_changes(browser, page, pair, invert):
    rows = compare(pair, "--by", "stack")["rows"]
    browser.open(page, f"invert={invert}&interpreter=1")
    assert browser.state()["total"] == sum(abs(row["delta_peak_bytes"]) for row in rows)
    root = browser.state()["drawn"][0]
    assert root["after"] - root["before"] == compare(pair)["delta_peak_bytes"]


def test_colours(browser, page):
    """What grew is red, what shrank is blue, and the amount says so as well."""
    browser.open(page)
    colours = browser.evaluate("""(() => {
      const flame = heapline.flame, { canvas } = flame, ratio = devicePixelRatio;
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return flame.boxes.filter(box => box.width > 20).map(box => {
        const at = 4 * (Math.round((flame.rowTop(box.depth) + 3) * ratio) * canvas.width + Math.round((box.x + box.width - 3) * ratio));
        return [box.item.before, box.item.after, data[at], data[at + 2]];
      });
    })()""")
    assert any(after > before for before, after, _, _ in colours) and any(after < before for before, after, _, _ in colours)
    for before, after, red, blue in colours:
        assert after == before or (red > blue) == (after > before)


def test_search(browser, page, pair):
    rows = compare(pair, "--by", "stack")["rows"]
    browser.open(page, "interpreter=1&search=leak")
    found = [row for row in rows if any(frame["function"] == "leak" for frame in row["frames"])]
    assert browser.state()["matched"] == sum(abs(row["delta_peak_bytes"]) for row in found) > 0


def test_source(browser, page, pair):
    browser.open(page, "tab=source")
    browser.evaluate("new Promise(done => { const wait = () => document.querySelector('.source-view').dataset.complete ? done() : setTimeout(wait, 10); wait(); })")
    shown = browser.evaluate("Object.fromEntries([...document.querySelectorAll('[data-measure=change]')].map(c => [c.parentNode.id, +c.dataset.value]))")
    expected = {}
    for row in compare(pair)["rows"]:
        if row["file"] == str(pair[1].parent / "program.py") and row["new_line"] and row["delta_peak_bytes"]:
            expected[f"L{row['new_line']}"] = expected.get(f"L{row['new_line']}", 0) + row["delta_peak_bytes"]
    assert shown == {line: change for line, change in expected.items() if change}


def test_leaks_and_copies(browser, page, pair):
    old, new = (document("leaks", trace)["candidates"] for trace in pair)
    leak, was = ([c for c in candidates if c["function"] == "leak"][0] for candidates in (new, old))
    browser.open(page, "tab=leaks")
    shown = browser.evaluate(f"+[...document.querySelectorAll('.leak')].find(c => c.dataset.place === {json.dumps(leak['file'] + ':' + str(leak['line']))}).querySelector('[data-delta]').dataset.delta")
    assert shown == leak["live_bytes"] - was["live_bytes"] < 0
    browser.open(page, "tab=copies")
    found = compare(pair)
    assert browser.evaluate("(({copied, old}) => [+copied, +old])(document.querySelector('[data-copied]').dataset)") == [found["new_copied_bytes"], found["old_copied_bytes"]]


def test_every_tab_in_the_dark(browser, page):
    browser.open(page, scheme="dark")
    for key, tab in zip("123456", ("flame", "lines", "source", "leaks", "copies", "about")):
        browser.ask(press=key)
        assert browser.state()["state"]["tab"] == tab


def test_moments(browser, pair, tmp_path):
    """Two moments of one trace: only what is live is compared."""
    moments = [f"{pair[0]}@25%", f"{pair[0]}@exit"]
    out = tmp_path / "moments.html"
    heapline("diff", "--format", "html", "-o", out, *moments)
    found = document("diff", *moments)
    browser.open(out)
    root = browser.state()["drawn"][0]
    assert (root["before"], root["after"]) == (found["old_live_bytes"], found["new_live_bytes"])
    assert browser.evaluate("[...document.querySelectorAll('[aria-label=Measure] button')].map(b => b.textContent)") == ["Live"]
    browser.open(out, "tab=lines")
    assert sorted((row["old"]["live_bytes"], row["live_bytes"]) for row in browser.state()["rows"]) == sorted(
        (row["old_live_bytes"], row["new_live_bytes"]) for row in found["rows"])
    assert browser.evaluate("console") == []


def test_threshold_and_refusals(browser, pair, tmp_path):
    out = tmp_path / "out.html"
    result = subprocess.run([HEAPLINE, "diff", "--format", "html", "-o", out, "--fail-on", "100000", *pair], capture_output=True, text=True)
    assert result.returncode == 1 and "total is" in result.stderr and out.stat().st_size > 100_000
    result = subprocess.run([HEAPLINE, "diff", "-o", out, *pair], capture_output=True, text=True)
    assert result.returncode == 2 and "-o is for --format html" in result.stderr
