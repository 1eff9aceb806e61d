"""heapline objects: exact counts by line and type of a live process, and by what its objects are kept alive; what can't be surveyed says so."""

import json
import os
import re
import signal
import subprocess

import pytest

from interpreters import DEFAULT, INTERPRETERS, LAYOUTS
from recording import HEAPLINE, ROOT, Trace, clean_environment, heapline

KNOWN = [python for python in LAYOUTS if not python.free_threaded and python.version < (3, 16)]
every_known = pytest.mark.parametrize("python", KNOWN, ids=lambda python: python.id)

PROGRAM = """\
import os, sys, time

class Session:
    pass

class Point:
    __slots__ = ("x", "y")

class Node:
    def __repr__(self): os._exit(3)
    def __eq__(self, other): os._exit(4)
    def __hash__(self): os._exit(5)
    def __getattribute__(self, name): os._exit(6)
    def __del__(self): os._exit(7)

TABLE = {}
SETTINGS = Session()
KEEPERS = []

def fill():
    for number in range(321):
        TABLE["user-%d" % number] = Session()  # line 22

def attribute():
    SETTINGS.point = Point()  # line 25
    SETTINGS.point.x = Point()  # line 26

def make_adder():
    held = []
    def add(thing):
        held.append(thing)
    for _ in range(77):
        add(Point())  # line 33
    return add

def generator():
    inner = [Session()]  # line 37
    yield inner
    yield inner

class Pair:
    shared = {("a", 1): Point()}  # line 42

def cycle():
    first, second = Session(), Session()  # line 45
    first.other, second.other = second, first

def main():
    local = {7: [Point() for _ in range(5)]}  # line 49
    first = Point()  # line 50
    def use():
        return first
    suspended = generator()
    next(suspended)
    KEEPERS.append(suspended)
    del suspended
    nodes = [Node() for _ in range(11)]  # line 57
    print(os.getpid(), flush=True)
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.005)
        bytearray(100)
    os._exit(0)

import gc
gc.disable()
fill(); attribute(); ADDER = make_adder(); cycle()
main()
"""


class Live:
    """A recorded program that runs until it is told otherwise, or killed."""

    def __init__(self, folder, python, text=PROGRAM, options=()):
        self.script, self.trace, self.stop = folder / "app.py", folder / "t.heapline", folder / "stop"
        self.script.write_text(text)
        command = [HEAPLINE, "run", "--quiet", "--python", python.path, "-o", self.trace, *options, self.script, self.stop]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, env=clean_environment(), cwd=folder)
        self.pid = int(self.process.stdout.readline())

    def objects(self, *arguments, status=0):
        result = heapline("objects", self.pid, *arguments)
        assert result.returncode == status, result.stderr.decode()
        return result

    def survey(self, *arguments):
        return json.loads(self.objects("--json", *arguments).stdout)

    def finish(self):
        self.stop.touch()
        assert self.process.wait(30) == 0
        return Trace(self.trace)


@pytest.fixture
def live(tmp_path):
    programs = []

    def start(*arguments, **more):
        programs.append(Live(tmp_path, *arguments, **more))
        return programs[-1]
    yield start
    for program in programs:
        program.stop.touch()
        try:
            program.process.wait(20)
        except subprocess.TimeoutExpired:
            program.process.kill()


def line_of(found, line):
    """Of all functions: before 3.12 a comprehension is one of its own."""
    rows = [row for row in found["lines"] if row["file"].endswith("app.py") and row["line"] == line]
    assert rows, line
    return {"types": [kind for row in rows for kind in row["types"]], "paths": [path for row in rows for path in row["paths"]]}


def types_of(found, line):
    return {row["type"]: row["objects"] for row in line_of(found, line)["types"]}


def steps(path):
    return [(step["kind"], step["name"], step["type"]) for step in path]


def paths_of(found, line):
    return [steps(path) for path in line_of(found, line)["paths"]]


