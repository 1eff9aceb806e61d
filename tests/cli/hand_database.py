"""A report database filled by hand: every figure that the command line prints can be reckoned in the head.

A text-processing script of 10 s: peak of 40 MiB at 6 s, held by two lines; one line leaks steadily; imports; arena slack; small copies.
"""

import pathlib
import sqlite3

ANALYSIS = pathlib.Path(__file__).resolve().parents[2] / "lib" / "analysis"
MIB = 1 << 20
SECOND = 10**9
WINDOWS = 16

# id: kind, function, file, line, module, origin
FRAMES = {
    1: ("python", "<module>", "/home/ada/batch.py", 40, None, "user"),
    2: ("python", "main", "/home/ada/batch.py", 31, None, "user"),
    3: ("python", "read", "/home/ada/batch.py", 12, None, "user"),
    4: ("python", "JSONDecoder.raw_decode", "/usr/lib/python3.11/json/decoder.py", 353, None, "stdlib"),
    5: ("python", "JSONDecoder.decode", "/usr/lib/python3.11/json/decoder.py", 337, None, "stdlib"),
    6: ("python", "loads", "/usr/lib/python3.11/json/__init__.py", 346, None, "stdlib"),
    7: ("python", "CountVectorizer._count_vocab", "/usr/lib/python3/dist-packages/sklearn/feature_extraction/text.py", 1263, None, "package"),
    8: ("python", "_call_with_frames_removed", "<frozen importlib._bootstrap>", 241, None, "import"),
    9: ("python", "get_code", "<frozen importlib._bootstrap_external>", 1016, None, "import"),
    10: ("python", "remember", "/home/ada/batch.py", 22, None, "user"),
    11: ("native", "PyMem_RawMalloc", None, None, "/usr/bin/python3.11", "native"),
    12: ("native", "arena slack", None, None, None, "system"),
    13: ("native", "copies below the threshold", None, None, None, "system"),
}

# id: caller, frame, depth, line frame
STACKS = {
    0: (None, None, 0, None),
    1: (0, 1, 1, 1), 2: (1, 2, 2, 2), 3: (2, 3, 3, 3), 4: (3, 6, 4, 6), 5: (4, 5, 5, 5), 6: (5, 4, 6, 4),
    7: (2, 7, 3, 7), 8: (1, 8, 2, 8), 9: (8, 9, 3, 9), 10: (2, 10, 3, 10), 11: (0, 11, 1, 11),
    -1: (None, 12, 1, 12), -2: (None, 13, 1, 13),
}

