"""The page of a sampled trace: what each figure of bytes may be off by."""

import math

import pytest

from viewer_commands import HERE, PYTHON, document, heapline

INTERVAL = 4096
TITLES = "[...document.querySelectorAll('tbody tr')].map(row => Object.fromEntries([...row.querySelectorAll('td.number')].map(cell => [cell.dataset.column, cell.title])))"


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("sampled") / "program.heapline"
    heapline("run", "--quiet", "-o", path, "--sample", str(INTERVAL), "--python", PYTHON, "--", HERE / "program.py")
    return path


@pytest.fixture(scope="module")
def page(trace, browser):
    path = trace.with_suffix(".html")
    heapline("export", "--format", "html", "-o", path, trace)
    return path


def in_bytes(text):
    number, unit = text.split()
    return float(number) * 1024 ** ["B", "KiB", "MiB"].index(unit)


def test_tables_say_the_standard_error(browser, page, trace):
    """Of bytes, where it is a byte and more; of blocks that each were seen there is none."""
    lines = {(row["file"] or "", row["line"] or 0, row["function"]): row for row in document("lines", trace)["lines"]}
    browser.open(page, "tab=lines")
    rows, titles = browser.state()["rows"], browser.evaluate(TITLES)
    checked = 0
    for row, cells in zip(rows, titles):
        line = lines[row["path"], max(row["line"], 0), row["functionName"]]
        for bytes_name, count_name in (("peak_bytes", "peak_allocations"), ("live_bytes", "live_allocations"), ("allocated_bytes", "allocations")):
            amount, count = line[bytes_name], line[count_name]
            error = math.sqrt(amount * amount / count / math.expm1(min(amount / count / INTERVAL, 700))) if amount and count else 0
            said = cells[bytes_name].partition(" · standard error ")[2]
            assert bool(said) == (error >= 1), (cells[bytes_name], error)
            if said:
                assert in_bytes(said) == pytest.approx(error, rel=0.006)
                checked += 1
            assert "error" not in cells[count_name]
    assert checked > 20


def test_exact_figures_have_none(browser, page, tmp_path):
    path = tmp_path / "exact.heapline"
    heapline("run", "--quiet", "-o", path, "--python", PYTHON, "--", HERE / "program.py")
    heapline("export", "--format", "html", "-o", tmp_path / "exact.html", path)
    browser.open(tmp_path / "exact.html", "tab=lines")
    titles = browser.evaluate(TITLES)
    assert len(titles) > 20 and not any("error" in title for cells in titles for title in cells.values())
