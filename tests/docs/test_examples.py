"""Runs the examples of the documentation: each page's blocks of shell in order, in a folder of their own; its SQL; and what the programs in
examples/ say of themselves.

In a page, ```sh begins a block that is run here; a block without a language isn't."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import hand_database
from command import HEAPLINE, ON_DATABASE, ROOT, environment, run
from export_tools import needs, pprof_program, profile_class
from receivers import Receiver

DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
PYTHON = "/usr/bin/python3"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


class Folder:
    """Where a page's examples run: heapline and Debian's python3 come first in PATH."""

    def __init__(self, path):
        self.path, self.tools = path / "work", path / "tools"
        self.path.mkdir()
        self.tools.mkdir()
        (self.tools / "heapline").symlink_to(HEAPLINE)
        (self.tools / "python3").symlink_to(PYTHON)
        self.env = environment(PATH=f"{self.tools}:{os.environ['PATH']}")

    def shell(self, text, status=0):
        result = subprocess.run(["sh", "-eu", "-c", text], cwd=self.path, env=self.env, capture_output=True, text=True, timeout=120,
                                stdin=subprocess.DEVNULL)
        assert result.returncode == status, f"{text}\n{result.stdout}\n{result.stderr}"
        return result.stdout


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def packages(name):
    from interpreters import DEFAULT, package_folder
    return package_folder(DEFAULT, name)


# ---- pages ----

def figures_left_out(text):
    """A table of memory_profiler: each line's number and text."""
    return [(line[:6].strip(), line[50:]) if line[:6].strip().isdigit() else line for line in text.splitlines()]


