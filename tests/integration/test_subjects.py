"""Programs that people run, as the distribution or pip delivers them: without debug information. Recorded with --native they behave as ever, each
byte has its native function and its Python line, and stacks are those that libunwind finds."""

import os
import shutil
import socket
import subprocess
import time

import pytest

from interpreters import DEFAULT, package_folder
from recording import HEAPLINE, TIMEOUT, Trace, clean_environment, run_bare

RULES = ["line", "function", "native", "python", "module"]
FIGURES = ["peak_bytes", "live_bytes", "allocated_bytes", "allocations", "temporary_allocations", "copied_bytes"]


def check(trace, checks):
    """Whole, compared, and by every rule the same totals."""
    report = trace.report
    assert report["complete"] and report["lost_events"] == 0
    assert report["native_checks"] >= checks and report["native_differences"] == 0
    tables = [trace.json("lines", "--by", rule)["lines"] for rule in RULES]
    totals = [[sum(row[figure] for row in rows) for figure in FIGURES] for rows in tables]
    assert totals[1:] == totals[:-1] and totals[0][2] == report["allocated_bytes"] and totals[0][0] == report["peak_bytes"]


def rows_of(trace, rule, *modules):
    """Rows of modules without lines: {function: row}."""
    return {row["function"]: row for row in trace.json("lines", "--by", rule)["lines"]
            if (row["file"] or "").rpartition("/")[2].startswith(modules)}


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"no {program} here")


# ---- redis ----

class Redis:
    """A server for itself, on a socket of its own. It is the program that checks its files, by another name."""

    def __init__(self, folder, *prefix):
        self.socket = folder / "socket"
        self.program = folder / "redis-server"
        self.program.symlink_to(os.path.realpath(shutil.which("redis-check-rdb")))
        self.process = subprocess.Popen([*prefix, self.program, "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", folder],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_environment())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    return client.connect(str(self.socket))
            except OSError:
                time.sleep(0.02)

    def ask(self, *words):
        result = subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True, text=True, timeout=TIMEOUT)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def end(self):
        self.ask("shutdown", "nosave")
        output, _ = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, output.decode()


def use_redis(folder, *prefix):
    """What it answers after its own benchmark, and how it ends."""
    folder.mkdir()
    server = Redis(folder, *prefix)
    subprocess.run(["redis-benchmark", "-s", server.socket, "-q", "-n", "2000", "-t", "set,lpush,lrange_100,hset,zadd,mset"], check=True,
                   capture_output=True, timeout=TIMEOUT)
    answers = [server.ask("set", "key", "x" * 100000), server.ask("strlen", "key"), server.ask("llen", "mylist"), server.ask("hlen", "no hash")]
    return answers, *server.end()


def test_redis(tmp_path):
    needs("redis-check-rdb", "redis-benchmark", "redis-cli")
    path = tmp_path / "t.heapline"
    bare = use_redis(tmp_path / "bare")
    answers, status, output = use_redis(tmp_path / "recorded", HEAPLINE, "run", "--quiet", "--native", "--check-native", "3", "-o", path, "--")
    assert (answers, status) == bare[:2] == (["OK\n", "100000\n", answers[2], "0\n"], 0)
    assert "bye bye" in output and "bye bye" in bare[2] and "heapline" not in output
    trace = Trace(path).check_sums()
    check(trace, 10000)
    # Its allocator's functions have names; half of all the memory is theirs at least.
    for rule in ("line", "native"):
        rows = rows_of(trace, rule, "redis-")
        named = sum(row["allocated_bytes"] for function, row in rows.items() if function.startswith(("zmalloc", "zcalloc", "zrealloc", "ztrymalloc")))
        assert named > trace.report["allocated_bytes"] // 2, rows
        assert all(row["line"] is None and row["kind"] == "native" for row in rows.values())


# ---- sqlite3 ----

