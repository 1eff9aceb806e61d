// One process's data, or that of all together, ready to compute with: arrays by node and by frame, weights for a cost and a range of time.
import { KINDS, MEASURES, ORIGINS, type Figures, type Measure, type Process, type Ranges } from "./data";
import { formatBytes, formatCount, formatTime } from "./format";

export interface Cost { key: string; title: string; text: string; bytes: Measure | null; count: Measure; ranged?: boolean; leaks?: boolean }

export const COSTS: Cost[] = [
  { key: "peak", title: "Peak", text: "live at the high-water mark", bytes: "peak_bytes", count: "peak_allocations" },
  { key: "live", title: "Live at end", text: "still live at the end", bytes: "live_bytes", count: "live_allocations" },
  { key: "allocated", title: "Allocated", text: "all that was ever allocated", bytes: "allocated_bytes", count: "allocations" },
  { key: "temporary", title: "Temporary", text: "allocations freed before the same thread's next one", bytes: null, count: "temporary_allocations" },
  { key: "copied", title: "Copied", text: "moved by memcpy and its kin", bytes: "copied_bytes", count: "copies" },
  { key: "leaks", title: "Leaks", text: "held by lines that kept growing", bytes: "live_bytes", count: "live_allocations", leaks: true },
  { key: "kept", title: "Kept", text: "allocated in the range and not freed in it", bytes: "live_bytes", count: "live_allocations", ranged: true },
];

/** By node. */
export type RangeColumns = Record<Measure | "kept_bytes" | "kept_allocations", Float64Array>;

const RANGE_COLUMNS = [...MEASURES, "kept_bytes", "kept_allocations"] as const;

/** The parts of time that ranges are made of. */
export interface Windows {
  start: number; ends: number[];
  // of all processes together: of each, which of these parts each of its own windows lies in, and where its uses begin
  memberParts?: number[][]; useBases?: number[];
}

const windowsOf = (ranges: Ranges | null): Windows | null => ranges && { start: ranges.start_ns, ends: ranges.window_end_ns };

/** Processes that did nothing needn't tell when. */
function windowsOfRun({ summary }: Process, members: Model[]): Windows | null {
  const count = Math.max(...members.map((member) => member.process.ranges?.run_parts ?? 0)), useBases: number[] = [];
  if (!count || members.some(({ windows, process }) => !windows && process.summary.event_count)) return null;
  let uses = 0;
  const memberParts = members.map((member) => {
    const offset = member.process.summary.start_realtime_ns - summary.start_realtime_ns;
    useBases.push(uses);
    uses += member.uses.node.length;
    return Array.from({ length: member.windowCount }, (_, w) =>
      Math.min(count - 1, Math.max(0, Math.floor(((offset + (member.windowStart(w) + member.windowEnd(w)) / 2) / summary.duration_ns) * count))));
  });
  return { start: 0, ends: Array.from({ length: count }, (_, i) => (summary.duration_ns * (i + 1)) / count), memberParts, useBases };
}

/** Threads of all processes together: each is told by its process, too. */
const MOST_THREADS = 1 << 20;
export const threadOf = (process: number, thread: number): number => process * MOST_THREADS + thread;

function usesTogether({ node_base }: Process, members: Model[]): { node: number[]; thread: number[] } {
  const node: number[] = [], thread: number[] = [];
  members.forEach(({ uses }, index) => {
    for (let i = 0; i < uses.node.length; i++) { node.push(node_base![index]! + uses.node[i]!); thread.push(threadOf(index, uses.thread[i]!)); }
  });
  return { node, thread };
}

export interface View { cost: Cost; unit: "bytes" | "count"; from: number; to: number }

