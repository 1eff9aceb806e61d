// One process's data, ready to compute with: arrays by node and by frame, weights for a cost and a range of time.
import { MEASURES, type Measure, type Process } from "./data";
import { formatBytes, formatCount } from "./format";

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
  private readonly leakLines: Set<number>;

  constructor(readonly process: Process) {
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
    this.lineKey = this.keys((f) => `${frames.kind[f]} ${frames.file[f] || frames.module[f]} ${frames.line[f]} ${frames.function[f]}`);
    this.leakLines = new Set();
    const grows = new Set(process.leaks.candidates.filter((c) => c.confidence >= 0.5).map((c) => `${c.file} ${c.line ?? 0} ${c.function}`));
    for (let f = 1; f < this.frameCount; f++)
      if (grows.has(`${this.path(f)} ${frames.line[f]} ${this.functionName(f)}`)) this.leakLines.add(f);
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
    const { file, module, line } = this.process.frames;
    if (!file[frame] && !module[frame]) return "";
    const name = this.short(file[frame]! || module[frame]!);
    return withLine && file[frame] && line[frame]! > 0 ? `${name}:${line[frame]}` : name;
  }

  label(frame: number, withLine = true): string {
    if (!frame) return "";
    const place = this.place(frame, withLine);
    return place ? `${this.functionName(frame)}  ${place}` : this.functionName(frame);
  }

  /** Of each node itself, not of what it calls. */
  measure(measure: Measure): Float64Array { return Float64Array.from(this.process.nodes[measure]); }

  get hasRanges(): boolean { return !!this.process.ranges; }
  get windowCount(): number { return this.process.ranges?.window_end_ns.length ?? 0; }
  windowStart(window: number): number { return window > 0 ? this.process.ranges!.window_end_ns[window - 1]! : 0; }
  windowEnd(window: number): number { return this.process.ranges!.window_end_ns[window]!; }

  /** The window of a range in which its heap was highest. */
  peakWindow(from: number, to: number): number {
    const peaks = this.process.ranges!.peak_bytes;
    let best = from;
    for (let w = from; w <= to; w++) if (peaks[w]! > peaks[best]!) best = w;
    return best;
  }

  weights(view: View, thread = -1): Float64Array {
    const measure = view.unit === "bytes" && view.cost.bytes ? view.cost.bytes : view.cost.count;
    if (view.cost.leaks) return this.leakWeights(view, thread);
    if (view.from < 0 && thread < 0 && !view.cost.ranged) return this.measure(measure);
    if (!this.hasRanges) return this.measure(measure);
    const from = view.from < 0 ? 0 : view.from, to = view.from < 0 ? this.windowCount - 1 : view.to;
    return this.rangeWeights(view.cost.key, measure, from, to, thread);
  }

  private rangeWeights(cost: string, measure: Measure, from: number, to: number, thread: number): Float64Array {
    const ranges = this.process.ranges!;
    const weights = new Float64Array(this.nodeCount);
    const { node, thread: threads } = ranges.use;
    const add = (use: number, amount: number) => { if (thread < 0 || threads[use] === thread) weights[node[use]!]! += amount; };
    const asBytes = measure.endsWith("_bytes");
    if (cost === "allocated" || cost === "temporary" || cost === "copied") {
      const amounts = ranges.flow[measure as keyof typeof ranges.flow];
      for (let i = 0; i < amounts.length; i++) {
        const window = ranges.flow.window[i]!;
        if (window >= from && window <= to && amounts[i]) add(ranges.flow.use[i]!, amounts[i]!);
      }
      if (cost === "copied" && thread < 0) this.addSmallCopies(weights, asBytes ? ranges.small_copied_bytes : ranges.small_copies, from, to);
      return weights;
    }
    const amounts = asBytes ? ranges.kept.bytes : ranges.kept.count;
    const { use, birth, death } = ranges.kept;
    const at = cost === "kept" ? to : cost === "live" ? to : this.peakWindow(from, to);
    for (let i = 0; i < use.length; i++) {
      if (birth[i]! > at || death[i]! <= at || (cost === "kept" && birth[i]! < from)) continue;
      add(use[i]!, amounts[i]!);
    }
    if (cost === "peak") {
      const more = asBytes ? ranges.peak.bytes : ranges.peak.count;
      for (let i = 0; i < more.length; i++) if (ranges.peak.window[i] === at) add(ranges.peak.use[i]!, more[i]!);
    }
    if (thread < 0 && asBytes && cost !== "kept") this.addSlack(weights, cost === "peak" ? ranges.peak_slack_bytes[at]! : ranges.end_slack_bytes[at]!);
    return weights;
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

  private leakWeights(view: View, thread: number): Float64Array {
    const measure = view.unit === "bytes" ? "live_bytes" : "live_allocations";
    let weights: Float64Array;
    if (this.hasRanges) {
      const judged = this.process.ranges!.window_end_ns.findIndex((end) => end >= this.process.leaks.judged_ns - 1000);
      const at = view.from < 0 ? (judged < 0 ? this.windowCount - 1 : judged) : view.to;
      weights = this.rangeWeights("live", measure, 0, at, thread);
    } else weights = this.measure(measure);
    const grows = new Uint8Array(this.nodeCount);
    for (let i = 1; i < this.nodeCount; i++) {
      grows[i] = this.leakLines.has(this.frame[i]!) || grows[this.parent[i]!] ? 1 : 0;
      if (!grows[i]) weights[i] = 0;
    }
    weights[0] = 0;
    return weights;
  }

  totals(weights: Float64Array): Float64Array {
    const totals = weights.slice();
    for (let i = this.nodeCount - 1; i > 0; i--) totals[this.parent[i]!]! += totals[i]!;
    return totals;
  }
}

export const formatCost = (view: { cost: Cost; unit: string }): ((value: number) => string) =>
  view.unit === "bytes" && view.cost.bytes ? formatBytes : formatCount;

export const isBytes = (measure: Measure): boolean => measure.endsWith("_bytes");
export const ALL_MEASURES = MEASURES;
