"""Reads the `ALLOC name key=expression` comments of a target and compares them with what the reports say of those lines."""

import pathlib
import re

MARK = re.compile(r"(?://|#)\s*ALLOC\s+(\S+)((?:\s+\w+=\S+)*)")

# Key of a mark -> field of a `lines` row, and the value where the key is absent (None: not compared).
FIELDS = {
    "bytes": ("allocated_bytes", None),
    "count": ("allocations", None),
    "live": ("live_bytes", 0),
    "live_count": ("live_allocations", None),
    "peak": ("peak_bytes", None),
    "peak_count": ("peak_allocations", None),
    "copied": ("copied_bytes", 0),
    "copies": ("copies", None),
    "temporary": ("temporary_allocations", None),
}
CONSTANTS = {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "PAGE": 4096}


class Mark:
    """One marked line. `group/name` belongs to a group that the test asks for by name; others always count."""

    def __init__(self, file, line, name, expressions):
        self.file, self.line = file, line
        self.group, _, self.name = name.rpartition("/")
        self.expressions = expressions

    def expected(self, facts):
        values = {}
        for key, (field, default) in FIELDS.items():
            text = self.expressions.get(key)
            if text == "?":
                continue
            value = eval(text, {"__builtins__": {}}, {**CONSTANTS, **facts}) if text is not None else default
            if value is not None:
                values[field] = value
        return values

    def __repr__(self):
        return f"{self.file}:{self.line} {self.name}"


def read_marks(source):
    source = pathlib.Path(source)
    marks = []
    for number, text in enumerate(source.read_text().splitlines(), 1):
        match = MARK.search(text)
        if match:
            expressions = dict(part.split("=", 1) for part in match[2].split())
            assert set(expressions) <= set(FIELDS), f"{source}:{number}: unknown key"
            marks.append(Mark(source.name, number, match[1], expressions))
    assert marks, f"{source} marks no line"
    return marks


def line_figures(rows, file, line):
    """The figures of one source line, added up over functions and kinds. All zero where no row names the line."""
    found = [row for row in rows if row["line"] == line and pathlib.PurePath(row["file"] or "").name == file]
    return {field: sum(row[field] for row in found) for field, _ in FIELDS.values()}


def check_marks(rows, source, facts=None, groups=(), only=None):
    """Compare every mark of `source` (without a group, or in one of `groups`; with `only`, those names) with `lines` rows."""
    wrong = []
    for mark in read_marks(source):
        if (mark.group and mark.group not in groups) or (only is not None and mark.name not in only):
            continue
        expected = mark.expected(facts or {})
        figures = line_figures(rows, mark.file, mark.line)
        got = {field: figures[field] for field in expected}
        if got != expected:
            different = {field: (got[field], expected[field]) for field in expected if got[field] != expected[field]}
            wrong.append(f"{mark!r}: (reported, true) {different}")
    assert not wrong, "\n".join(wrong)
