"""For who doesn't see the page, or sees it on paper or on a telephone: names and roles in Chromium's accessibility tree, axe-core's rules, widths."""

import pytest

TABS = ("flame", "lines", "source", "leaks", "copies", "about")
OPERATED = {"button", "checkbox", "radio", "combobox", "searchbox", "textbox", "tab", "slider", "link", "application", "treeitem", "spinbutton"}
SOURCE = "file={file}&line=18"


@pytest.fixture(scope="module", autouse=True)
def program(browser, page):
    browser.open(page, "tab=source")
    return browser.evaluate("document.querySelector('.path').textContent")


def views(program):
    yield from ((tab, f"tab={tab}") for tab in TABS)
    yield "flame with a source line", f"tab=flame&file={program}&line=18"
    yield "a range", "tab=flame&from=3&to=9"


def test_everything_that_can_be_operated_has_a_name_and_a_role(browser, page, program):
    for view, hash in views(program):
        browser.open(page, hash)
        nodes = browser.ask(tree=1)
        assert [node for node in nodes if (node.get("focusable") or node["role"] in OPERATED) and not node["name"] and node["role"] not in ("RootWebArea", "main")] == [], view
        roles = {}
        for node in nodes:
            roles.setdefault(node["role"], []).append(node["name"])
        assert len(roles["tab"]) == 6 and len(roles["heading"]) >= 1 and roles["banner"] and roles["main"]
        assert any("Heap" in name and "highest" in name and "at the end" in name for name in roles.get("image", []) + roles.get("img", [])), view


def test_what_screen_readers_are_told_of_graphs_and_tables(browser, page, trace):
    browser.open(page, "cost=allocated")
    graph = next(node for node in browser.ask(tree=1) if node["role"] == "application")
    assert graph["name"].startswith("all that was ever allocated") and "frames drawn" in graph["name"] and graph["roledescription"] == "flame graph"
    assert browser.evaluate("document.getElementById(document.querySelector('.flame canvas').getAttribute('aria-describedby')).textContent").startswith("Arrow keys")
    for tab, columns in (("lines", ["line", "function", "peak"]), ("copies", ["your line", "copies at", "in"]), ("source", ["peak", "live", "allocated"])):
        browser.open(page, f"tab={tab}")
        nodes = browser.ask(tree=1)
        headers = [node["name"].rstrip("▾▴") for node in nodes if node["role"] == "columnheader"]
        assert headers[:3] == columns and any(node["role"] == "table" for node in nodes)
    browser.open(page, "tab=lines&sort=allocated_bytes")
    assert browser.evaluate("document.querySelector('th[aria-sort=descending]').textContent").startswith("allocated")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, page, program, scheme):
    for view, hash in views(program):
        browser.open(page, hash, scheme=scheme)
        found = browser.ask(axe=1)
        assert found["violations"] == [] and found["passed"] > 15, view


def test_no_view_is_wider_than_a_telephone(browser, page, program):
    for view, hash in views(program):
        browser.open(page, hash, width=400, height=800)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 400, view


def test_what_is_printed_fits_the_paper(browser, page, program, tmp_path):
    """In the dark, too: light, nothing cut at the right, no scrolled boxes, no controls, and the flame graph on the first page."""
    for view, hash in views(program):
        browser.open(page, hash, scheme="dark", width=1400)
        browser.ask(media="print")
        browser.evaluate("void dispatchEvent(new Event('beforeprint'))")
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)", view
        assert browser.evaluate("""[...document.querySelectorAll('header, .timeline, canvas, .flame, .peek, .table-box, .code, table, .card, svg, p')]
            .filter(e => e.getClientRects().length && !e.closest('.visually-hidden') && e.getBoundingClientRect().right > 701).map(e => e.outerHTML.slice(0, 80))""") == [], view
        assert browser.evaluate("[...document.querySelectorAll('.table-box, .code')].filter(e => e.scrollHeight > e.clientHeight + 2).length") == 0, view
        assert browser.evaluate("[...document.querySelectorAll('button.more, .toolbar, .tabs, select, input')].filter(e => e.getClientRects().length).length") == 0, view
        if view == "flame":
            assert browser.evaluate("document.querySelector('.flame canvas').getBoundingClientRect().bottom + scrollY") < 1040
        browser.evaluate("void dispatchEvent(new Event('afterprint'))")
        assert browser.evaluate("[document.body.style.width, heapline.flame.rowLimit === Infinity, document.documentElement.dataset.theme ?? '']") == ["", True, ""]
    browser.open(page, "tab=lines")
    browser.ask(pdf=str(tmp_path / "page.pdf"))
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
