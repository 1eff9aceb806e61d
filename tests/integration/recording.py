"""Records programs with the heapline of the build tree and reads its reports. conftest.py makes fixtures of it.

The build is $HEAPLINE_BUILD, or build/ beside the sources.
"""

import json
import os
import pathlib
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("HEAPLINE_BUILD", ROOT / "build")).resolve()
HEAPLINE = BUILD / "cli" / "heapline"
TARGETS = BUILD / "tests" / "targets"
SOURCES = ROOT / "tests" / "targets"
TIMEOUT = 120


def target(name):
    path = TARGETS / name
    if not path.exists():
        pytest.skip(f"{name} was not built here")
    return path


def clean_environment(**changes):
    """The environment of a target: ours without what would preload, trace or speak another language."""
    dropped = ("HEAPLINE_", "LD_", "PYTHON", "MALLOC_", "GLIBC_TUNABLES", "PYTEST_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    environment["LC_ALL"] = "C"
    environment.update({key: str(value) for key, value in changes.items() if value is not None})
    return environment


def heapline(*arguments, timeout=TIMEOUT, environment=None, **options):
    """Run the command line, output captured as bytes; never hangs."""
    command = [str(HEAPLINE), *(str(argument) for argument in arguments)]
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(command, timeout=timeout, env=environment or clean_environment(), **options)


class Trace:
    """A trace and its reports, each read once."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._documents = {}

    def json(self, command, *arguments):
        key = (command, *arguments)
        if key not in self._documents:
            result = heapline(command, *arguments, "--json", self.path)
            assert result.returncode == 0, f"{command} {self.path.name}: {result.returncode} {result.stderr.decode()}"
            document = json.loads(result.stdout)
            assert document["schema"] == 1 and document["command"] == command
            self._documents[key] = document
        return self._documents[key]

    @property
    def report(self):
        return self.json("report")

    @property
    def lines(self):
        return self.json("lines")["lines"]

    def sql(self, query):
        """Rows of a query, each a dictionary."""
        result = heapline("sql", "--json", self.path, query)
        assert result.returncode == 0, result.stderr.decode()
        return json.loads(result.stdout)["rows"]

    def children(self):
        """The traces of the other processes of the run, found from this one, by process id."""
        own = len(self.path.name) + 1
        found = {}
        for path in sorted(self.path.parent.glob(self.path.name + ".*")):
            parts = path.name[own:].split(".")
            if all(part.isdigit() for part in parts):
                found.setdefault(int(parts[0]), []).append(Trace(path))
        return found

    def check_sums(self, stacks=True):
        """The rows of every report add up to the report's totals. Without `stacks`: those by line, and the database's by stack (a program
        with many deep stacks makes documents of a hundred megabytes)."""
        report = self.report
        self._check_lines(report)
        columns = {"allocated_bytes": "allocated_bytes", "allocations": "allocations", "live_bytes": "live_bytes_at_end",
                   "peak_bytes": "peak_bytes", "copied_bytes": "copied_bytes"}
        selected = ", ".join(f"COALESCE(SUM({column}), 0) AS {name}" for column, name in columns.items())
        (sums,) = self.sql(f"SELECT {selected} FROM stack_use")
        assert sums == {field: report[field] for field in sums}
        assert 0 <= report["peak_time_ns"] <= report["duration_ns"]
        if stacks:
            self._check_stacks(report)
        return self

    def _check_lines(self, report):
        rows = self.lines
        for field, whole in (("allocated_bytes", "allocated_bytes"), ("allocations", "allocations"), ("live_bytes", "live_bytes_at_end"),
                             ("peak_bytes", "peak_bytes"), ("copied_bytes", "copied_bytes")):
            assert total(rows, field) == report[whole], field
        for row in rows:
            assert row["kind"] in ("python", "native"), row
            assert all(isinstance(row[field], int) and row[field] >= 0 for field in row if field.endswith(("bytes", "allocations"))), row
            assert row["temporary_allocations"] <= row["allocations"], row

    def _check_stacks(self, report):
        peak = self.json("peak")
        assert peak["peak_bytes"] == report["peak_bytes"] and peak["peak_time_ns"] == report["peak_time_ns"]
        assert total(peak["lines"], "peak_bytes") == peak["peak_bytes"]
        assert total(peak["stacks"], "bytes") == peak["peak_bytes"]
        copies = self.json("copies")
        assert copies["copied_bytes"] == report["copied_bytes"]
        assert total(copies["lines"], "copied_bytes") == copies["copied_bytes"]
        assert total(copies["stacks"], "bytes") == copies["copied_bytes"]
        assert total(copies["lines"], "copies") == copies["copies"] == total(self.lines, "copies")
        leaks = self.json("leaks")
        assert total(leaks["candidates"], "live_bytes") == leaks["live_bytes"]
        assert total(leaks["candidates"], "live_bytes_at_end") == leaks["live_bytes_at_end"] == report["live_bytes_at_end"]


def total(rows, field):
    return sum(row[field] for row in rows)


class Recording(Trace):
    """A trace with the finished program that left it: exit status, output, and the facts it told."""

    def __init__(self, path, result, facts):
        super().__init__(path)
        self.returncode, self.stdout, self.stderr = result.returncode, result.stdout, result.stderr
        self.facts = facts


def read_facts(path):
    facts = {}
    if path.exists():
        for line in path.read_text().splitlines():
            name, _, value = line.partition("=")
            facts[name] = int(value)
    return facts


def completed(path):
    """The trace once its collector, which outlives the program by a moment, has completed it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists():
            trace = Trace(path)
            if trace.report["complete"]:
                return trace
        time.sleep(0.05)
    raise AssertionError("the trace was never completed")


def collector_of(trace):
    """The process that holds the trace open for writing."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/comm") as comm:
                if comm.read() != "heapline-collec\n":
                    continue
            if any(os.readlink(f"/proc/{entry}/fd/{file}") == str(trace) for file in os.listdir(f"/proc/{entry}/fd")):
                return int(entry)
        except OSError:
            continue
    return None


def run_bare(program, *arguments, environment=None, timeout=TIMEOUT, **options):
    """The same program without the recorder."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([str(program), *(str(argument) for argument in arguments)], timeout=timeout,
                          env=clean_environment(**(environment or {})), **options)
