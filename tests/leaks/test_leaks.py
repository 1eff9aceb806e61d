"""Services that leak and services that don't: `heapline leaks` must report every leaking line, first, and no innocent one (docs/leaks.md).

The files in leaking/ and innocent/ are those the detector was made with. Those in held_out/ weren't looked at then, but some things were changed
for them; those in held_out_again/ are newer than the detector."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
from command import HEAPLINE, environment  # noqa: E402

HERE = pathlib.Path(__file__).parent
PYTHON = "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable
TIMEOUT = 120
CONFIDENT = 0.5
# With --sample 16384 what leaks 64 times that within the run, 1 MiB, must be found. These do, with eight times the load.
SAMPLED = [f"leaking/{name}.py" for name in (
    "cycles_without_collector", "global_list", "growing_buffer", "second_index", "suspended_generators", "unbounded_cache")]
SAMPLED_HELD_OUT = [f"{folder}/leaking/{name}.py" for folder, name in (
    ("held_out", "context_chain"), ("held_out", "observers"), ("held_out", "per_thread_state"), ("held_out_again", "open_databases"),
    ("held_out_again", "pending_future"), ("held_out_again", "sometimes_kept"))]
SAMPLED_SCALE = 8
# Of the held-out scenarios: known to be misjudged, and why.
MISJUDGED = {"warnings_once.py": "new forms of message get rarer and never cease: that is growth, if a slow one"}


def scenarios(folder):
    return sorted(path for path in (HERE / folder).iterdir() if path.suffix in (".py", ".c"))


def named(*folders):
    return [pytest.param(path, id=f"{path.parent.relative_to(HERE)}/{path.name}") for folder in folders for path in scenarios(folder)]


def marked_lines(path):
    return [number for number, line in enumerate(path.read_text().splitlines(), 1) if re.search(r"(#|/\*) leak\b", line)]


def record(path, tmp_path, *options, scale=1):
    """Record a scenario, and judge it: the document of `heapline leaks`."""
    trace, program = tmp_path / "service.heapline", [path]
    if path.suffix == ".c":
        executable = tmp_path / path.stem
        subprocess.run(["gcc", "-g", "-O1", "-fno-inline", "-pthread", f"-I{HERE}", path, "-o", executable], check=True)
        options, program = (*options, "--native"), [executable]
    else:
        options = (*options, "--python", PYTHON)
    settings = environment(PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE=1, SCENARIO_SCALE=scale)
    subprocess.run([HEAPLINE, "run", "--quiet", "--force", "-o", trace, *options, "--", *program], check=True, timeout=TIMEOUT, env=settings)
    result = subprocess.run([HEAPLINE, "leaks", "--json", trace], check=True, timeout=TIMEOUT, env=settings, stdout=subprocess.PIPE)
    return json.loads(result.stdout)


def describe(candidates):
    return "\n".join(f"{row['confidence']:.2f} {row['file']}:{row['line']} {row['evidence']}" for row in candidates[:5])


def check_leak(path, found):
    best = found["candidates"][0]
    assert best["confidence"] >= CONFIDENT, describe(found["candidates"])
    assert (best["file"], best["line"]) == (str(path), best["line"]) and best["line"] in marked_lines(path), describe(found["candidates"])


def check_innocent(found):
    assert [row for row in found["candidates"] if row["confidence"] >= CONFIDENT] == [], describe(found["candidates"])
    assert found["growing"] == 0


def judge(check, path, tmp_path, *options, **settings):
    """Where the machine has more to do than it has cores for, the services' pace is uneven, as if their load fell: then once more."""
    found = record(path, tmp_path, *options, **settings)
    try:
        check(found)
    except AssertionError:
        if os.getloadavg()[0] <= os.cpu_count():
            raise
        found = record(path, tmp_path, *options, **settings)
        check(found)
    return found


@pytest.mark.parametrize("path", named("leaking", "held_out/leaking", "held_out_again/leaking"))
def test_leaking(path, tmp_path):
    found = judge(lambda found: check_leak(path, found), path, tmp_path)
    # It says since when and how fast, and that the end of the program was not counted.
    best = found["candidates"][0]
    assert 0 <= best["since_ns"] < found["judged_ns"] and best["growth_bytes_per_hour"] > 0
    # Blocks stay from all of the run; but for the one that is made larger.
    if path.stem not in ("growing_buffer", "growing_array"):
        assert best["old_bytes"] * 2 >= best["growth_bytes_per_second"] * (found["judged_ns"] - best["since_ns"]) / 1e9 * 0.5
    assert best["p"] < 0.05 and "keeps growing" == best["shape"]


@pytest.mark.parametrize("path", named("innocent", "held_out/innocent", "held_out_again/innocent"))
def test_innocent(path, tmp_path):
    if path.name in MISJUDGED:
        pytest.skip(MISJUDGED[path.name])
    judge(check_innocent, path, tmp_path)


@pytest.mark.parametrize("path", [HERE / name for name in SAMPLED + SAMPLED_HELD_OUT], ids=lambda path: path.name)
def test_sampled_leaking(path, tmp_path):
    found = judge(lambda found: check_leak(path, found), path, tmp_path, "--sample", "16384", scale=SAMPLED_SCALE)
    assert found["candidates"][0]["live_bytes"] > (64 - 8) * 16384  # an estimate: its standard error is 8 intervals


@pytest.mark.parametrize("path", named("innocent", "held_out/innocent", "held_out_again/innocent"))
def test_sampled_innocent(path, tmp_path):
    if path.name in MISJUDGED:
        pytest.skip(MISJUDGED[path.name])
    judge(check_innocent, path, tmp_path, "--sample", "16384")