@every_known
def test_counts_and_paths(live, python):
    program = live(python)
    found = program.survey("--paths", "0")
    assert found["outcome"] == "whole" and found["recorded_objects"] <= found["objects"]
    assert found["recorded_objects"] == sum(row["objects"] for row in found["lines"])
    assert found["recorded_bytes"] == sum(kind["bytes"] for row in found["lines"] for kind in row["types"])
    assert types_of(found, 22)["__main__.Session"] == 321
    assert types_of(found, 33)["__main__.Point"] == 77
    assert types_of(found, 45)["__main__.Session"] == 2
    assert types_of(found, 49)["__main__.Point"] == 5
    assert types_of(found, 57)["__main__.Node"] == 11
    assert (types_of(found, 25)["__main__.Point"], types_of(found, 26)["__main__.Point"]) == (1, 1)
    point = "__main__.Point"
    found = program.survey("--paths", "1", "--line", "app.py")
    for line, kind, expected in (
            (22, "__main__.Session", [("module", "__main__", "module"), ("global", "TABLE", "dict"), ("key", None, "__main__.Session")]),
            (25, point, [("module", "__main__", "module"), ("global", "SETTINGS", "__main__.Session"), ("attribute", "point", point)]),
            (26, point, [("module", "__main__", "module"), ("global", "SETTINGS", "__main__.Session"), ("attribute", "point", point),
                         ("attribute", "x", point)]),
            (33, point, [("module", "__main__", "module"), ("global", "ADDER", "function"), ("closure", "held", "list"),
                         ("index", None, point)]),
            (37, "__main__.Session", [("module", "__main__", "module"), ("global", "KEEPERS", "list"), ("index", "0", "generator"),
                                      ("local", "inner", "list"), ("index", "0", "__main__.Session")]),
            (42, point, [("module", "__main__", "module"), ("global", "Pair", "type"), ("attribute", "shared", "dict"),
                         ("key", "('a', 1)", point)]),
            (49, point, [("frame", "main", str(program.script)), ("local", "local", "dict"), ("key", "7", "list"), ("index", None, point)]),
            (50, point, [("frame", "main", str(program.script)), ("local", "first", point)])):
        paths = [path for path in paths_of(found, line) if path[-1][2] == kind]
        assert paths, line
        for path in paths:
            path = [step for step in path if step[2] != "frame"]  # before 3.11 a generator's is an object
            assert [step[0::2] for step in path] == [step[0::2] for step in expected]
            assert all(name in (None, found_name) for (_, name, _), (_, found_name, _) in zip(expected, path)), path
    run = program.finish()
    assert run.report["complete"] is True and run.report["lost_events"] == 0
    again = json.loads(heapline("objects", "--json", program.trace).stdout)
    assert again["objects"] == found["objects"] and types_of(again, 22)["__main__.Session"] == 321


OWNERS = """\
import json, os, sys, time

class List(list):  # freed lists and dictionaries are used again by others
    __slots__ = ()
class Dict(dict):
    __slots__ = ()

def fill():
    lists = [List([number] * 300) for number in range(50)]  # line 9
    dictionaries = [Dict(((number, key), 0) for key in range(100)) for number in range(50)]  # line 10
    sets = [{number * 1000 + key / 8 for key in range(100)} for number in range(50)]  # line 11
    arrays = [bytearray(2000) for _ in range(50)]  # line 12
    return {9: lists, 10: dictionaries, 11: sets, 12: arrays}

KEPT = fill()
with open("sizes.json", "w") as file:
    json.dump({line: sum(map(sys.getsizeof, kept)) for line, kept in KEPT.items()}, file)
print(os.getpid(), flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.005)
    bytearray(100)
os._exit(0)
"""


@every_known
def test_blocks_that_are_an_objects_own(live, python):
    program = live(python, OWNERS)
    found = program.survey("--paths", "0")
    sizes = json.loads((program.script.parent / "sizes.json").read_text())
    for line, kind in ((9, "__main__.List"), (10, "__main__.Dict"), (11, "set"), (12, "bytearray")):
        (row,) = [row for row in line_of(found, line)["types"] if row["type"] == kind and row["objects"]]
        # As the interpreter reckons them, and what they have in front of themselves, and a table beside what is in it.
        assert row["objects"] == 50 and sizes[str(line)] <= row["bytes"] <= sizes[str(line)] + 50 * 96, (line, row, sizes)
    program.finish()


@every_known
def test_nothing_leads_to_a_cycle(live, python):
    program = live(python)
    found = program.survey("--line", "app.py:45", "--type", "Session")
    for path in paths_of(found, 45):
        assert path[0] == ("unreached", "", "__main__.Session")
        assert path[1:] in ([], [("attribute", "other", "__main__.Session")])
    assert len(paths_of(found, 45)) == 2
    assert found["unreached_objects"] >= 2
    program.finish()


def test_the_keys(live):
    program = live(DEFAULT)
    found = program.survey("--line", "app.py:22", "--type", "__main__.Session", "--paths", "50")
    paths = paths_of(found, 22)
    assert len(paths) == 50 and len({path[2][1] for path in paths}) == 50
    for path in paths:
        assert path[:2] == [("module", "__main__", "module"), ("global", "TABLE", "dict")]
        assert path[2][0] == "key" and re.fullmatch(r"'user-\d+'", path[2][1]) and path[2][2] == "__main__.Session"
    text = program.objects("--line", "app.py:22").stdout.decode()
    assert re.search(r"    module __main__ -> TABLE \(dict\) -> \['user-\d+'\] \(Session\)\n", text)
    assert "Session 321" in text
    program.finish()


