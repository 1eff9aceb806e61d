"""Markdown tables of a group's summary. Each is a (name, text): the name is that of its place in docs/performance.md."""

from .summary import RATIOS
from .tools import TOOLS

NONE = "–"
RATIO_TITLES = {"slowdown": ("wall", "slowdown, wall time"), "cpu_ratio": ("cpu", "CPU time of the target alone"),
                "total_cpu_ratio": ("total-cpu", "CPU time with the collector's")}


def times(value):
    return f"{value:.2f}x" if value < 10 else f"{value:.0f}x"


def number(value, digits):
    return NONE if value is None else f"{value:.{digits}f}"


def markdown(heads, rows):
    return "\n".join(["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|", *("| " + " | ".join(row) + " |" for row in rows)])


def tools_shown(rows):
    present = {name for row in rows for name in row["tools"]} - {"bare"}
    return [tool for tool in TOOLS if tool.name in present]


def ratio_cell(figures, ratio):
    if not figures:
        return NONE
    return times(figures[ratio]) if ratio in figures else ("failed" if "failed" in figures else NONE)


def ratio_table(rows, ratio, means=None):
    """Workloads down, tools across; with means, their geometric mean and worst below."""
    field = RATIOS[ratio]
    tools = tools_shown(rows)
    bare = {row["workload"]: (row["tools"].get("bare") or {}) for row in rows}
    unit = "bare, s" if field == "wall_s" else "bare CPU, s"
    lines = [[row["workload"], number(bare[row["workload"]].get("wall_s" if field == "wall_s" else "target_cpu_s"), 2),
              *(ratio_cell(row["tools"].get(tool.name), ratio) for tool in tools)] for row in rows]
    for title, key in (("**geometric mean**", "mean"), ("**worst**", "worst")) if means else ():
        lines.append([title, "", *(f"**{times(means[tool.name][ratio][key])}**" if ratio in means[tool.name] else NONE for tool in tools)])
    return markdown(["", unit, *(tool.title for tool in tools)], lines)


def recording_table(rows):
    def line(row):
        found = row["recording"]
        beside = next((figures["trace_bytes"] for name in ("memray", "heaptrack") if (figures := row["tools"].get(name)) and figures.get("trace_bytes")),
                      None)
        return [row["workload"], f"{found['events'] / 1e6:.1f} M", number(row["tools"][found["tool"]]["trace_bytes"] / 1e6, 1),
                number(found["bytes_per_event"], 2), number(beside / 1e6 if beside else None, 1), number(found["lost_events"], 0),
                number(found["first_report_s"], 2), number(found["mega_events_per_s"], 1), number(found["cached_report_s"], 3)]

    heads = ["", "events", "trace, MB", "bytes/event", "peer's trace, MB", "lost", "first report, s", "M events/s", "cached report, s"]
    return markdown(heads, [line(row) for row in rows if "recording" in row])


def memory_table(rows):
    def line(row):
        memory, found = row["memory"], row.get("recording") or {}
        return [row["workload"], number(memory["bare_rss_mb"], 0), number(memory["added_private_mb"], 1), number(memory["added_shared_mb"], 1),
                number(memory["added_total_mb"], 1), number(memory["added_bound_mb"], 1), number(found.get("live_peak_mb"), 0),
                number(memory["collector_rss_mb"], 0), number(found.get("report_rss_mb"), 0), number(found.get("reader_bound_mb"), 0)]

    heads = ["MB", "bare RSS", "added, private", "added, rings", "added to the peak", "limit", "live heap", "collector RSS", "report RSS", "limit"]
    return markdown(heads, [line(row) for row in rows if "memory" in row])


def scaling_table(rows):
    def line(row):
        found, costs = row.get("recording") or {}, row.get("event_cost") or {}
        figures, bare, least = row["tools"].get(found.get("tool")), row["tools"].get("bare") or {}, row["tools"].get("least-recorder")
        events = found.get("events")
        return [row["workload"], f"{events / 1e6:.1f} M" if events else NONE, number(bare.get("wall_s"), 2), ratio_cell(figures, "slowdown"),
                ratio_cell(figures, "cpu_ratio"), ratio_cell(least, "cpu_ratio"), number(costs.get("wall_ns"), 1), number(costs.get("target_ns"), 1),
                number(costs.get("collector_ns"), 1)]

    heads = ["", "events", "bare, s", "wall", "target CPU", "least recorder: target CPU", "ns/event added: wall", "target CPU", "collector CPU"]
    return markdown(heads, [line(row) for row in rows])


def ingredient_tables(document):
    """Of the figures of tests/benchmarks/ingredients --json: in the target, and behind it."""
    def cell(figures, mode, key="min", digits=1):
        return number((figures.get(mode) or {}).get(key), digits)

    figures = document["figures"]
    modes = ["bare", "pass-through", "paused", "recorded"]
    target = [[name, *(cell(found, mode) for mode in modes), number(found["recorded"]["min"] - found["bare"]["min"], 1)]
              for name, found in figures.items() if "bare" in found and "recorded" in found]
    behind = [[name, cell(found, ""), cell(found, "", "median"), cell(found, "", "bytes", 3)] for name, found in figures.items() if "" in found]
    return [("ingredients-target", markdown(["in the target, ns an operation", *modes, "added"], target)),
            ("ingredients-behind", markdown(["collector and replay, ns an event", "least", "median", "bytes an event"], behind))]


def group_tables(document):
    """All tables of a group's results file."""
    group, rows = document["group"], document["summary"]
    if group == "scaling":
        return [("scaling", scaling_table(rows))]
    means = document.get("over_programs") if group == "pyperformance" else None
    tables = [(f"{group}-{name}", ratio_table(rows, ratio, means)) for ratio, (name, _) in RATIO_TITLES.items()]
    if any("recording" in row for row in rows):
        tables.append((f"{group}-recording", recording_table(rows)))
    if any("memory" in row for row in rows):
        tables.append((f"{group}-memory", memory_table(rows)))
    return tables


def provenance(document):
    """The line below the tables: rounds, machine, versions."""
    machine = document["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    commit = f"heapline at {machine['heapline_commit']}"
    return (f"Medians of {document['rounds']} paired rounds, {document['date']}. {machine['cpu']}, {machine['cores']} cores, "
            f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['libc']}, {machine['python']}; {packages}; {commit}.")


def command_lines(document):
    """Every command line once, for its first workload."""
    seen = {}
    for workload, commands in document["commands"].items():
        for tool, command in commands.items():
            seen.setdefault(tool, f"{tool}: {command}")
    return "\n".join(seen.values())


def group_text(document):
    titles = {f"{document['group']}-{name}": title for name, title in RATIO_TITLES.values()}
    parts = [f"## {document['group']}"]
    for name, text in group_tables(document):
        parts += [f"{titles.get(name, name)}:", text]
    return "\n\n".join([*parts, provenance(document), "```\n" + command_lines(document) + "\n```"]) + "\n"