# stack: peak bytes and allocations, live, allocated, temporary, copied bytes and copies, oldest and newest live
USES = {
    6: (24 * MIB, 240, 0, 0, 96 * MIB, 1000, 400, 8 * MIB, 80, None, None),
    7: (12 * MIB, 3, 0, 0, 30 * MIB, 12, 2, 20 * MIB, 5, None, None),
    9: (2 * MIB, 500, 1 * MIB, 300, 3 * MIB, 900, 0, 0, 0, SECOND // 10, SECOND // 5),
    10: (1 * MIB, 64, 2 * MIB, 128, 2 * MIB, 128, 0, 0, 0, SECOND // 2, 9 * SECOND),
    11: (1000, 1, 1000, 1, 1000, 1, 0, 0, 0, SECOND // 100, SECOND // 100),
    -1: (MIB - 1000, 0, 24, 0, 0, 0, 0, 0, 0, None, None),
    -2: (0, 0, 0, 0, 0, 0, 0, 4096, 256, None, None),
}

MEASURES = ("peak_bytes", "peak_allocations", "live_bytes", "live_allocations", "allocated_bytes", "allocations", "temporary_allocations",
            "copied_bytes", "copies")


def _frame(frame_id, home, frames):
    kind, function, file, line, module, origin = frames[frame_id]
    return kind, function, file and file.replace("/home/ada", home), line, module, origin


def _place(frame_id, home, frames):
    kind, function, file, line, module, origin = _frame(frame_id, home, frames)
    return file or module, line, function, kind, origin


def _line_rows(frames_of, home, uses, frames):
    """line_use: the measures of each stack, for the frames that `frames_of` credits."""
    rows = {}
    for stack_id, use in uses.items():
        for place in {_place(frame, home, frames) for frame in frames_of(stack_id)}:
            row = rows.setdefault(place, [0] * 9)
            for i in range(9):
                row[i] += use[i]
    return [place + tuple(row) for place, row in rows.items()]


def _frames(stack_id):
    while stack_id:
        caller, frame = STACKS[stack_id][:2]
        yield frame
        stack_id = caller


def total(measure):
    return sum(use[MEASURES.index(measure)] for use in USES.values())


def _add_errors(database, errors, home, frames):
    """Of the lines, what their stacks add up to: variances, and the largest of the last two."""
    database.executemany("INSERT INTO stack_error VALUES (?, ?, ?, ?, ?, ?, ?)", [(key, *error) for key, error in errors.items()])
    for table, frames_of in (("line", lambda stack: [STACKS[stack][3]]), ("line_inclusive", _frames)):
        name, _, suffix = table.partition("_")
        rows = {}
        for stack, error in errors.items():
            for place in {_place(frame, home, frames) for frame in frames_of(stack)}:
                sums = rows.setdefault(place, [0] * 6)
                rows[place] = [a + b for a, b in zip(sums[:4], error)] + [max(a, b) for a, b in zip(sums[4:], error[4:])]
        uses, into = (f"{name}_{what}{suffix and '_' + suffix}" for what in ("use", "error"))
        for place, sums in rows.items():
            database.execute(f"INSERT INTO {into} SELECT rowid, ?, ?, ?, ?, ?, ? FROM {uses} WHERE file IS ? AND line IS ? AND function IS ? "
                             "AND kind IS ? AND origin IS ?", (*sums, *place))


def create(path, home="/home/ada", properties=(), uses=USES, frames=FRAMES, errors=None, **changes):
    """`home`: the folder of batch.py; `properties`: keys and values; `uses`, `frames`: others than those
    above; `errors`: by stack, the columns of stack_error; `changes` overwrite columns of the summary."""
    database = sqlite3.connect(path)
    database.executescript((ANALYSIS / "schema.sql").read_text())

    def total(measure):
        return sum(use[MEASURES.index(measure)] for use in uses.values())

    summary = dict(
        pid=4242, parent_pid=4200, command="python3 batch.py --all", executable="/usr/bin/python3.11", python="3.11.2",
        start_realtime_ns=1700000000 * SECOND, duration_ns=10 * SECOND, complete=1, exit_kind="exit", exit_status=0, damage=None,
        peak_bytes=total("peak_bytes"), peak_time_ns=6 * SECOND, peak_event=1500, peak_rss_bytes=64 * MIB, event_count=3000,
        allocated_bytes=total("allocated_bytes"), allocations=total("allocations"), live_bytes_at_end=total("live_bytes"),
        live_allocations_at_end=total("live_allocations"), temporary_allocations=total("temporary_allocations"),
        copied_bytes=total("copied_bytes"), copies=total("copies"), lost_events=0, unknown_frees=0, sampling_interval_bytes=0,
        copy_threshold_bytes=256, allocated_bytes_error=0, peak_bytes_error=0)
    summary.update(changes)
    database.execute(f"INSERT INTO summary ({', '.join(summary)}) VALUES ({', '.join('?' * len(summary))})", tuple(summary.values()))
    database.executemany("INSERT INTO property VALUES (?, ?)", [("directory", home), *properties])
    database.executemany("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?)", [(key, *_frame(key, home, frames)) for key in frames])
    database.executemany("INSERT INTO stack VALUES (?, ?, ?, ?, ?)", [(key, *row) for key, row in STACKS.items()])
    database.executemany(f"INSERT INTO stack_use VALUES ({', '.join('?' * 12)})", [(key, *row) for key, row in uses.items()])
    for table, frames_of in (("line_use", lambda stack: [STACKS[stack][3]]), ("line_use_inclusive", _frames)):
        database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * 14)})", _line_rows(frames_of, home, uses, frames))
    if errors is not None:
        _add_errors(database, errors, home, frames)
        database.execute("INSERT INTO property VALUES ('count_errors', 'yes')")
    # Of the stacks credited to each line, the one with the most of each measure.
    for line_id, *place in database.execute("SELECT rowid, file, line, function, kind, origin FROM line_use").fetchall():
        credited = [stack for stack in uses if _place(STACKS[stack][3], home, frames) == tuple(place)]
        heaviest = [max((stack for stack in credited if uses[stack][i]), key=lambda stack: uses[stack][i], default=None) for i in range(9)]
        database.execute(f"INSERT INTO line_stack VALUES ({', '.join('?' * 10)})", (line_id, *heaviest))
    # Up to the peak at 6 s, then down to what leaks.
    for i in range(21):
        time = i * SECOND // 2
        level = total("peak_bytes") * i // 12 if i <= 12 else max(total("peak_bytes") * (20 - i) // 8, total("live_bytes"))
        database.execute("INSERT INTO timeline VALUES (?, ?, ?, ?)", (time, level, level, 24 * MIB + level))
    for window in range(WINDOWS):
        spans = ((9, MIB, 300), (10, 2 * MIB * (window + 1) // WINDOWS, 128 * (window + 1) // WINDOWS), (11, 1000, 1))
        database.execute("INSERT INTO window VALUES (?, ?, ?, ?)", (window, (window + 1) * 10 * SECOND // WINDOWS,
                                                                     sum(span[1] for span in spans) + 24, 1000 * (window + 1)))
        for stack_id, live, blocks in spans:
            database.execute("INSERT INTO live_span VALUES (?, ?, ?, ?, ?)", (stack_id, window, window, live, blocks))
    views = ANALYSIS / "schema_views.sql"
    if views.exists():
        database.executescript(views.read_text())
    database.commit()
    database.close()
