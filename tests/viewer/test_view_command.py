"""heapline view: writes the page beside the trace and hands it to a browser."""

import os
import shutil
import subprocess

from viewer_commands import HEAPLINE


def view(*arguments, **environment):
    result = subprocess.run([HEAPLINE, "view", *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment})
    return result.returncode, result.stdout, result.stderr


def test_opens_in_a_browser(browser, trace, tmp_path):
    copy = tmp_path / "a run.heapline"
    shutil.copy(trace, copy)
    asked = tmp_path / "asked"
    script = tmp_path / "my-browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {asked}\n')
    script.chmod(0o755)
    page = tmp_path / "a run.heapline.html"
    assert view(copy, BROWSER=str(script)) == (0, f"opened file://{page}\n", "")
    assert asked.read_text() == f"{page}\n"
    browser.open(page)
    assert browser.evaluate("document.title") == "a run.heapline – heapline"


def test_no_browser(browser, trace, tmp_path):
    page = tmp_path / "page.html"
    assert view("--no-browser", "-o", page, trace) == (0, f"wrote file://{page}\n", "")
    status, said, _ = view("-o", page, trace, BROWSER="/nowhere/browser")
    assert status == 0 and said.startswith("no browser answered") and str(page) in said


def test_refusals(browser, trace, tmp_path):
    assert view(tmp_path / "absent")[0] == 3
    assert view("-o", "/nowhere/page.html", trace)[0] == 4
    assert view()[0] == 2