export class Model {
  readonly nodeCount: number;
  readonly parent: Int32Array;
  readonly frame: Int32Array;
  readonly lineFrame: Int32Array;
  readonly children: Int32Array;     // node ids, grouped by parent
  readonly firstChild: Int32Array;   // into `children`; nodeCount + 1 entries
  readonly frameCount: number;
  readonly functionKey: Int32Array;  // frames of one function have one key: that of the first
  readonly lineKey: Int32Array;      // frames of one line have one key
  readonly windows: Windows | null;  // null: no range can be chosen
  readonly uses: { node: ArrayLike<number>; thread: ArrayLike<number> };
  private readonly leakLines: Set<number>;
  private growingNodes: Uint8Array | null = null; // lines that kept growing, and what they call
  private readonly columns = new Map<string, Float64Array>();
  private latestRanges: { key: string; columns: RangeColumns }[] = [];
  private readonly searchTexts: string[] = [];
  private readonly places: { exact: string; short: string }[] = []; // by frame, those that were asked for

  /** `members`: of all processes together, theirs. */
  constructor(readonly process: Process, readonly members: Model[] = []) {
    const { nodes, frames } = process;
    this.nodeCount = nodes.parent.length;
    this.parent = Int32Array.from(nodes.parent, (delta, i) => i - delta);
    this.frame = Int32Array.from(nodes.frame);
    this.lineFrame = Int32Array.from(nodes.line_frame);
    this.firstChild = new Int32Array(this.nodeCount + 1);
    for (let i = 1; i < this.nodeCount; i++) this.firstChild[this.parent[i]! + 1]!++;
    for (let i = 0; i < this.nodeCount; i++) this.firstChild[i + 1]! += this.firstChild[i]!;
    const next = this.firstChild.slice();
    this.children = new Int32Array(Math.max(this.nodeCount - 1, 0));
    for (let i = 1; i < this.nodeCount; i++) this.children[next[this.parent[i]!]!++] = i;
    this.frameCount = frames.function.length;
    this.functionKey = this.keys((f) => `${frames.kind[f]} ${frames.file[f] || frames.module[f]} ${frames.function[f]}`);
    this.lineKey = this.keys((f) => `${frames.kind[f]} ${frames.file[f] || frames.module[f]} ${frames.line[f]} ${frames.function[f]} ${frames.gone?.[f] ?? 0}`);
    this.leakLines = new Set();
    const candidates = [...process.leaks.candidates, ...(process.baseline?.leaks.candidates ?? [])];
    const grows = new Set(candidates.filter((c) => c.confidence >= 0.5).map((c) => `${c.file} ${c.line ?? 0} ${c.function}`));
    for (let f = 1; f < this.frameCount; f++)
      if (grows.has(`${this.path(f)} ${frames.line[f]} ${this.functionName(f)}`)) this.leakLines.add(f);
    this.windows = members.length ? windowsOfRun(process, members) : windowsOf(process.ranges ?? null);
    this.uses = members.length ? usesTogether(process, members) : process.ranges?.use ?? { node: [], thread: [] };
  }

  private keys(text: (frame: number) => string): Int32Array {
    const first = new Map<string, number>();
    return Int32Array.from({ length: this.frameCount }, (_, f) => {
      if (!f) return 0;
      const key = text(f);
      if (!first.has(key)) first.set(key, f);
      return first.get(key)!;
    });
  }

  text(string: number): string { return this.process.strings[string]!; }
  short(string: number): string { return this.process.strings[string]!.slice(this.process.short[string]!); }
  functionName(frame: number): string { return this.text(this.process.frames.function[frame]!) || "?"; }
  /** File, or module. */
  path(frame: number): string { return this.text(this.process.frames.file[frame]! || this.process.frames.module[frame]!); }
  file(frame: number): string { return this.text(this.process.frames.file[frame]!); }

  place(frame: number, withLine = true): string {
    const { exact, short } = (this.places[frame] ??= this.makePlace(frame));
    return withLine ? exact : short;
  }

  /** What words are looked for in. */
  searchText(frame: number): string {
    if (!frame) return "";
    const { kind, origin } = this.process.frames;
    return (this.searchTexts[frame] ??= `${this.path(frame)} ${this.place(frame)} ${this.functionName(frame)} ${ORIGINS[origin[frame]!]} ${KINDS[kind[frame]!]}`.toLowerCase());
  }

