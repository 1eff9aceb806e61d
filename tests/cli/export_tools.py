"""What other people's programs say of an export: the pprof tool and its proto file as Debian ships them, packages as pip does, a browser."""

import importlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from command import BUILD, ROOT, environment

sys.path.insert(0, str(ROOT / "tests" / "integration"))

GO_SOURCES = pathlib.Path("/usr/share/gocode")
PPROF_SOURCES = GO_SOURCES / "src" / "github.com" / "google" / "pprof"


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"no {program} here")


def python_of(*packages):
    """Runs a piece of Python with pip's packages: a function from code and arguments to what it prints."""
    from interpreters import DEFAULT, package_folder
    folder = package_folder(DEFAULT, *packages)
    # Without Debian's own packages, whose numpy is older than what pip's packages want.
    alone, env = (["-S"], environment(PYTHONPATH=folder)) if folder else ([], environment())

    def execute(code, *arguments):
        result = subprocess.run([DEFAULT.path, *alone, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=env, timeout=120)
        assert result.returncode == 0, result.stderr
        return result.stdout
    return execute


def pprof_program():
    """The tool, built once from Debian's sources."""
    needs("go")
    if not PPROF_SOURCES.is_dir():
        pytest.skip("no golang-github-google-pprof-dev here")
    program = BUILD / "tools" / "pprof"
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        partial = program.with_name(f"pprof.{os.getpid()}")
        subprocess.run(["go", "build", "-o", partial, "github.com/google/pprof"], check=True, capture_output=True, text=True, timeout=300,
                       env=dict(os.environ, GO111MODULE="off", GOPATH=f"{BUILD}/tools/go:{GO_SOURCES}", GOFLAGS="", GOTOOLCHAIN="local"))
        partial.rename(program)
    return program


def profile_class():
    """The class `Profile` of the real profile.proto."""
    needs("protoc")
    pytest.importorskip("google.protobuf")
    if not PPROF_SOURCES.is_dir():
        pytest.skip("no golang-github-google-pprof-dev here")
    folder = BUILD / "tools" / f"proto.{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["protoc", f"--proto_path={PPROF_SOURCES / 'proto'}", f"--python_out={folder}", "profile.proto"], check=True, timeout=60)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("profile_pb2").Profile
    finally:
        sys.path.remove(str(folder))
        shutil.rmtree(folder)


def browser_dump(page, script, folder):
    """What chromium has made of a page after a script has run in it: its document as text."""
    needs("chromium")
    wrapper = folder / "wrapper.html"
    wrapper.write_text(f"<!doctype html><meta charset=utf-8><body>{page}<script>{script}</script>")
    result = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--window-size=1400,900",
                             "--dump-dom", f"file://{wrapper}"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout
