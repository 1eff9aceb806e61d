// All processes of a run as one, so that every view can show them merged, or split by process. Peaks are added up, although each process had its
// own at its own time; the timeline adds up what all held at one time.
import { MEASURES, type Figures, type Process, type Summary, type Thread, type Timeline } from "./data";
import { threadOf } from "./model";

const POINTS = 2000;

class Strings {
  readonly texts = [""];
  readonly short = [0];
  private readonly numbers = new Map([["", 0]]);

  add(text: string, short: number): number {
    let number = this.numbers.get(text);
    if (number === undefined) {
      this.numbers.set(text, (number = this.texts.length));
      this.texts.push(text);
      this.short.push(short);
    }
    return number;
  }
}

const noFigures = (): Figures => Object.fromEntries(MEASURES.map((m) => [m, []])) as unknown as Figures;

function addSummaries(processes: Process[]): Summary {
  const first = processes[0]!.summary, sum = (key: keyof Summary) => processes.reduce((total, p) => total + (p.summary[key] as number), 0);
  const start = Math.min(...processes.map((p) => p.summary.start_realtime_ns)), end = Math.max(...processes.map((p) => p.summary.start_realtime_ns + p.summary.duration_ns));
  const added = ["peak_bytes", "peak_rss_bytes", "event_count", "allocated_bytes", "allocations", "temporary_allocations", "live_bytes_at_end",
    "live_allocations_at_end", "copied_bytes", "copies", "lost_events"] as const;
  return {
    ...first, ...Object.fromEntries(added.map((key) => [key, sum(key)])), command: `${first.command} and its processes`, ending: `${processes.length} processes`,
    complete: processes.every((p) => p.summary.complete), start_realtime_ns: start, duration_ns: end - start, peak_time_ns: 0, stream_end_ns: -1,
    peak_bytes_error: Math.hypot(...processes.map((p) => p.summary.peak_bytes_error)), allocated_bytes_error: Math.hypot(...processes.map((p) => p.summary.allocated_bytes_error)),
  };
}

/** What all hold at the times at which any of them says something; at most POINTS, the highest of each stretch. */
function addTimelines(processes: Process[], start: number, duration: number): Timeline {
  const moments: { time: number; process: number; heap: number; peak: number; rss: number }[] = [];
  processes.forEach(({ summary, timeline }, process) => {
    const offset = summary.start_realtime_ns - start;
    timeline.time_ns.forEach((time, i) => moments.push({ time: offset + time, process, heap: timeline.heap_bytes[i]!, peak: timeline.heap_peak_bytes[i]!, rss: Math.max(timeline.rss_bytes[i]!, 0) }));
    moments.push({ time: offset + summary.duration_ns, process, heap: 0, peak: 0, rss: 0 });
  });
  moments.sort((a, b) => a.time - b.time);
  const heaps = new Float64Array(processes.length), sizes = new Float64Array(processes.length);
  const sums: Timeline = { time_ns: [], heap_bytes: [], heap_peak_bytes: [], rss_bytes: [] };
  let heap = 0, rss = 0, last = -1;
  for (const { time, process, ...now } of moments) {
    const peak = heap - heaps[process]! + Math.max(now.peak, now.heap);
    heap += now.heap - heaps[process]!;
    rss += now.rss - sizes[process]!;
    heaps[process] = now.heap;
    sizes[process] = now.rss;
    const part = Math.floor((time / Math.max(duration, 1)) * POINTS), at = sums.time_ns.length - 1;
    if (part === last) {
      sums.heap_bytes[at] = heap;
      sums.heap_peak_bytes[at] = Math.max(sums.heap_peak_bytes[at]!, peak);
      sums.rss_bytes[at] = Math.max(sums.rss_bytes[at]!, rss);
      continue;
    }
    last = part;
    sums.time_ns.push(time); sums.heap_bytes.push(heap); sums.heap_peak_bytes.push(peak); sums.rss_bytes.push(rss);
  }
  return sums;
}

function threadsOf({ summary, threads }: Process, index: number): Thread[] {
  return (threads ?? []).map((thread) => ({ ...thread, thread_id: threadOf(index, thread.thread_id), name: `${thread.name || thread.kernel_id} of process ${summary.pid}` }));
}