  private makePlace(frame: number): { exact: string; short: string } {
    const { file, module, line } = this.process.frames;
    if (!file[frame] && !module[frame]) return { exact: "", short: "" };
    const short = this.short(file[frame]! || module[frame]!), gone = this.process.frames.gone?.[frame] ? " (old)" : "";
    return { exact: file[frame] && line[frame]! > 0 ? `${short}:${line[frame]}${gone}` : short, short };
  }

  label(frame: number, withLine = true): string {
    if (!frame) return "";
    const place = this.place(frame, withLine);
    return place ? `${this.functionName(frame)}  ${place}` : this.functionName(frame);
  }

  /** Of each node itself, not of what it calls. Not to be written to. */
  measure(measure: Measure, from: Figures = this.process.nodes): Float64Array {
    const key = from === this.process.nodes ? measure : `old ${measure}`;
    let column = this.columns.get(key);
    if (!column) this.columns.set(key, (column = Float64Array.from(from[measure])));
    return column;
  }

  /** Is it a comparison of two traces? */
  get isDiff(): boolean { return !!this.process.baseline; }
  /** Which costs there are: of moments only what was live then, and ranges only where the trace tells. */
  get costs(): Cost[] {
    if (this.isMoment) return COSTS.filter((cost) => cost.key === "live").map((cost) => ({ ...cost, title: "Live", text: "live at the moments that are compared" }));
    return COSTS.filter((cost) => !cost.ranged || this.hasRanges);
  }
  get isMoment(): boolean { return this.isDiff && (this.process.moment_ns! >= 0 || this.process.baseline!.moment_ns! >= 0); }

  /** The highest that the timeline shows: of all processes together, what they held at one time. */
  get highest(): { bytes: number; time_ns: number } {
    const { summary, highest } = this.process;
    return highest ?? { bytes: summary.peak_bytes, time_ns: summary.peak_time_ns };
  }

  /** Of a comparison: what the old trace used. */
  oldWeights(view: View): Float64Array {
    const measure = view.unit === "bytes" && view.cost.bytes ? view.cost.bytes : view.cost.count;
    const weights = this.measure(measure, this.process.old_nodes!);
    return view.cost.leaks ? this.onlyLeaks(weights.slice()) : weights;
  }

  get hasRanges(): boolean { return !!this.windows; }
  /** Why no range of time can be chosen. */
  get whyNoRanges(): string {
    if (this.process.baseline) return "not of a comparison, whose two traces have each its own clock: compare two moments (TRACE@10s), or choose ranges in the page of either trace";
    const without = this.members.find((member) => !member.windows);
    const { summary } = this.process;
    if (!without && (summary.events_from_ns >= summary.duration_ns || summary.stream_end_ns === 0)) return "not here: the trace's size bound left no room for a list of events; the figures of all of the run are exact";
    return `not known${without ? ` of process ${without.process.summary.pid}` : ""}: the trace holds no time, or could not be read again when the page was made`;
  }
  /** Where ranges end that don't reach over all of the run: the trace lists events only there. "" where they do. */
  get listedText(): string {
    const partial = (this.members.length ? this.members : [this]).filter((model) => model.isPartial).map((model) => {
      const { start, ends } = model.windows!, { summary, members } = model.process, whose = this.members.length && !members ? `of process ${summary.pid} ` : "";
      return `${whose}${start > 0 ? `from ${formatTime(start)}` : `up to ${formatTime(ends[ends.length - 1]!)}`}`;
    });
    return partial.join(", ");
  }
  /** Does the trace list events for a part of the run only? */
  get isPartial(): boolean {
    if (this.members.length) return this.members.some((member) => member.isPartial);
    const { summary } = this.process;
    return !!this.windows && (this.windows.start > 0 || summary.stream_end_ns >= 0);
  }
  get windowCount(): number { return this.windows?.ends.length ?? 0; }
  windowStart(window: number): number { return window > 0 ? this.windows!.ends[window - 1]! : this.windows!.start; }
  windowEnd(window: number): number { return this.windows!.ends[window]!; }
  /** The window at a time: the first or the last one where it lies before or behind all. */
  windowAt(time: number): number {
    const window = this.windows!.ends.findIndex((end) => time < end);
    return window < 0 ? this.windowCount - 1 : window;
  }

