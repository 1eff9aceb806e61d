"""Draws the results as SVG, with matplotlib of the scratch environment. Nothing of the time of drawing is in a file, so that the same results
give the same file."""

import math

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot  # noqa: E402 (after the choice of what draws)

from .tables import tools_shown  # noqa: E402

COLOURS = {
    "pass-through": "#c4c4c4",
    "least-recorder": "#9a9a9a",
    "least-sampler": "#b0b0b0",
    "heapline": "#1b6ca8", "heapline-native": "#5aa0d6", "heapline-paused": "#b9d6ee", "heapline-sampled": "#8cc3a0", "memray": "#d1603d",
    "memray-native": "#e8a58f", "scalene": "#8a6bbe", "fil": "#c9a227", "tracemalloc": "#777777", "heaptrack": "#a23b72",
}
WIDTH = 8.5
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "heapline", "font.family": "sans-serif", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": True, "grid.color": "#e4e4e4", "legend.frameon": False,
})


def save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plot.close(figure)


def mark_ratios(axes, axis, values):
    """A logarithmic axis of slowdowns with plain marks, from the bare run on."""
    marks = [mark for mark in (1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100) if mark <= max(values) * 1.3]
    getattr(axes, f"set_{axis}scale")("log")
    getattr(axes, f"set_{axis}ticks")(marks, [f"{mark:g}x" for mark in marks])
    getattr(axes, f"{axis}axis").minorticks_off()


def ratio_bars(rows, path, title):
    """Workloads down, a bar for each tool: wall time against bare."""
    tools = tools_shown(rows)
    figure, axes = plot.subplots(figsize=(WIDTH, 0.6 + len(rows) * (0.3 + 0.14 * len(tools))))
    height, values = 0.8 / max(len(tools), 1), [1]
    for place, tool in enumerate(tools):
        bars = [(number, figures["slowdown"]) for number, row in enumerate(rows) if (figures := row["tools"].get(tool.name)) and "slowdown" in figures]
        positions = [number + (place - (len(tools) - 1) / 2) * height for number, _ in bars]
        lengths = [value for _, value in bars]
        axes.barh(positions, [max(value - 1, 0.002) for value in lengths], height * 0.9, left=1, color=COLOURS[tool.name], label=tool.title)
        for position, value in zip(positions, lengths):
            axes.text(max(value, 1) * 1.02, position, f"{value:.2f}" if value < 10 else f"{value:.0f}", va="center", fontsize=7)
        values += lengths
    mark_ratios(axes, "x", values)
    axes.set_xlim(0.97, max(values) * 1.35)
    axes.set_yticks(range(len(rows)), [row["workload"] for row in rows])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_title(title, loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.08 - 0.1 / max(len(rows), 1)), ncols=4, fontsize=8)
    save(figure, path)


def ratio_dots(rows, path, title):
    """Many programs: a dot for each tool, sorted by heapline's."""
    tools = tools_shown(rows)
    rows = sorted(rows, key=lambda row: (row["tools"].get("heapline") or {}).get("slowdown", math.inf))
    figure, axes = plot.subplots(figsize=(WIDTH, 0.8 + 0.2 * len(rows)))
    values = [1]
    for tool in tools:
        dots = [(figures["slowdown"], number) for number, row in enumerate(rows) if (figures := row["tools"].get(tool.name)) and "slowdown" in figures]
        axes.plot([value for value, _ in dots], [number for _, number in dots], "o", markersize=5, color=COLOURS[tool.name], label=tool.title)
        values += [value for value, _ in dots]
    mark_ratios(axes, "x", values)
    axes.axvline(1, color="#888888", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row["workload"] for row in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_title(title, loc="left")
    axes.legend(loc="lower right", fontsize=8)
    save(figure, path)


def curve_of(rows, family, value):
    points = [(row["parameter"], found) for row in rows if row["family"] == family and (found := value(row)) is not None]
    return [x for x, _ in points], [y for _, y in points]


def heapline_figure(name):
    return lambda row: (row["tools"].get(row.get("recording", {}).get("tool")) or {}).get(name)


def least_cpu_ratio(row):
    return (row["tools"].get("least-recorder") or {}).get("cpu_ratio")


def target_ns(row):
    return (row.get("event_cost") or {}).get("target_ns")


def both_ns(row):
    costs = row.get("event_cost") or {}
    return costs["target_ns"] + costs["collector_ns"] if costs else None


def curves(path, title, lines, x_title, y_title, logarithmic_y=False):
    """Lines of (label, xs, ys, style)."""
    figure, axes = plot.subplots(figsize=(WIDTH * 0.75, 3.2))
    for label, xs, ys, style in lines:
        axes.plot(xs, ys, marker="o", markersize=4, label=label, **style)
    axes.set_xscale("log")
    xs = sorted({x for line in lines for x in line[1]})
    axes.set_xticks(xs, [f"{x:,}".replace(",", " ") if x < 10**6 else f"10^{math.log10(x):.0f}" for x in xs])
    axes.minorticks_off()
    if logarithmic_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(x_title)
    axes.set_ylabel(y_title)
    axes.set_title(title, loc="left")
    axes.legend(fontsize=8)
    save(figure, path)


def scaling_curves(rows, folder):
    python, native = {"color": COLOURS["heapline"]}, {"color": COLOURS["heaptrack"]}
    dashed = {"linestyle": "--"}

    def line(label, family, value, style):
        return (label, *curve_of(rows, family, value), style)

    lines = [line("Python, target", "events-python", target_ns, python), line("Python, with the collector", "events-python", both_ns, python | dashed),
             line("native, target", "events-native", target_ns, native), line("native, with the collector", "events-native", both_ns, native | dashed)]
    if any(xs for _, xs, _, _ in lines):
        curves(folder / "scaling-events.svg", "CPU time that an event adds, by the length of the run", lines, "events", "ns an event")
    lines = [line("wall time", "threads", heapline_figure("slowdown"), python),
             line("target CPU", "threads", heapline_figure("cpu_ratio"), python | dashed),
             line("target CPU, least recorder", "threads", least_cpu_ratio, {"color": COLOURS["least-recorder"]} | dashed)]
    if lines[0][1]:
        curves(folder / "scaling-threads.svg", "Threads that allocate at once", lines, "threads", "slowdown")
    lines = [line("Python, calls at the bottom", "depth-python-leaf", target_ns, python),
             line("Python, whole depth up and down", "depth-python-sweep", target_ns, python | dashed),
             line("native, calls at the bottom", "depth-native-leaf", target_ns, native),
             line("native, whole depth up and down", "depth-native-sweep", target_ns, native | dashed)]
    if any(xs for _, xs, _, _ in lines):
        curves(folder / "scaling-depth.svg", "CPU time that an event adds to the target, by the depth of the stack", lines, "frames", "ns an event", True)


def draw(documents, folder):
    """All plots of these results files, by group."""
    titles = {"python": "Python programs, wall time against the bare run", "native": "C and C++ programs, wall time against the bare run",
              "single-core": "Target and collector on a single core, wall time against the bare run"}
    for group, title in titles.items():
        if group in documents:
            ratio_bars(documents[group]["summary"], folder / f"{group}.svg", title)
    if "pyperformance" in documents:
        ratio_dots(documents["pyperformance"]["summary"], folder / "pyperformance.svg", "pyperformance, wall time against the bare run")
    if "scaling" in documents:
        scaling_curves(documents["scaling"]["summary"], folder)
