"""`meson install`: what is installed, and that it works from wherever it is moved to."""

import json
import re

import pytest


@pytest.fixture
def installed(run, build, tmp_path):
    """The installation as below its prefix, staged in a folder of the test."""
    stage = tmp_path / "stage"
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", stage)
    options = json.loads((build / "meson-info" / "intro-buildoptions.json").read_text())
    prefix = next(option["value"] for option in options if option["name"] == "prefix")
    return stage / prefix.lstrip("/")


def test_everything_has_its_place(installed):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    shortened = {re.sub(r"^(lib/[^/]+-linux-[^/]+|lib64)/", "lib/", file) for file in files}
    expected = {"bin/heapline", "lib/heapline/libheapline.so", "lib/heapline/heapline-collector", "share/man/man1/heapline.1",
                "share/doc/heapline/LICENSE"}
    assert expected <= shortened, expected - shortened
    assert any(file.endswith("-packages/heapline/__init__.py") for file in files)
    # Nothing that belongs to the tests, and no static library, is installed.
    assert not [file for file in files if "test" in file or file.endswith(".a")]


def test_works_where_it_was_moved_to(installed, run, tmp_path):
    moved = installed.rename(tmp_path / "elsewhere")
    heapline = moved / "bin" / "heapline"
    assert run(heapline, "run", "--quiet", "-o", "t.heapline", "--", "/bin/echo", "hello") == "hello\n"
    document = json.loads(run(heapline, "report", "--json", "t.heapline"))
    assert document["complete"] is True
    assert document["allocations"] > 0


def test_the_package_finds_the_command(installed, run, tmp_path):
    package = next(installed.rglob("heapline/__init__.py")).parent.parent
    code = "import heapline; print(heapline.command_path()); print(heapline.library_path())"
    command, library = run("/usr/bin/python3", "-c", code, PYTHONPATH=package).splitlines()
    assert command == str(installed / "bin" / "heapline")
    assert library == str(next(installed.rglob("libheapline.so")))


def test_versions_agree(root, build, run):
    version = re.search(r"version: '([^']+)'", (root / "meson.build").read_text()).group(1)
    assert run("/usr/bin/python3", "-c", "import heapline; print(heapline.__version__)", PYTHONPATH=root / "python") == version + "\n"
    assert version in run(build / "cli" / "heapline", "--version")