def test_exports(folder):
    page = DOCS / "exports.md"
    needs("curl")
    receiver = Receiver(profile_class())
    (folder.tools / "pprof").symlink_to(pprof_program())
    folder.env.update(PYROSCOPE=receiver.url, PARCA=receiver.url, PYTHONPATH=str(packages("duckdb") or ""))
    source, = [text for text in blocks(page, "python") if text.startswith("# app.py")]
    (folder.path / "app.py").write_text(source)
    outputs = [folder.shell(text) for text in blocks(page, "sh")]
    receiver.shutdown()
    assert len(outputs) == 12
    for name in ("peak.svg", "copied.svg", "allocated.folded", "app.speedscope.json", "app.pb.gz", "app.parquet", "app.prom", "lines.csv", "app.json"):
        assert (folder.path / name).stat().st_size > 1000
    assert [place for place, _ in receiver.profiles] == ["pyroscope", "parca"]
    assert {"read.<locals>.<listcomp>", "parse", "main"} <= set(receiver.profiles[0][1].string_table)
    top, table, query = (next(text for text in outputs if mark in text) for mark in ("Type: alloc_space", "Filename: ", "through_parse"))
    assert "parse" in top and re.search(r"parse.*│ +8 │", query)
    shown = re.search(r"^```\n(Filename: .*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL).group(1)
    printed, = [part for part in re.split("^Filename: ", table, flags=re.MULTILINE) if re.search(r"=\n +10 .* def main", part)]
    assert figures_left_out(printed.rstrip("\n"))[1:] == figures_left_out(shown)[1:]


def test_leaks(folder):
    (folder.path / "service.py").write_text((EXAMPLES / "leaking_service.py").read_text().replace("default=20_000", "default=5_000"))
    text, of_all = blocks(DOCS / "leaks.md", "sh")
    assert "Sessions.open" in folder.shell(text, status=1) # the last command's threshold
    shown = folder.shell(of_all)
    assert shown.startswith("1 process, ") and "Sessions.open" in shown


def test_diff(folder):
    """The commands of the example, as they stand; of what they print, what doesn't differ from run to run."""
    page = DOCS / "diff.md"
    program, = blocks(page, "python")
    (folder.path / "service.py").write_text(program)
    commands = [line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    _, _, lines, stack, moments, status = [folder.shell(command) for command in commands]
    grew = [line.split()[:2] for line in lines.splitlines() if line.startswith("service.py:")]
    assert grew[0] == ["service.py:7", "open_session"] and "Live at the peak: " in lines
    assert [line.split()[0] for line in stack.splitlines() if "service.py:" in line] == ["service.py:7", "service.py:12", "service.py:17"]
    assert "open_session" in next(line for line in moments.splitlines() if line.startswith("service.py:7"))
    assert status == "status 1\n" and "open_session" in (folder.path / "difference.txt").read_text()


def test_long_services(folder):
    (folder.path / "service.py").write_text((EXAMPLES / "leaking_service.py").read_text().replace("default=20_000", "default=5_000"))
    text, = blocks(DOCS / "long_services.md", "sh")
    shown = folder.shell(text)
    assert shown.count("exit 0") >= 2 and "Sessions.open" in shown # nothing is missing from the trace


def test_survival(folder):
    text, = blocks(DOCS / "survival.md", "sh")
    shown = " ".join(folder.shell(text).split())
    assert shown.startswith("unharmed status 139 ") and "SIGSEGV" in shown
    assert "1 program not recorded: /bin/echo (started without the recorder in its environment)" in shown


def test_viewer(folder):
    if not (HEAPLINE.parent.parent / "viewer" / "viewer.html").exists():
        pytest.skip("the viewer is not built: no node or npm when meson configured")
    shutil.copy(EXAMPLES / "leaking_service.py", folder.path)
    view, compare = blocks(DOCS / "viewer.md", "sh")
    assert folder.shell(view).splitlines()[-1] == f"wrote file://{folder.path}/service.html" # behind what the service says itself
    folder.shell(compare)
    for name in ("service.html", "difference.html"):
        assert 100_000 < (folder.path / name).stat().st_size < 5_000_000


APP = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char *rows[100000];
__attribute__((noinline)) static char *parse_row(const char *line)
{
    return strdup(line);
}
int main(int argc, char **argv)
{
    char line[256];
    FILE *in = fopen(argv[1], "r");
    for (int i = 0; fgets(line, sizeof line, in); i++)
        rows[i] = parse_row(line);
    return 0;
}
"""


def test_plain_programs(folder):
    (folder.path / "app.c").write_text(APP)
    (folder.path / "input.txt").write_text("a row of the input\n" * 3000)
    folder.shell("cc -g -O1 -o app app.c")
    recorded, trees, known = blocks(DOCS / "plain_programs.md", "sh")
    assert "app.c:8" in folder.shell(recorded)
    assert folder.shell(trees).count("parse_row") >= 4
    folder.shell(known, status=1) # rows are live, and known.supp doesn't know them


INDEX = """
import json, sys, collections
class Index:
    def add(self, text):
        record = json.loads(text)
        self.words.setdefault(record["name"], []).append(record)
    def __init__(self):
        self.words = {}
texts = [json.dumps({"name": "n%d" % (i % 100), "value": i}) for i in range(3000)]
index = Index()
for text in texts:
    index.add(text)
joined = bytearray()
for text in texts:
    joined += text.encode()
"""


def test_report_database(folder):
    (folder.path / "index.py").write_text(INDEX)
    folder.shell("heapline run --quiet -o index.heapline index.py")
    queries = blocks(DOCS / "report_database.md", "sql")
    assert len(queries) == 10
    for query in queries:
        result = run(HEAPLINE, "sql", folder.path / "index.heapline", query)
        assert result.returncode == 0, query + result.stderr
        shown = re.search(re.escape(query) + r"```\n```\n(.*?)\n", (DOCS / "report_database.md").read_text()).group(1)
        assert result.stdout.splitlines()[0].split() == shown.split()
    assert result.stdout.split() == ["stacks", "lines", "0", "0"]


def test_readme(folder):
    """The commands of the section `Use it`, and the links."""
    text = (ROOT / "README.md").read_text()
    (folder.path / "script.py").write_text("kept = [str(i) for i in range(50000)]\n")
    section = text.split("## Use it", 1)[1].split("\n## ", 1)[0]
    assert "heapline run script.py" in section
    folder.shell("heapline run script.py")
    trace, = folder.path.glob("*.heapline")
    commands = [line for line in re.findall(r"heapline [a-z]+[^`\n#]*TRACE[^`\n#]*", section)]
    assert len(commands) >= 6
    for line in commands:
        if not line.startswith("heapline sql"): # which asks for a query
            folder.shell(line.replace("TRACE", str(trace)).replace("FILE", "script.py").strip())


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert re.match(r"https?://", target) or (page.parent / target).exists(), target


# ---- examples/ ----

def commands_of(program):
    """The indented commands at the head of a program, with what is built where in this tree."""
    head = program.read_text().split("What the report shows")[0]
    lines = [match.strip() for match in re.findall(r"^(?: \*)?    +((?:cc|build/cli/heapline) .*)$", head, re.MULTILINE)]
    return "\n".join(line.replace("build/cli/heapline", "heapline").replace("examples/", f"{EXAMPLES}/") for line in lines)


@pytest.mark.parametrize("name, found", [("leaking_service.py", "Sessions.open"), ("word_index.c", "index_add")])
def test_programs(folder, name, found):
    if name.endswith(".c") and not pathlib.Path("/usr/share/common-licenses/GPL-3").exists():
        pytest.skip("no text to index")
    commands = commands_of(EXAMPLES / name)
    assert commands.count("\n") >= 1
    assert found in folder.shell(commands.replace(".py\n", ".py --requests 5000\n"))


def test_nlp_batch(folder):
    if subprocess.run([PYTHON, "-c", "import sklearn"], capture_output=True).returncode:
        pytest.skip("no scikit-learn for Debian's python3")
    command = commands_of(EXAMPLES / "nlp_batch.py")
    assert command.endswith("nlp_batch.py")
    folder.shell(f"{command} --files 12 --topics 3")


def test_fleet(folder):
    """Two real runs of each version, then a hundred traces at once."""
    folder.env.update(HEAPLINE="heapline", FOLDER=str(folder.path / "fleet"), PYTHONPATH=str(packages("duckdb") or ""))
    answers = folder.shell(f"{EXAMPLES}/fleet/run 1")
    assert re.search(r"│ count_words │ +22 │", answers) and "bytearray" not in answers
    many = folder.path / "many"
    for version in (1, 2):
        trace, first = folder.path / f"{version}.heapline", many / f"version={version}" / "0.parquet"
        hand_database.create(trace, home=f"/home/{version}")
        first.parent.mkdir(parents=True)
        assert run(ON_DATABASE, "export", "-f", "parquet", "-o", first, trace).returncode == 0
        for i in range(1, 50):
            shutil.copy(first, first.with_name(f"{i}.parquet"))
    answers = folder.shell(f"{EXAMPLES}/fleet/ask.py {many}")
    assert re.search(r"│ +1 │ +50 │ +41943040 │ +41943040 │\n│ +2 │ +50 │ +41943040 │ +41943040 │", answers)