  /** The window of a range in which its heap was highest. Of one process. */
  peakWindow(from: number, to: number): number {
    const peaks = this.process.ranges!.peak_bytes;
    let best = from;
    for (let w = from; w <= to; w++) if (peaks[w]! > peaks[best]!) best = w;
    return best;
  }

  weights(view: View): Float64Array {
    const measure = view.unit === "bytes" && view.cost.bytes ? view.cost.bytes : view.cost.count;
    if (!this.asksForRange(view)) return view.cost.leaks ? this.onlyLeaks(this.measure(measure).slice()) : this.measure(measure);
    if (this.members.length) return this.gather(view, (member, own) => member.weights(own));
    const { key, from, to, at } = this.asked(view), columns = this.range(key === "live" ? 0 : from, key === "live" ? at : to);
    if (view.cost.leaks) return this.onlyLeaks(columns[measure].slice());
    return key === "kept" ? (view.unit === "bytes" ? columns.kept_bytes : columns.kept_allocations) : columns[measure];
  }

  /** Figures of a part of the run, or such as only ranges know. */
  private asksForRange({ cost, from }: View): boolean { return this.hasRanges && (from >= 0 || !!cost.ranged || (!!cost.leaks && !this.isPartial)); }

  /** Which of a member's windows a range of the run's windows stands for; null: it did not run then, or lists nothing. */
  private rangeOfMember(member: number, from: number, to: number): [number, number] | null {
    const parts = this.windows!.memberParts![member]!;
    let first = 0, last = parts.length - 1;
    while (first <= last && parts[first]! < from) first++;
    while (last >= first && parts[last]! > to) last--;
    return first <= last ? [first, last] : null;
  }

  /** Calls `ask` with each member that ran within the view's range, and what the view is in its windows. */
  private eachMember(view: View, ask: (member: Model, own: View, index: number) => void): void {
    this.members.forEach((member, index) => {
      const own = view.from < 0 ? [-1, -1] as const : this.rangeOfMember(index, view.from, view.to);
      if (own && member.windows) ask(member, { ...view, from: own[0], to: own[1] }, index);
    });
  }

  /** Of all processes together: columns of their nodes, side by side. */
  private gather(view: View, ask: (member: Model, own: View) => Float64Array): Float64Array {
    const all = new Float64Array(this.nodeCount);
    this.eachMember(view, (member, own, index) => all.set(ask(member, own), this.process.node_base![index]!));
    return all;
  }

  /** Every measure within a range, in one pass over what is known of it; the latest two are kept. Not to be written to. */
  range(from: number, to: number): RangeColumns {
    const key = `${from} ${to}`, known = this.latestRanges.find((range) => range.key === key);
    if (known) return known.columns;
    const columns = this.makeRange(from, to);
    this.latestRanges = [{ key, columns }, ...this.latestRanges.slice(0, 1)];
    return columns;
  }