SCRIPT = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) INSERT INTO t SELECT x, printf('row %d %s', x, hex(x * x)), x % 97 FROM c;
CREATE INDEX i ON t(c, b);
SELECT c, count(*), max(b), length(group_concat(a)) FROM t GROUP BY c ORDER BY 2 DESC, 1 LIMIT 5;
SELECT missing FROM t;
"""


def test_sqlite(record):
    needs("sqlite3")
    bare = run_bare("sqlite3", ":memory:", SCRIPT)
    run = record("sqlite3", ":memory:", SCRIPT, options=["--native", "--check-native", "5"])
    assert (run.returncode, run.stdout, run.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert bare.returncode == 1 and bare.stdout.count(b"\n") == 5 and b"missing" in bare.stderr
    check(run, 5000)
    modules = {(row["file"] or "").rpartition("/")[2]: row["allocated_bytes"] for row in run.json("lines", "--by", "module")["lines"]}
    assert max(modules, key=modules.get).startswith(("libsqlite3.so", "sqlite3"))
    # Each row of the program's own: by its symbol, else by its offset, and never by the line of the C library that called main.
    assert all(row["function"] for row in run.lines) and not [row for row in run.lines if "libc_start" in row["function"]]


# ---- a compiler ----

def test_compiler(record, tmp_path):
    needs("gcc")
    (tmp_path / "source.c").write_text("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + "".join(
        f"int f{i}(char *s, int n) {{ for (int j = 0; j < n; j++) s[j] ^= (char)strlen(s) * {i}; return printf(\"%d %s\", n, s); }}\n" for i in range(60)))
    command = ["gcc", "-c", "-O2", tmp_path / "source.c", "-o"]
    assert run_bare(*command, tmp_path / "bare.o").returncode == 0
    run = record(*command, tmp_path / "recorded.o", options=["--native", "--check-native", "20"])
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
    assert (tmp_path / "recorded.o").read_bytes() == (tmp_path / "bare.o").read_bytes()
    traces = [run] + [trace for traces in run.children().values() for trace in traces]
    programs = {}
    for trace in traces:
        check(trace, 5)
        rows = trace.json("lines", "--by", "module")["lines"]
        programs[trace.report["processes"][0]["command"].split()[0].rpartition("/")[2]] = (trace, rows)
    assert {"cc1", "as"} <= set(programs)
    trace, rows = programs["cc1"]
    compiler = sum(row["allocated_bytes"] for row in rows if (row["file"] or "").endswith("/cc1"))
    assert trace.report["native_checks"] > 1000 and compiler > trace.report["allocated_bytes"] * 9 // 10
    assert sum(row["allocated_bytes"] for row in rows_of(trace, "line", "cc1").values()) > compiler * 9 // 10


# ---- extensions ----

NUMPY = """\
import numpy
kept = []
def make():
    kept.append(numpy.arange(100_000, dtype=float))   # 4: 800000
    kept.append(kept[0] * 2.5)                        # 5: 800000
make()
print(float(kept[1].sum()))
"""

PANDAS = """\
import numpy, pandas
from pandas._libs import hashtable
kept = []
def make():
    kept.append(hashtable.Int64HashTable(1 << 16))    # 5: 65536 or twice as many buckets, of 8 bytes for the keys and as many for the values
    kept.append(pandas.DataFrame({"a": numpy.arange(50_000) % 321, "b": numpy.arange(50_000.0)}))
    kept.append(kept[1].groupby("a").sum())
make()
print(kept[2]["b"].sum(), len(kept[2]))
"""

LXML = """\
from lxml import etree
text = "<a>" + "<b c='d'>some text</b>" * 5000 + "</a>"
def make():
    return etree.fromstring(text)                     # 4: the tree
