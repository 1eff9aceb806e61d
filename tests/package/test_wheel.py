"""`pip install .`: one wheel for every Python 3, that needs nothing but the C library, and that records."""

import json
import pathlib
import platform
import shutil
import subprocess
import zipfile

import pytest

VERSIONS = range(8, 20)
# pip 24 is the last that installs for Python 3.8, too.
TOOLS = ["pip>=24,<25", "meson-python", "meson", "ninja"]
SYSTEM_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
                    "libgcc_s.so.1"}


def interpreters():
    """Every Python 3.8 or later that answers: in PATH, and pyenv's."""
    candidates = ["/usr/bin/python3"] + [shutil.which(f"python3.{minor}") for minor in VERSIONS]
    candidates += sorted(str(path) for path in pathlib.Path.home().glob(".pyenv/versions/3.*/bin/python3"))
    found = {}
    for candidate in filter(None, candidates):
        code = "import sys, venv; print('%d.%d' % sys.version_info[:2], sys.version_info >= (3, 8))"
        answer = subprocess.run([candidate, "-c", code], capture_output=True, text=True)
        if answer.returncode == 0 and answer.stdout.endswith("True\n"):
            found.setdefault(answer.stdout.split()[0], candidate)
    return found


@pytest.fixture(scope="module")
def pip(tmp_path_factory):
    """A pip of its own, which also installs into other environments."""
    folder = tmp_path_factory.mktemp("pip")
    subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
    return folder / "bin" / "pip"


@pytest.fixture(scope="module")
def wheel(root, pip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    tools = subprocess.run([pip, "install", "--quiet", "--disable-pip-version-check", *TOOLS], capture_output=True, text=True)
    if tools.returncode != 0:
        pytest.skip("meson-python cannot be had from a package index here")
    # pip builds in the source tree: give it a copy, without build folders.
    source = folder / "source"
    shutil.copytree(root, source, ignore=shutil.ignore_patterns("build", "build-*", "node_modules", ".git", "__pycache__", "*.heapline*"))
    for command in (["git", "init", "-q"], ["git", "add", "-A"],
                    ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "test"]):
        subprocess.run(command, cwd=source, check=True)
    built = subprocess.run([pip, "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", folder / "dist", source],
                           capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = (folder / "dist").iterdir()
    return file


def test_its_name_promises_every_python(wheel):
    assert wheel.name.endswith(f"-py3-none-linux_{platform.machine()}.whl")


def test_it_holds_what_belongs_to_it(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    dist_info = next(name.split("/")[0] for name in names if name.endswith("/RECORD"))
    data = dist_info.replace(".dist-info", ".data")
    payload = {name for name in names if not name.startswith(dist_info)}
    viewer = {f"{data}/data/lib/heapline/viewer.html"} if shutil.which("npm") else set()
    package = {f"{data}/purelib/heapline/{name}.py" for name in ("__init__", "__main__", "_loops", "_recorder", "_tags")}
    assert payload == {f"{data}/scripts/heapline", f"{data}/data/lib/heapline/libheapline.so",
                       f"{data}/data/lib/heapline/heapline-collector"} | viewer | package
    assert any(name.startswith(dist_info) and name.endswith("LICENSE") for name in names)


def test_it_needs_nothing_but_the_c_library(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    objects = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert len(objects) == 3
    for path in objects:
        listing = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=True).stdout
        needed = {line.split()[1] for line in listing.splitlines() if line.strip().startswith("NEEDED")}
        assert needed <= SYSTEM_LIBRARIES, path.name
        assert "RUNPATH" not in listing and "RPATH" not in listing, path.name


@pytest.mark.parametrize("version", sorted(interpreters(), key=lambda version: int(version.split(".")[1])))
def test_it_records_with(version, wheel, pip, run, tmp_path):
    run(interpreters()[version], "-m", "venv", "--without-pip", tmp_path / "environment")
    python = tmp_path / "environment" / "bin" / "python"
    run(pip, "--python", python, "install", "--quiet", "--no-index", wheel)
    question = "import heapline; print(heapline.is_recording())"
    assert run(python, "-c", question) == "False\n"
    assert run(python, "-m", "heapline", "run", "--quiet", "-o", "t.heapline", "-c", question) == "True\n"
    command = tmp_path / "environment" / "bin" / "heapline"
    assert json.loads(run(command, "report", "--json", "t.heapline"))["complete"] is True
    assert run(python, "-c", "import heapline; print(heapline.command_path())") == f"{command}\n"
    library = tmp_path / "environment" / "lib" / "heapline" / "libheapline.so"
    assert run(python, "-c", "import heapline; print(heapline.library_path())") == f"{library}\n"
