"""What reading a recording takes: the first report (the replay) on a single core, a cached one, and what the recording holds."""

import json
import subprocess
import sys

from .measure import measure
from .tools import TRACE, heapline_files


def heapline_json(context, folder, *arguments):
    done = subprocess.run([context.heapline, *arguments, "--json"], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def events_of(context, folder, trace):
    row = heapline_json(context, folder, "sql", trace.name, "SELECT event_count FROM summary")["rows"][0]
    return row["event_count"] if isinstance(row, dict) else row[0]


# Into a process's largest resident set the kernel counts what its parent had when it was started: a small parent, then.
SMALL_PARENT = """
import resource, subprocess, sys
subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, check=True)
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""


def max_rss_kb(command, folder):
    figure = folder / "max_rss"
    subprocess.run([sys.executable, "-S", "-c", SMALL_PARENT, figure, *command], cwd=folder, check=True)
    return int(figure.read_text())


def measure_replay(context, folder):
    """First report of all traces of a run: its time on one core and peak RSS, the events, the peak of the largest process."""
    for cached in folder.glob("*.report"):
        cached.unlink()
    report = [context.heapline, "report", "--json", TRACE]
    first = measure(["taskset", "-c", str(context.cpu), *report], folder, context.variables)
    cached_s = min(measure(report, folder, context.variables)["wall_s"] for _ in range(3))
    summary = heapline_json(context, folder, "report", TRACE)
    return {
        "events": sum(events_of(context, folder, trace) for trace in heapline_files(folder)),
        "live_peak_bytes": max([summary["peak_bytes"], *(process["peak_bytes"] for process in summary["processes"])]),
        "lost_events": summary["lost_events"],
        "first_report_s": first["wall_s"],
        "first_report_max_rss_kb": max_rss_kb([*report, "--rebuild"], folder),
        "cached_report_s": cached_s,
    }