kept = make()
print(len(kept))
"""

# Package, program, the modules that allocate for it, the line that calls it, and the least that this line allocates there.
EXTENSIONS = [("numpy", NUMPY, ["_multiarray_umath"], 4, 800_000), ("pandas", PANDAS, ["hashtable"], 5, 1 << 20), ("lxml", LXML, ["etree", "libxml2"], 4, 1 << 20)]


@pytest.mark.skipif(not DEFAULT or DEFAULT.version < (3, 10), reason="no Python that tells where its loop runs")
@pytest.mark.parametrize("package, code, modules, line, least", EXTENSIONS, ids=[entry[0] for entry in EXTENSIONS])
def test_extensions(package, code, modules, line, least, record, tmp_path):
    environment = {"PYTHONPATH": package_folder(DEFAULT, package), "OPENBLAS_NUM_THREADS": "1"}
    script = tmp_path / "program.py"
    script.write_text(code)
    bare = run_bare(DEFAULT.path, script, environment=environment)
    run = record(DEFAULT.path, script, options=["--native", "--check-native", "50"], environment=environment, stacks=False)
    assert (run.returncode, run.stdout, run.stderr) == (bare.returncode, bare.stdout, bare.stderr) and bare.returncode == 0
    check(run, 1000)
    # The Python line has the bytes by the rules that count Python, the native function by the others: module and symbol.
    for rule in ("line", "python"):
        (row,) = [row for row in run.json("lines", "--by", rule)["lines"] if row["file"] == str(script) and row["line"] == line]
        assert row["kind"] == "python" and row["function"] == "make" and row["allocated_bytes"] >= least
    native = rows_of(run, "native", *modules)
    assert sum(row["allocated_bytes"] for row in native.values()) >= least
    assert all(function and row["line"] is None and row["kind"] == "native" for function, row in native.items())
    by_module = [row["allocated_bytes"] for row in run.json("lines", "--by", "module")["lines"]
                 if (row["file"] or "").rpartition("/")[2].startswith(tuple(modules))]
    assert sum(by_module) >= least
    # The same bytes: on the stacks that the native function is innermost on, the Python line is the innermost one of Python.
    its_own = " OR ".join(f"module LIKE '%/{module}%'" for module in modules)
    (shared,) = run.sql(f"""
        WITH RECURSIVE up(leaf, stack_id) AS (
            SELECT stack_id, stack_id FROM stack_use WHERE allocated_bytes > 0
            UNION ALL SELECT leaf, caller_id FROM up JOIN stack USING (stack_id) JOIN frame USING (frame_id) WHERE kind = 'native' AND caller_id > 0)
        SELECT SUM(u.allocated_bytes) AS bytes FROM stack_use AS u WHERE stack_id IN
            (SELECT leaf FROM up JOIN stack USING (stack_id) JOIN frame USING (frame_id) WHERE file = '{script}' AND line = {line}
             INTERSECT SELECT leaf FROM up JOIN stack USING (stack_id) JOIN frame USING (frame_id) WHERE {its_own})""")
    assert shared["bytes"] >= least


TENSOR = """\
#include <Python.h>
#include <vector>
namespace tensor {
std::vector<double> *volatile kept;
__attribute__((noinline)) void fill(size_t count) { kept = new std::vector<double>(count); }    // 5
static PyObject *zeros(PyObject *self, PyObject *count)
{
    fill(PyLong_AsSize_t(count));                                                               // 8
    Py_RETURN_NONE;
}
static PyMethodDef methods[] = {{"zeros", zeros, METH_O, ""}, {NULL, NULL, 0, NULL}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "tensor", "", -1, methods, NULL, NULL, NULL, NULL};
}
PyMODINIT_FUNC PyInit_tensor(void) { return PyModule_Create(&tensor::module); }
"""


def test_an_extension_with_and_without_lines(record, tmp_path):
    """C++ that Python calls: the line of each, by the rule that asks for it."""
    headers = DEFAULT and subprocess.run([DEFAULT.path, "-c", "import sysconfig; print(sysconfig.get_path('include'))"], capture_output=True,
                                         text=True).stdout.strip()
    if not headers or not os.path.exists(f"{headers}/Python.h") or not shutil.which("g++"):
        pytest.skip("no g++, or no headers of Python")
    source, script, extension = tmp_path / "tensor.cpp", tmp_path / "program.py", tmp_path / "tensor.so"
    source.write_text(TENSOR)
    script.write_text("import tensor\ndef make():\n    tensor.zeros(100_000)\nmake()\n")
    subprocess.run(["g++", "-g", "-O2", "-shared", "-fPIC", "-I", headers, "-o", extension, source], check=True, timeout=TIMEOUT)
    for stripped in (False, True):
        if stripped:
            subprocess.run(["strip", extension], check=True)
        run = record(DEFAULT.path, script, options=["--native", "--check-native", "5"])
        check(run, 100)
        places = {rule: [(row["file"], row["line"], row["function"], row["kind"]) for row in run.json("lines", "--by", rule)["lines"]
                         if 800_000 <= row["allocated_bytes"] < 810_000] for rule in RULES}
        assert places["line"] == places["python"] == [(str(script), 3, "make", "python")]
        assert places["function"] == [(str(script), None, "make", "python")]
        assert places["module"] == [(str(extension), None, None, "native")]
        # Stripped, what other libraries can call still has its name.
        assert places["native"] == [(str(extension), None, "tensor::fill(unsigned long)", "native") if stripped else
                                    (str(source), 5, "tensor::fill(unsigned long)", "native")]
