"""heapline diff on recorded runs of programs whose allocations are known: the growing line, and its exact bytes; and the example of docs/diff.md."""

import json
import os
import re
import shutil
import subprocess

import pytest

from interpreters import DEFAULT
from recording import HEAPLINE, ROOT, clean_environment, heapline

# A slot for each block, so that the line allocates nothing else. bytes(967) takes 1000.
PROGRAM = """\
import sys
count = int(sys.argv[1])
kept = [None] * 4000
def churn():
    return sum(len(str(i)) for i in range(3000))
def remember(i):
    kept[i] = bytes(967)
for i in range(count):
    remember(i)
    churn() if i % 500 == 0 else None
"""
BLOCK_BYTES = 1000


def compare(old, new, *arguments, status=0):
    result = heapline("diff", old, new, "--json", *arguments)
    assert result.returncode == status, result.stderr.decode()
    return json.loads(result.stdout)


@pytest.fixture
def recorded(tmp_path, record):
    """recorded(TEXT, ARGUMENT...): the trace of a program of that text, always of the same name."""
    def run(text, *arguments, options=()):
        script = tmp_path / "program.py"
        script.write_text(text)
        return record(script, *arguments, options=options, check=False)
    return run


def check_growth(row, line, blocks, old_line=None):
    assert (os.path.basename(row["file"]), row["function"], row["line"], row["old_line"]) == ("program.py", "remember", line, old_line or line)
    assert (row["delta_peak_bytes"], row["delta_peak_allocations"]) == (blocks * BLOCK_BYTES, blocks)
    assert (row["delta_allocated_bytes"], row["delta_allocations"]) == (blocks * BLOCK_BYTES, blocks)
    assert row["status"] == "grew"


def test_growing_line(recorded):
    old, new = recorded(PROGRAM, 1000), recorded(PROGRAM, 3500)
    found = compare(old.path, new.path)
    check_growth(found["rows"][0], 7, 2500)
    assert found["rows"][0]["old_peak_bytes"] == 1000 * BLOCK_BYTES
    assert found["delta_peak_bytes"] == new.report["peak_bytes"] - old.report["peak_bytes"] == sum(row["delta_peak_bytes"] for row in found["rows"])
    for by, frames in (("function", None), ("stack", [("remember", 7), ("<module>", 9)])):
        first = compare(old.path, new.path, "--by", by)["rows"][0]
        assert (first["function"], first["delta_peak_bytes"]) == ("remember", 2500 * BLOCK_BYTES)
        assert frames is None or [(frame["function"], frame["line"]) for frame in first["frames"]] == frames
    compare(old.path, new.path, "--fail-on", "2M", status=1)
    compare(old.path, new.path, "--fail-on", "line=2500001", status=0)
    compare(old.path, new.path, "--fail-on", "line=2499999", status=1)


SERVICE = """\
import os, sys
kept, cache = [None] * 4000, {}
def remember(i):
    kept[i] = bytes(967)
def answer(i):
    cache[i % 200] = bytes(467)
print(os.getpid(), flush=True)
served = 0
while True:
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    for served in range(served + 1, served + 1 + int(line)):
        answer(served)
        if served % 3 == 0:
            remember(served)
    print("served", flush=True)
"""


def test_two_snapshots_of_one_process(tmp_path):
    """What was kept between them comes first, exactly; a cache that was full before isn't among what grew."""
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    program = subprocess.Popen([HEAPLINE, "run", "--quiet", "--python", DEFAULT.path, "-o", tmp_path / "t.heapline", script], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(), cwd=tmp_path)
    pid = int(program.stdout.readline())
    for name, requests in (("first", 900), ("second", 1500)):
        program.stdin.write(f"{requests}\n")
        program.stdin.flush()
        assert program.stdout.readline() == "served\n"
        assert heapline("snapshot", "--quiet", "-o", tmp_path / name, pid).returncode == 0
    program.stdin.close()
    assert program.wait(30) == 0
    found = compare(tmp_path / "first", tmp_path / "second")
    first = found["rows"][0]
    assert (first["function"], first["line"], first["status"], first["significance"]) == ("remember", 4, "grew", 1)
    assert (first["delta_live_bytes"], first["delta_live_allocations"]) == (500 * BLOCK_BYTES, 500)
    assert (first["old_live_allocations"], first["new_live_allocations"]) == (300, 800)
    (cache,) = [row for row in found["rows"] if row["function"] == "answer" and row["line"] == 6]
    assert (cache["delta_live_allocations"], cache["new_live_allocations"]) == (0, 200 + 1) and cache["status"] != "grew"  # with its table
    assert found["delta_live_bytes"] == sum(row["delta_live_bytes"] for row in found["rows"])


def test_same_work_twice(recorded):
    """Two runs of the same: whatever differs by chance, no line of the program does."""
    old, new = recorded(PROGRAM, 2000), recorded(PROGRAM, 2000)
    found = compare(old.path, new.path)
    own = [row for row in found["rows"] if row["origin"] == "user"]
    assert own and all(row["delta_peak_bytes"] == 0 for row in own), own
    compare(old.path, new.path, "--fail-on", "1%", status=0)


