"""The page in the real Firefox: the figures that --json says, every view, and nothing on the console."""

import shutil

import pytest

from firefox import Firefox
from viewer_commands import BUILD, document, heapline

COSTS = {"peak": "peak_bytes", "live": "live_bytes_at_end", "allocated": "allocated_bytes", "copied": "copied_bytes"}


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    if not (BUILD / "viewer" / "viewer.html").exists():
        pytest.skip("the viewer is not built: no node or npm when meson configured")
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if not program:
        pytest.skip("no firefox")
    browser = Firefox(program, tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(trace, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "program.html"
    heapline("export", "--format", "html", "-o", path, trace)
    return path


def test_it_is_firefox(firefox, page):
    firefox.open(page)
    assert "Firefox/" in firefox.evaluate("navigator.userAgent")


def test_totals(firefox, page, trace):
    report = document("report", trace)
    for cost, name in COSTS.items():
        firefox.open(page, f"cost={cost}")
        assert firefox.state()["total"] == report[name]
    assert firefox.console() == []


def test_table(firefox, page, trace):
    lines = document("lines", trace)["lines"]
    firefox.open(page, "tab=lines")
    figures = ("peak_bytes", "live_bytes", "allocated_bytes", "temporary_allocations", "copied_bytes")
    rows = {(row["path"], row["line"], row["functionName"]): [row[m] for m in figures] for row in firefox.state()["rows"]}
    assert rows == {(row["file"] or "", row["line"] or 0, row["function"]): [row[m] for m in figures] for row in lines}
    assert firefox.console() == []


def test_every_view(firefox, page):
    firefox.open(page)
    pictures = set()
    for key, tab in zip("123456", ("flame", "lines", "source", "leaks", "copies", "about")):
        firefox.press(key)
        assert firefox.state()["state"]["tab"] == tab
        pictures.add(firefox.screenshot())
    assert len(pictures) == 6 and firefox.console() == []


def test_a_line_far_down_is_in_sight(firefox, page, trace):
    row = max((row for row in document("lines", trace)["lines"] if (row["file"] or "").endswith("threading.py")), key=lambda row: row["line"])
    firefox.open(page, f"tab=source&file={row['file']}&line={row['line']}")
    firefox.ask("WebDriver:ExecuteAsyncScript", args=[], script="""const done = arguments[arguments.length - 1];
        const wait = () => document.querySelector('.source-view').dataset.complete ? done() : setTimeout(wait, 20); wait();""")
    assert firefox.evaluate("""(() => { const line = document.querySelector('tr.target').getBoundingClientRect(), box = document.querySelector('.code').getBoundingClientRect();
        return line.top > box.top && line.bottom < box.bottom; })()""")
    assert firefox.console() == []


def test_range_and_theme(firefox, page):
    last = None
    firefox.open(page)
    last = firefox.evaluate("heapline.model.windowCount") - 1
    firefox.open(page, f"tab=lines&from=0&to={last // 2}")
    assert firefox.evaluate("document.querySelector('.range strong').textContent").startswith("0")
    firefox.evaluate("document.querySelector('.theme').click()")
    assert firefox.evaluate("document.documentElement.dataset.theme") in ("dark", "light")
    assert firefox.console() == []


def test_a_script_error_would_be_seen(firefox, page, tmp_path):
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text().replace("</body>", "<script>nowhere.at.all()</script></body>"))
    firefox.open(broken)
    assert any("nowhere" in message for message in firefox.console())
