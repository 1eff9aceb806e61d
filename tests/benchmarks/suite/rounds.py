"""The paired rounds. In each round a workload runs under every tool, one right after the other, the bare program first: a ratio is taken within a
round, so that what else the machine does falls on both of its sides.

Results: {workload: {tool: [run of round 1, run of round 2, …]}}; a run is what measure() told and what was found in the trace. A tool
that failed has {"failed": why} and is not run on that workload again.
"""

import os
import shutil

from .measure import RunFailed, measure
from .places import SCRATCH, readable, say
from .replay import measure_replay

REPLAYS = 3  # of each recording that is replayed: of the first rounds
REPLAYED_GROUPS = ("python", "native", "scaling")
EXACT = {"python": ("heapline", "heapline-native"), "native": ("heapline-native", "heapline")}  # by the program's kind: the recording of interest first
TOOLS_OF_GROUP = {
    "python": ("bare", "pass-through", "least-recorder", "least-sampler", "heapline", "heapline-native", "heapline-paused", "heapline-sampled", "memray"),
    "native": ("bare", "pass-through", "least-recorder", "least-sampler", "heapline-native", "heapline-paused", "heapline-sampled", "heaptrack"),
    "pyperformance": ("bare", "heapline", "memray"),
    "scaling": ("bare", "least-recorder", "heapline", "heapline-native"),
    "single-core": ("bare", "heapline", "heapline-native"),
}


def is_default(workload, tool):
    """The comparisons of interest: C programs with native stacks; curves and single cores likewise, Python programs there without. The floor's
    curve is that of threads."""
    if tool.name not in TOOLS_OF_GROUP[workload.group]:
        return False
    if workload.group == "scaling" and tool.name == "least-recorder":
        return workload.family == "threads"
    if workload.group in ("scaling", "single-core"):
        return tool.name != ("heapline-native" if workload.kind == "python" else "heapline")
    return True


def tools_for(workload, tools, options):
    """Those that apply: the ones that were asked for, else the usual ones, with --all-peers the other peers too."""
    def wanted(tool):
        if options.tools is not None:
            return True
        return is_default(workload, tool) or (options.all_peers and not tool.is_heapline)

    return [tool for tool in tools if workload.kind in tool.kinds and wanted(tool)]


def recording_of(workload, tools):
    """The name of the tool whose recordings are replayed, and whose memory is measured."""
    names = {tool.name for tool in tools}
    return next((name for name in EXACT[workload.kind] if name in names), None)


def rounds_of(tool, options):
    return min(options.rounds, options.peer_rounds) if tool.slow else options.rounds


class Session:
    """All runs of one group, in one sitting."""

    def __init__(self, context, options, tools):
        self.context, self.options, self.tools = context, options, tools
        self.results = {}
        self.commands = {}
        self.memory = {}

    def size(self, workload):
        return self.options.sizes.get(workload.name, workload.quick_size if self.options.quick else workload.size)

    def run_once(self, workload, tool, replay=False, memory=False):
        folder = SCRATCH / f"{workload.name}-{tool.name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            command = tool.command(self.context, workload.make(self.context, self.size(workload)))
            self.commands.setdefault(workload.name, {})[tool.name] = readable(command)
            result = measure(command, folder, self.context.variables, self.options.timeout, tool.helpers, memory)
            if tool.trace:
                result["trace_bytes"] = tool.trace(folder)
            if replay:
                result.update(measure_replay(self.context, folder))
            return result
        except RunFailed as failure:
            say(f"benchmarks: {workload.name} under {tool.name} {failure}")
            return {"failed": str(failure)}
        finally:
            shutil.rmtree(folder)

    def run_round(self, workload, number):
        tools = tools_for(workload, self.tools, self.options)
        recording = recording_of(workload, tools) if workload.group in REPLAYED_GROUPS and number < REPLAYS else None
        for tool in tools:
            runs = self.results.setdefault(workload.name, {}).setdefault(tool.name, [])
            if number >= rounds_of(tool, self.options) or (runs and "failed" in runs[-1]):
                continue
            result = self.run_once(workload, tool, replay=tool.name == recording)
            runs.append(result)
            if "failed" not in result:
                say(f"  {workload.name:26} {tool.name:17} {result['wall_s']:7.2f} s wall {result['target_cpu_s']:7.2f} s CPU "
                    f"+ {result['helper_cpu_s']:.2f} s beside")

    def run_memory(self, workload):
        """A run apart, for its sampling disturbs the times: memory by kind, bare and recorded. It warms the caches, too."""
        tools = tools_for(workload, self.tools, self.options)
        chosen = [tool for tool in tools if tool.name in ("bare", recording_of(workload, tools))]
        if len(chosen) == 2:
            say(f"{workload.name}: memory by kind")
            runs = {tool.name: self.run_once(workload, tool, memory=True) for tool in chosen}
            if not any("failed" in run for run in runs.values()):
                self.memory[workload.name] = runs

    def run(self, workloads, save):
        for workload in workloads:
            if self.options.memory and workload.memory:
                self.run_memory(workload)
        for number in range(self.options.rounds):
            say(f"round {number + 1} of {self.options.rounds}, load {os.getloadavg()[0]:.2f}")
            for workload in workloads:
                self.run_round(workload, number)
            save(self)