def test_the_last_survey_stays(live):
    program = live(DEFAULT)
    counts = [program.survey()["objects"] for _ in range(3)]
    assert max(counts) - min(counts) < 10
    snapshot = program.trace.with_name("snapshot.heapline")
    assert heapline("snapshot", "--quiet", "-o", snapshot, program.pid).returncode == 0
    trace = program.finish()
    in_snapshot = json.loads(heapline("objects", "--json", snapshot).stdout)
    assert in_snapshot["objects"] == counts[2] and types_of(in_snapshot, 22)["__main__.Session"] == 321
    assert trace.sql("SELECT survey_id, outcome FROM object_survey") == [{"survey_id": i, "outcome": "whole"} for i in range(3)]
    shown = json.loads(heapline("objects", "--json", trace.path).stdout)
    assert shown["objects"] == counts[2] and types_of(shown, 22)["__main__.Session"] == 321
    assert trace.sql("SELECT objects FROM object_lines WHERE line = 22 AND type = '__main__.Session'") == [{"objects": 321}]


def test_no_survey(tmp_path, record):
    script = tmp_path / "empty.py"
    script.write_text("")
    run = record(script)
    result = heapline("objects", run.path)
    assert result.returncode == 3 and b"the trace holds no survey of objects: 'heapline objects PID' makes one" in result.stderr


def test_a_bounded_pause(live):
    program = live(DEFAULT)
    found = program.survey("--max-pause", "0")
    assert found["outcome"] == "out of time"
    assert b"It is not whole (out of time): there are more." in program.objects("--max-pause", "0").stdout
    assert program.survey()["outcome"] == "whole"
    program.finish()


IDLE = """\
import os, sys, signal
signal.signal(signal.SIGUSR1, lambda *_: None)
print(os.getpid(), flush=True)
signal.pause()
for _ in range(10000): bytearray(10)
os._exit(0)
"""


def test_no_safe_point(live):
    program = live(DEFAULT, IDLE)
    result = program.objects("--timeout", "1", "--paths", "0", status=4)
    assert b"no thread of the process has allocated, freed or copied anything meanwhile: it is idle or stopped" in result.stderr
    os.kill(program.pid, signal.SIGUSR1)
    assert program.process.wait(20) == 0


def test_not_while_stopped(live):
    program = live(DEFAULT)
    assert heapline("stop", program.pid).returncode == 0
    result = program.objects(status=4)
    assert b"nothing is being recorded: 'heapline start' first" in result.stderr
    program.finish()


FREE_THREADED = [python for python in INTERPRETERS if python.free_threaded]


@pytest.mark.skipif(not FREE_THREADED, reason="no free-threaded interpreter here")
def test_free_threaded(live):
    program = live(FREE_THREADED[-1])
    assert b"the objects of a free-threaded Python can't be surveyed" in program.objects(status=4).stderr
    program.finish()


SUBINTERPRETERS = PROGRAM.replace("import gc\n", "import gc\nimport _xxsubinterpreters\nSUB = _xxsubinterpreters.create()\n")


def test_subinterpreters(live):
    python = next((python for python in KNOWN if (3, 8) <= python.version < (3, 13)), None)
    if not python:
        pytest.skip("no interpreter with _xxsubinterpreters here")
    program = live(python, SUBINTERPRETERS)
    assert b"the process runs several interpreters: only the objects of a single one can be surveyed" in program.objects(status=4).stderr
    program.finish()


def test_example_of_the_docs(live):
    text = (ROOT / "docs" / "objects.md").read_text()
    example = re.search(r"<!-- example: shop.py -->\n```python\n(.*?)```", text, re.S).group(1)
    example = example.replace("import sys, time", "import os, sys, time").replace("float(sys.argv[1])", "60").replace(
        "end = ", "print(os.getpid(), flush=True)\nend = ").replace("while time.monotonic() < end:", "while not os.path.exists(sys.argv[1]):")
    program = live(DEFAULT, example)
    found = program.survey("--line", "app.py:11")
    assert types_of(found, 11)["__main__.Session"] == 1000
    assert {tuple(path[1]) for path in paths_of(found, 11) if path[-1][2] == "__main__.Session"} == {("global", "SESSIONS", "dict")}
    program.finish()
