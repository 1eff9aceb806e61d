"""A browser, and pages of recorded programs, for the tests of the viewer."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from viewer_commands import BUILD, HERE, PYTHON, heapline  # noqa: E402


class Browser:
    def __init__(self):
        modules = BUILD / "viewer" / "node_modules"
        self.process = subprocess.Popen(["node", HERE / "browser.mjs", modules, shutil.which("chromium")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def open(self, page, hash="", **options):
        self.ask(page=str(page), hash=hash, **options)

    def evaluate(self, expression):
        return self.ask(evaluate=expression)

    def state(self):
        return self.evaluate("heapline.inspect()")

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


@pytest.fixture(scope="session")
def browser():
    if not (BUILD / "viewer" / "viewer.html").exists():
        pytest.skip("the viewer is not built: no node or npm when meson configured")
    if not shutil.which("chromium"):
        pytest.skip("no chromium")
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def trace(tmp_path_factory):
    """A run of program.py: threads, copies, a leak, temporary allocations; with its own lines and those of the standard library."""
    path = tmp_path_factory.mktemp("viewer") / "program.heapline"
    heapline("run", "--quiet", "-o", path, "--copies", "--python", PYTHON, "--", HERE / "program.py")
    return path


@pytest.fixture(scope="session")
def page(trace, browser):
    path = trace.with_suffix(".html")
    heapline("export", "--format", "html", "-o", path, trace)
    return path


@pytest.fixture(autouse=True)
def console_is_empty(request):
    """No view may write to the console, throw, or ask for anything beyond the file."""
    yield
    if "browser" in request.fixturenames and "page" in request.fixturenames:
        assert request.getfixturevalue("browser").evaluate("console") == []