def test_edited_between(recorded):
    """Lines above were put in, and the old text is gone: the functions' lines tell by how many."""
    old = recorded(PROGRAM, 1000)
    new = recorded("# A comment\n\n" + PROGRAM, 3500)
    found = compare(old.path, new.path)
    check_growth(found["rows"][0], 9, 2500, old_line=7)
    assert not [row for row in found["rows"] if row["status"] in ("new", "gone") and row["origin"] == "user"]


def test_other_folder(tmp_path, record):
    """Another checkout, with both sources there, and a function put in between."""
    for name, text in (("old", PROGRAM), ("new", PROGRAM.replace("def remember", "def another():\n    return 1\ndef remember"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "program.py").write_text(text)
    old = record(tmp_path / "old" / "program.py", 1000, check=False, cwd=tmp_path)
    new = record(tmp_path / "new" / "program.py", 3500, check=False, cwd=tmp_path)
    found = compare(old.path, new.path)
    check_growth(found["rows"][0], 9, 2500, old_line=7)
    assert found["edited_files"] == 1
    # The function that was put in, and nothing else.
    assert [(row["line"], row["status"]) for row in found["rows"] if row["origin"] == "user" and row["status"] in ("new", "gone")] == [(6, "new")]


def test_c_program(tmp_path, record):
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    source = tmp_path / "grow.c"
    source.write_text("#include <stdlib.h>\n"
                      "void *kept[4096];\n"
                      "__attribute__((noinline)) static void keep(int i)\n"
                      "{\n"
                      "    kept[i] = malloc(777);\n"
                      "}\n"
                      "int main(int count, char **words)\n"
                      "{\n"
                      "    (void)count;\n"
                      "    for (int i = 0; i < atoi(words[1]); i++)\n"
                      "        keep(i);\n"
                      "    return 0;\n"
                      "}\n")
    subprocess.run(["gcc", "-g", "-O1", source, "-o", tmp_path / "grow"], check=True)
    old, new = (record(tmp_path / "grow", count, options=["--native"]) for count in (100, 350))
    found = compare(old.path, new.path, "--of", "live")
    first = found["rows"][0]
    assert (first["file"], first["line"], first["function"]) == (str(source), 5, "keep")
    assert (first["delta_live_bytes"], first["delta_live_allocations"]) == (250 * 777, 250)
    assert found["delta_live_bytes"] == 250 * 777 and [row["status"] for row in found["rows"]].count("grew") == 1


def test_sampled(recorded):
    """With a sample the growth of 2.5 MB is found, its size within its noise, and what is not certain isn't claimed."""
    old, new = (recorded(PROGRAM, count, options=["--sample", "16K"]) for count in (1000, 3500))
    first = compare(old.path, new.path)["rows"][0]
    assert first["function"] == "remember" and first["status"] == "grew"
    # 4500 blocks of 1000 bytes: sqrt(4500000 x 1000 / (e^(1000/16384) - 1)) of the estimates, about.
    assert 200_000 < first["noise_bytes"] < 330_000
    assert abs(first["delta_peak_bytes"] - 2500 * BLOCK_BYTES) < 5 * first["noise_bytes"]


def test_moments_of_one_run(recorded):
    text = PROGRAM.replace("for i in range(count)", "import time\nfor i in range(count)").replace("    churn() if", "    time.sleep(0.0002)\n    churn() if") + "import os\nos._exit(0)\n"
    trace = recorded(text, 3000)
    first, middle = (next(row for row in compare(f"{trace.path}@{since}", f"{trace.path}@end")["rows"] if row["function"] == "remember")
                     for since in ("start", "50%"))
    assert (first["line"], first["new_live_bytes"], first["status"]) == (7, 3000 * BLOCK_BYTES, "new")
    assert 0 < middle["delta_live_bytes"] <= first["delta_live_bytes"]
    assert middle["delta_live_bytes"] == middle["delta_live_allocations"] * BLOCK_BYTES


# ---- docs/diff.md ----

def blocks_of(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)


def without_chance(line):
    """What no two runs have in common goes: process ids, times, counts of events, and figures but for the growth of the leaking line."""
    line = re.sub(r"pid \d+ . (exit \d+) .*", r"\1", line)
    growth = re.search(r"\+4\.02 MiB", line)
    if line.endswith("new") or line.startswith("Live"):  # of moments it varies; in the total there are arenas, too
        growth = None
    line = re.sub(r"[-+]?[0-9.]+ (B|KiB|MiB|%)|\u00b7", "#", line)
    return " ".join(line.split()) + (" " + growth[0] if growth else "")


def test_example_of_the_page(tmp_path):
    """Runs what the page shows, in its order, and gets what the page shows."""
    page = (ROOT / "docs" / "diff.md").read_text()
    programs = blocks_of(page, "python")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "heapline").symlink_to(HEAPLINE)
    environment = clean_environment(PATH=f"{folder}:/usr/bin:/bin", LC_ALL="C.UTF-8", PYTHONHASHSEED=0)
    (tmp_path / "service.py").write_text(programs[0])
    shown = 0
    for session in blocks_of(page, "console"):
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.M):
            result = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
            told = (result.stdout + result.stderr).splitlines()
            for line in expected.splitlines():
                if line and line != "...":
                    assert without_chance(line) in list(map(without_chance, told)), f"$ {command}\n{result.stdout}{result.stderr}"
                    shown += 1
    assert shown == 19
