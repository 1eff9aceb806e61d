"""From runs to the figures of the tables: medians over the rounds, ratios taken within a round, geometric means over programs."""

import statistics

MB = 1e6
RATIOS = {"slowdown": "wall_s", "cpu_ratio": "target_cpu_s", "total_cpu_ratio": "cpu_s"}


def good(runs):
    return [run for run in runs or () if "failed" not in run]


def median(runs, field):
    values = [run[field] for run in good(runs) if field in run]
    return statistics.median(values) if values else None


def paired(runs, bare, field):
    """Ratios of the runs to the bare run of their own round."""
    return [run[field] / base[field] for run, base in zip(runs, bare) if "failed" not in run and "failed" not in base and base[field] > 0]


def tool_figures(runs, bare):
    if not good(runs):
        return {"failed": runs[-1]["failed"].splitlines()[0]} if runs else None
    figures = {name: median(runs, field) for name, field in
               (("wall_s", "wall_s"), ("target_cpu_s", "target_cpu_s"), ("helper_cpu_s", "helper_cpu_s"), ("trace_bytes", "trace_bytes"))}
    for name, field in RATIOS.items():
        ratios = paired(runs, bare or [], field)
        if ratios:
            figures.update({name: statistics.median(ratios), f"{name}_least": min(ratios), f"{name}_most": max(ratios)})
    figures["rounds"] = len(good(runs))
    return figures


def recording_figures(runs):
    """What a replayed recording holds and what reading it takes."""
    events = median(runs, "events")
    if not events:
        return None
    first_s = median(runs, "first_report_s")
    return {
        "events": events,
        "bytes_per_event": median(runs, "trace_bytes") / events,
        "lost_events": median(runs, "lost_events"),
        "live_peak_mb": median(runs, "live_peak_bytes") / MB,
        "reader_bound_mb": 64 + median(runs, "live_peak_bytes") / MB / 4,
        "first_report_s": first_s,
        "mega_events_per_s": events / first_s / 1e6,
        "report_rss_mb": median(runs, "first_report_max_rss_kb") * 1024 / MB,
        "cached_report_s": median(runs, "cached_report_s"),
    }


def memory_figures(memory):
    """Memory added to the target. Private pages and the rings it shares with the collector apart, each at its highest; `total` is the peak of
    both together."""
    bare, recorded = memory["bare"], next(run for name, run in memory.items() if name != "bare")
    added_mb = {name: (recorded[f"{name}_kb"] - bare[f"{name}_kb"]) * 1024 / MB for name in ("private", "shared", "peak")}
    bare_rss_mb = bare["peak_kb"] * 1024 / MB
    return {
        "bare_rss_mb": bare_rss_mb,
        "added_private_mb": added_mb["private"],
        "added_shared_mb": added_mb["shared"],
        "added_total_mb": added_mb["peak"],
        "added_bound_mb": 32 + 0.02 * bare_rss_mb,
        "collector_rss_mb": recorded["collector_peak_kb"] * 1024 / MB,
    }


def event_cost(figures, runs, bare):
    """ns that an event adds to the target's CPU time, to the collector's, and to the wall clock."""
    events = figures["recording"]["events"]
    added = {"target": "target_cpu_s", "wall": "wall_s"}
    costs = {f"{name}_ns": statistics.median((run[field] - base[field]) / events * 1e9 for run, base in zip(good(runs), good(bare)))
             for name, field in added.items()}
    costs["collector_ns"] = median(runs, "helper_cpu_s") / events * 1e9
    return costs


def summarize(workload, results, memory):
    """One row: figures of every tool, and of the recording that was replayed."""
    bare = results.get("bare")
    row = {"workload": workload.name, "family": workload.family, "parameter": workload.parameter,
           "tools": {name: tool_figures(runs, bare) for name, runs in results.items()}}
    for name, runs in results.items():
        found = recording_figures(runs)
        if found:
            row["recording"] = dict(found, tool=name)
            if good(bare):
                row["event_cost"] = event_cost(row, runs, bare)
    if memory:
        row["memory"] = memory_figures(memory)
    return row


def over_programs(rows):
    """Of each tool: geometric mean and worst of the ratios, over the programs on which it and the bare program ran."""
    found = {}
    names = {name for row in rows for name in row["tools"] if name != "bare"}
    for name in names:
        found[name] = {}
        for ratio in RATIOS:
            values = {row["workload"]: figures[ratio] for row in rows if (figures := row["tools"].get(name)) and ratio in figures}
            if values:
                worst = max(values, key=values.get)
                found[name][ratio] = {"mean": statistics.geometric_mean(values.values()), "worst": values[worst], "of": worst,
                                      "programs": len(values)}
    return found