  private makeRange(from: number, to: number): RangeColumns {
    const columns = Object.fromEntries(RANGE_COLUMNS.map((name) => [name, new Float64Array(this.nodeCount)])) as unknown as RangeColumns;
    this.members.forEach((member, index) => {
      const own = member.windows && this.rangeOfMember(index, from, to);
      if (!own) return;
      const parts = member.range(...own);
      for (const name of RANGE_COLUMNS) columns[name].set(parts[name], this.process.node_base![index]!);
    });
    if (this.members.length) return columns;
    const ranges = this.process.ranges!, { kept, peak, flow, use: { node } } = ranges, peakAt = this.peakWindow(from, to);
    for (let i = 0; i < kept.use.length; i++) {
      const birth = kept.birth[i]!, death = kept.death[i]!, isLive = birth <= to && death > to, isPeak = birth <= peakAt && death > peakAt;
      if (!isLive && !isPeak) continue;
      const at = node[kept.use[i]!]!, bytes = kept.bytes[i]!, count = kept.count[i]!;
      if (isPeak) { columns.peak_bytes[at]! += bytes; columns.peak_allocations[at]! += count; }
      if (!isLive) continue;
      columns.live_bytes[at]! += bytes; columns.live_allocations[at]! += count;
      if (birth >= from) { columns.kept_bytes[at]! += bytes; columns.kept_allocations[at]! += count; }
    }
    for (let i = 0; i < peak.use.length; i++) {
      if (peak.window[i] !== peakAt) continue;
      const at = node[peak.use[i]!]!;
      columns.peak_bytes[at]! += peak.bytes[i]!; columns.peak_allocations[at]! += peak.count[i]!;
    }
    for (let i = 0; i < flow.use.length; i++) {
      if (flow.window[i]! < from || flow.window[i]! > to) continue;
      const at = node[flow.use[i]!]!;
      columns.allocated_bytes[at]! += flow.allocated_bytes[i]!; columns.allocations[at]! += flow.allocations[i]!;
      columns.temporary_allocations[at]! += flow.temporary_allocations[i]!;
      columns.copied_bytes[at]! += flow.copied_bytes[i]!; columns.copies[at]! += flow.copies[i]!;
    }
    this.addSmallCopies(columns.copied_bytes, ranges.small_copied_bytes, from, to);
    this.addSmallCopies(columns.copies, ranges.small_copies, from, to);
    this.addSlack(columns.peak_bytes, ranges.peak_slack_bytes[peakAt]!);
    this.addSlack(columns.live_bytes, ranges.end_slack_bytes[to]!);
    return columns;
  }

  /** What a view asks of ranges: what was live at the end, or at the highest, of window `at`; or what flowed from `from` to `to`. */
  private asked({ cost, from, to }: View): { key: string; from: number; to: number; at: number } {
    const first = Math.max(from, 0), last = from < 0 ? this.windowCount - 1 : to;
    if (cost.leaks) {
      const judged = this.process.ranges!.window_end_ns.findIndex((end) => end >= this.process.leaks.judged_ns - 1000);
      return { key: "live", from: 0, to: last, at: from < 0 && judged >= 0 ? judged : last };
    }
    return { key: cost.key, from: first, to: last, at: cost.key === "peak" ? this.peakWindow(first, last) : last };
  }

  /** Calls add with what each use (a node and a thread) has of what a view asks for, in parts. What no stack owns isn't among it. */
  eachUse(view: View, add: (use: number, amount: number) => void): void {
    if (this.members.length) {
      this.eachMember(view, (member, own, index) => { const base = this.windows!.useBases![index]!; member.eachUse(own, (use, amount) => add(base + use, amount)); });
      return;
    }
    const ranges = this.process.ranges!, asBytes = view.unit === "bytes" && !!view.cost.bytes, { key, from, to, at } = this.asked(view);
    if (key === "allocated" || key === "temporary" || key === "copied") {
      const measure = asBytes ? view.cost.bytes! : view.cost.count;
      const amounts = ranges.flow[measure as keyof typeof ranges.flow], { window, use } = ranges.flow;
      for (let i = 0; i < amounts.length; i++) if (window[i]! >= from && window[i]! <= to && amounts[i]) add(use[i]!, amounts[i]!);
      return;
    }
    const { use, birth, death } = ranges.kept, amounts = asBytes ? ranges.kept.bytes : ranges.kept.count;
    for (let i = 0; i < use.length; i++)
      if (birth[i]! <= at && death[i]! > at && (key !== "kept" || birth[i]! >= from)) add(use[i]!, amounts[i]!);
    if (key !== "peak") return;
    const more = asBytes ? ranges.peak.bytes : ranges.peak.count;
    for (let i = 0; i < more.length; i++) if (ranges.peak.window[i] === at) add(ranges.peak.use[i]!, more[i]!);
  }

