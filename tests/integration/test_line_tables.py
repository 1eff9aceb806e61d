"""The line tables of every interpreter's whole standard library, against what the interpreter itself makes of them."""

import pathlib
import re
import subprocess

import pytest

from interpreters import every_layout
from recording import BUILD, clean_environment

TOOL = BUILD / "tests" / "unit" / "line_table_tool"

# Runs in the interpreter under test: its standard library's code objects, in the tool's format. Takes compiled files where they exist.
DUMP = r"""
import dis, glob, importlib.util, marshal, os, struct, sys, types

version = sys.version_info[0] << 8 | sys.version_info[1]
write = sys.stdout.buffer.write

def load(path):
    try:
        with open(importlib.util.cache_from_source(path), "rb") as file:
            data = file.read()
        if data[:4] == importlib.util.MAGIC_NUMBER:
            return marshal.loads(data[16:])
    except OSError:
        pass
    with open(path, "rb") as file:
        return compile(file.read(), path, "exec", dont_inherit=True)

def lines_of(code):
    if version < 0x30a:
        count, lines, line = len(code.co_code) // 2, dict(dis.findlinestarts(code)), code.co_firstlineno
        for unit in range(count):
            line = lines.get(2 * unit, line)
            yield line
        return
    lines = [0] * (len(code.co_code) // 2)
    for start, end, line in code.co_lines():
        for unit in range(start // 2, end // 2):
            lines[unit] = line or 0
    yield from lines

def dump(code):
    table = code.co_lnotab if version < 0x30a else code.co_linetable
    lines = list(lines_of(code))
    write(struct.pack("=IiII", version, code.co_firstlineno, len(table), len(lines)) + table + struct.pack("=%di" % len(lines), *lines))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            dump(constant)

library = os.path.dirname(os.__file__)
for path in sorted(glob.glob(library + "/*.py") + glob.glob(library + "/[!ts]*/**/*.py", recursive=True)):
    try:
        dump(load(path))
    except (SyntaxError, UnicodeError, ValueError):
        pass
# Line numbers that no table of the library has: far jumps back and forth, and lines without code.
long = "x = [\n" + "\n" * 300 + "f(1),\n" + "\n" * 70000 + "f(2)]\ny = (f(3) if x\n" + "\n" * 130 + " else f(4))\n"
dump(compile(long + "try:\n f(5)\nfinally:\n" + "\n" * 1000 + " f(6)\nwhile f(7):\n for z in f(8):\n  with f(9): pass\n", "long", "exec"))
"""


@every_layout
def test_standard_library(python):
    if not TOOL.exists():
        pytest.skip("line_table_tool was not built here")
    assert pathlib.Path(python.path).exists()
    with subprocess.Popen([python.path, "-c", DUMP], stdout=subprocess.PIPE, env=clean_environment()) as dump:
        result = subprocess.run([TOOL], stdin=dump.stdout, capture_output=True, text=True, timeout=120)
    assert dump.returncode == 0
    assert result.returncode == 0, result.stdout
    codes, instructions = map(int, re.match(r"(\d+) code objects, (\d+) instructions, 0 wrong", result.stdout).groups())
    assert codes > 5000 and instructions > 250000