export function together(processes: Process[]): Process {
  const strings = new Strings(), summary = addSummaries(processes);
  const frames: Process["frames"] = { function: [0], file: [0], line: [0], module: [0], kind: [-1], origin: [-1] };
  const nodes: Process["nodes"] = { parent: [0], frame: [0], line_frame: [0], interpreter: [0], folded: [0], ...noFigures() };
  const folded = { stacks: 0, stacks_in_all: 0, ...Object.fromEntries(MEASURES.map((m) => [m, 0])) } as Process["folded"];
  const makeLines = () => ({ file: [], function: [], line: [], kind: [], origin: [], more: 0, ...noFigures() }) as Process["lines"];
  const lines = makeLines(), inclusive = makeLines(), owner = [-1], node_base: number[] = [];
  const sources = new Map<string, Process["sources"][number]>();
  for (const m of MEASURES) nodes[m].push(0);
  processes.forEach((process, index) => {
    const text = process.strings.map((string, i) => strings.add(string, process.short[i]!));
    const frameBase = frames.function.length - 1, nodeBase = nodes.parent.length;
    node_base.push(nodeBase);
    for (const key of ["function", "file", "module"] as const) for (const string of process.frames[key].slice(1)) frames[key].push(text[string]!);
    for (const key of ["line", "kind", "origin"] as const) for (const value of process.frames[key].slice(1)) frames[key].push(value);
    const frame = (number: number) => (number ? number + frameBase : 0);
    // The process's root becomes a node of its own, which holds what has no stack; without a frame, it is never drawn.
    process.nodes.parent.forEach((delta, i) => {
      nodes.parent.push(i ? delta : nodeBase);
      nodes.frame.push(frame(process.nodes.frame[i]!));
      nodes.line_frame.push(frame(process.nodes.line_frame[i]!));
      nodes.interpreter.push(process.nodes.interpreter[i]!);
      nodes.folded.push(process.nodes.folded[i]!);
      owner.push(index);
    });
    for (const m of MEASURES) for (const value of process.nodes[m]) nodes[m].push(value);
    for (const key of ["stacks", "stacks_in_all", ...MEASURES] as const) folded[key] += process.folded[key];
    for (const [to, from] of [[lines, process.lines], [inclusive, process.lines_inclusive!]] as const) {
      for (const key of ["file", "function"] as const) for (const string of from[key]) to[key].push(text[string]!);
      for (const key of ["line", "kind", "origin", ...MEASURES] as const) for (const value of from[key]) to[key].push(value);
      to.more += from.more;
    }
    for (const source of process.sources) if (sources.get(source.file)?.text === undefined) sources.set(source.file, source);
  });
  const timeline = addTimelines(processes, summary.start_realtime_ns, summary.duration_ns);
  const highest = timeline.heap_peak_bytes.reduce((best, bytes, i) => (bytes > timeline.heap_peak_bytes[best]! ? i : best), 0);
  return {
    summary, warnings: processes.flatMap((p) => p.warnings.map((text) => `${p.summary.pid}: ${text}`)), timeline, frames, nodes, folded, lines,
    lines_inclusive: inclusive, ranges: null, sources: [...sources.values()], strings: strings.texts, short: strings.short, members: processes,
    owner: Int32Array.from(owner), node_base, threads: processes.flatMap(threadsOf), highest: { bytes: timeline.heap_peak_bytes[highest] ?? 0, time_ns: timeline.time_ns[highest] ?? 0 },
    leaks: {
      live_bytes: processes.reduce((sum, p) => sum + p.leaks.live_bytes, 0), judged_ns: 0, growing: processes.reduce((sum, p) => sum + p.leaks.growing, 0), window_end_ns: [],
      candidates: processes.flatMap((p) => p.leaks.candidates.map((candidate) => ({ ...candidate, owner: p }))).sort((a, b) => b.confidence - a.confidence || b.live_bytes - a.live_bytes),
      more: processes.reduce((sum, p) => sum + p.leaks.more, 0),
    },
  };
}