  /** The live bytes of a file's lines at the end of each window. */
  lineLevels(file: string): Map<number, Float64Array> {
    const levels = new Map<number, Float64Array>(), count = this.windowCount;
    const levelsOf = (line: number): Float64Array => {
      let row = levels.get(line);
      if (!row) levels.set(line, (row = new Float64Array(count)));
      return row;
    };
    this.members.forEach((member, index) => {
      if (!member.windows) return;
      const parts = this.windows!.memberParts![index]!;
      for (const [line, own] of member.lineLevels(file)) {
        const row = levelsOf(line);
        own.forEach((bytes, window) => { if (parts[window] !== parts[window + 1]) row[parts[window]!]! += bytes; });
      }
    });
    if (this.members.length) return levels;
    const { kept: { use, birth, death, bytes } } = this.process.ranges!, { frames } = this.process;
    const lineOf = Int32Array.from({ length: this.nodeCount }, (_, i) => { const f = this.lineFrame[i]!; return f && this.file(f) === file ? frames.line[f]! : 0; });
    for (let i = 0; i < use.length; i++) {
      const line = lineOf[this.uses.node[use[i]!]!]!;
      if (!line) continue;
      const row = levelsOf(line);
      for (let w = Math.max(birth[i]!, 0); w < death[i]! && w < count; w++) row[w]! += bytes[i]!;
    }
    return levels;
  }

  /** What no stack owns is in a node of its own. */
  private nodeOfFunction(name: (text: string) => boolean): number {
    for (let i = this.firstChild[0]!; i < this.firstChild[1]!; i++) {
      const node = this.children[i]!;
      if (this.frame[node] && name(this.functionName(this.frame[node]!))) return node;
    }
    return 0;
  }
  private addSlack(weights: Float64Array, bytes: number): void { weights[this.nodeOfFunction((t) => t === "arena slack")]! += bytes; }
  private addSmallCopies(weights: Float64Array, amounts: number[], from: number, to: number): void {
    let sum = 0;
    for (let w = from; w <= to; w++) sum += amounts[w]!;
    if (sum) weights[this.nodeOfFunction((t) => t.startsWith("copies below "))]! += sum;
  }

  /** Of the lines that kept growing, and what they call. */
  onlyLeaks(weights: Float64Array): Float64Array {
    const grows = this.growing();
    for (let i = 0; i < this.nodeCount; i++) if (!grows[i]) weights[i] = 0;
    return weights;
  }

  private growing(): Uint8Array {
    if (this.growingNodes) return this.growingNodes;
    const grows = new Uint8Array(this.nodeCount);
    this.members.forEach((member, index) => grows.set(member.growing(), this.process.node_base![index]!));
    if (!this.members.length) for (let i = 1; i < this.nodeCount; i++) grows[i] = this.leakLines.has(this.frame[i]!) || grows[this.parent[i]!] ? 1 : 0;
    return (this.growingNodes = grows);
  }

  totals(weights: Float64Array): Float64Array {
    const totals = weights.slice();
    for (let i = this.nodeCount - 1; i > 0; i--) totals[this.parent[i]!]! += totals[i]!;
    return totals;
  }
}

export const formatCost = (view: { cost: Cost; unit: string }): ((value: number) => string) =>
  view.unit === "bytes" && view.cost.bytes ? formatBytes : formatCount;

/** What a name stands for that is nobody's line; "" for any other. */
export function explain(name: string): string {
  if (name === "arena slack") return "room that Python keeps for its next small objects";
  if (name === "unknown") return "nobody knows from where: its stack could not be recorded";
  if (name.startsWith("copies below ")) return "copies too small to be recorded one by one: only counted";
  return "";
}

export const isBytes = (measure: Measure): boolean => measure.endsWith("_bytes");
export const ALL_MEASURES = MEASURES;
