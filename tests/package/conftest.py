"""Where the build is, and a clean environment, for the tests of what is installed."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("HEAPLINE_BUILD", ROOT / "build")).resolve()


@pytest.fixture
def run(tmp_path):
    """run(program, *arguments, status=0, **environment) -> standard output. Runs in an empty folder."""

    def start(*command, status=0, **environment):
        dropped = ("HEAPLINE_", "LD_", "PYTHON", "PIP_", "MALLOC_")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(dropped) or key in ("PIP_CERT", "PIP_INDEX_URL")}
        clean.update({key: str(value) for key, value in environment.items()})
        done = subprocess.run([str(part) for part in command], cwd=tmp_path, env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=600)
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    return start


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def build():
    return BUILD
