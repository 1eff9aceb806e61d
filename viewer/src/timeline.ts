// Heap and resident set over time, the peak marked; dragging over it chooses a range of windows. Of a comparison, both traces' from their beginnings.
import uPlot from "uplot";
import { announce, cssColor, h } from "./dom";
import { formatBytes, formatTime } from "./format";
import type { Run } from "./data";
import type { Model, Windows } from "./model";

const HEIGHT = 168;

/** A trace that is drawn: the one, or both of a comparison. */
interface Shown { name: string; run: Run; highest: { bytes: number; time_ns: number }; color: string; moments: [string, number][] }

export class TimelineView {
  readonly element: HTMLElement;
  private plot: uPlot | null = null;
  private model!: Model;
  private runs: Shown[] = [];
  private range: [number, number] = [-1, -1];
  private readonly box: HTMLElement;
  private readonly legend: HTMLElement;
  private readonly chosen: HTMLElement;

  constructor(private readonly onRange: (from: number, to: number) => void) {
    this.box = h("div", { class: "timeline-plot", role: "img" });
    this.legend = h("div", { class: "timeline-legend", "aria-hidden": "true" });
    this.chosen = h("div", { class: "range" });
    this.element = h("section", { class: "card timeline", "aria-label": "Timeline" }, h("div", { class: "timeline-head" }, this.legend, this.chosen), this.box);
    new ResizeObserver(() => { if (this.plot && this.box.clientWidth) this.plot.setSize({ width: this.box.clientWidth, height: HEIGHT }); }).observe(this.box);
  }

  /** What is drawn has other colours now. */
  recolor(): void { this.plot?.destroy(); this.plot = null; }

  show(model: Model, from: number, to: number): void {
    this.range = [from, to];
    if (this.plot && this.model === model) {
      this.plot.redraw(false);
      this.showChosen();
      return;
    }
    this.model = model;
    this.plot?.destroy();
    const { baseline, moment_ns } = model.process;
    const isOne = baseline?.summary.pid === model.process.summary.pid && baseline.summary.start_realtime_ns === model.process.summary.start_realtime_ns;
    this.runs = [{ name: baseline && !isOne ? "new" : "", run: model.process, highest: model.highest, color: "--peak", moments: [[baseline ? "new" : "", moment_ns ?? -1]] }];
    if (isOne) this.runs[0]!.moments.push(["old", baseline.moment_ns!]);
    else if (baseline) this.runs.push({ name: "old", run: baseline, highest: { bytes: baseline.summary.peak_bytes, time_ns: baseline.summary.peak_time_ns }, color: "--old", moments: [["old", baseline.moment_ns!]] });
    const lines = this.runs.map(({ run: { timeline } }) => ({
      times: [0, ...timeline.time_ns.map((t) => t / 1e9)], heap: [0, ...timeline.heap_peak_bytes], rss: [null, ...timeline.rss_bytes.map((b) => (b > 0 ? b : null))] as (number | null)[],
    }));
    const [times, heaps, sizes] = joined(lines);
    const longest = Math.max(...this.runs.map(({ run }) => run.summary.duration_ns)), hasRss = sizes.some((rss) => rss.some((b) => b !== null));
    const heapColor = cssColor("--heap"), rssColor = cssColor("--rss"), oldColor = cssColor("--old"), text = cssColor("--dim"), grid = cssColor("--grid");
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 }, font: "11px system-ui, sans-serif" };
    this.box.setAttribute("aria-label", this.runs.map(({ name, run, highest }) => `Heap ${name} over ${formatTime(run.summary.duration_ns)}: highest ${formatBytes(highest.bytes)} at ${formatTime(highest.time_ns)}, ${formatBytes(run.summary.live_bytes_at_end)} at the end.`).join(" "));
    this.plot = new uPlot({
      width: this.box.clientWidth || 900, height: HEIGHT, legend: { show: false }, padding: [14, 10, 0, 0],
      cursor: { drag: { x: model.hasRanges, y: false, setScale: false, dist: 4 }, points: { size: 6 }, y: false },
      scales: { x: { time: false, range: [0, Math.max(longest / 1e9, 1e-9)] }, y: { range: (_plot, _min, max) => [0, (max || 1) * 1.06] } },
      axes: [
        { ...axis, values: (_plot, ticks) => ticks.map((t) => formatAxisTime(t, ticks)), size: 26, space: 80 },
        { ...axis, values: (_plot, ticks) => ticks.map((b) => (b ? formatBytes(b) : "0")), size: 72, space: 34, splits: (_plot, _axis, _min, max) => binarySplits(max) },
      ],
      series: [{}, ...this.runs.map((_, i): uPlot.Series => ({ stroke: i ? oldColor : heapColor, ...(i ? {} : { fill: cssColor("--heap-fill") }), width: 1.5, points: { show: false }, spanGaps: true, paths: uPlot.paths.stepped!({ align: 1 }) })),
        ...this.runs.map((_, i): uPlot.Series => ({ stroke: i ? oldColor : rssColor, width: i ? 1 : 1.5, dash: i ? [2, 3] : [5, 3], points: { show: false }, spanGaps: true, show: hasRss }))],
      hooks: {
        draw: [(plot) => this.drawMarks(plot)],
        setSelect: [(plot) => this.selected(plot)],
        setCursor: [(plot) => this.showLegend(plot.cursor.idx ?? null, times, heaps, sizes)],
      },
    }, [times, ...heaps, ...sizes] as uPlot.AlignedData, this.box);
    this.showLegend(null, times, heaps, sizes);
    this.showChosen();
  }

  private showLegend(index: number | null, times: number[], heaps: (number | null)[][], sizes: (number | null)[][]): void {
    const at = index !== null && index > 0;
    const entry = (name: string, title: string, value: string) => h("span", { class: `key ${name}` }, h("i"), `${title} `, h("b", null, value));
    const level = (line: (number | null)[]) => { let i = index!; while (i > 0 && line[i] == null) i--; return line[i] ? formatBytes(line[i]!) : "–"; };
    const of = (name: string, title: string) => (name ? `${title}, ${name}` : title);
    this.legend.replaceChildren(
      ...this.runs.flatMap(({ name, run, highest }, i) => [
        entry(i ? "old" : "heap", of(name, "heap"), at ? level(heaps[i]!) : formatBytes(highest.bytes)),
        entry(i ? "old-rss" : "rss", of(name, "resident (RSS)"), at ? level(sizes[i]!) : run.summary.peak_rss_bytes > 0 ? formatBytes(run.summary.peak_rss_bytes) : "–")]),
      h("span", { class: "dim" }, at ? `at ${formatTime(times[index]! * 1e9)}` : "at most"));
  }

  private drawMarks(plot: uPlot): void {
    const { context, ratio } = { context: plot.ctx, ratio: uPlot.pxRatio };
    const { top } = plot.bbox;
    context.save();
    if (this.range[0] >= 0) {
      const left = plot.valToPos(this.model.windowStart(this.range[0]) / 1e9, "x", true), right = plot.valToPos(this.model.windowEnd(this.range[1]) / 1e9, "x", true);
      context.fillStyle = cssColor("--veil");
      context.fillRect(plot.bbox.left, top, left - plot.bbox.left, plot.bbox.height);
      context.fillRect(right, top, plot.bbox.left + plot.bbox.width - right, plot.bbox.height);
      context.fillStyle = cssColor("--accent");
      context.fillRect(left - ratio, top, 2 * ratio, plot.bbox.height);
      context.fillRect(right - ratio, top, 2 * ratio, plot.bbox.height);
    }
    if (this.model.isPartial && !this.model.members.length) this.drawListed(plot, this.model.windows!);
    for (const run of this.runs) this.drawPeak(plot, run);
    context.restore();
  }

  /** Outside of what a trace lists, nothing can be chosen: a bar along the axis says where. */
  private drawListed(plot: uPlot, { start, ends }: Windows): void {
    const { ctx: context, bbox } = plot, height = 5 * uPlot.pxRatio, bottom = bbox.top + bbox.height;
    const left = plot.valToPos(start / 1e9, "x", true), right = plot.valToPos(ends[ends.length - 1]! / 1e9, "x", true);
    context.fillStyle = cssColor("--dim");
    context.fillRect(bbox.left, bottom - height, left - bbox.left, height);
    context.fillRect(right, bottom - height, bbox.left + bbox.width - right, height);
  }

  private drawPeak(plot: uPlot, { name, highest, color, moments }: Shown): void {
    const { ctx: context } = plot, ratio = uPlot.pxRatio, bottom = plot.bbox.top + plot.bbox.height;
    const x = plot.valToPos(highest.time_ns / 1e9, "x", true), y = plot.valToPos(highest.bytes, "y", true);
    context.strokeStyle = context.fillStyle = cssColor(color);
    context.setLineDash([3 * ratio, 3 * ratio]);
    context.lineWidth = ratio;
    context.beginPath(); context.moveTo(x, y); context.lineTo(x, bottom); context.stroke();
    context.setLineDash([]);
    context.beginPath(); context.arc(x, y, 3.5 * ratio, 0, 7); context.fill();
    context.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    const write = (label: string, at: number, height: number) => {
      const isRight = at + context.measureText(label).width + 8 * ratio > plot.bbox.left + plot.bbox.width;
      context.textAlign = isRight ? "right" : "left";
      context.lineWidth = 3 * ratio;
      context.strokeStyle = cssColor("--card");
      context.strokeText(label, at + (isRight ? -7 : 7) * ratio, height);
      context.fillText(label, at + (isRight ? -7 : 7) * ratio, height);
    };
    write(`${name ? `${name}: ` : ""}peak ${formatBytes(highest.bytes)} at ${formatTime(highest.time_ns)}`, x, y - 5 * ratio);
    for (const [which, moment_ns] of moments.filter(([, at]) => at >= 0)) {
      const moment = plot.valToPos(moment_ns / 1e9, "x", true);
      context.fillStyle = cssColor(which === "old" ? "--old" : "--peak");
      context.fillRect(moment - ratio, plot.bbox.top, 2 * ratio, plot.bbox.height);
      write(`${which}: compared here`, moment, plot.bbox.top + (which === "old" ? 24 : 12) * ratio);
    }
  }

  private selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 3) return;
    const from = plot.posToVal(left, "x") * 1e9, to = plot.posToVal(left + width, "x") * 1e9;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    const { start, ends } = this.model.windows!;
    if (to < start || from > ends[ends.length - 1]!) announce(`Events are listed ${this.model.listedText} only.`);
    else this.onRange(this.model.windowAt(from), this.model.windowAt(to));
  }

  private showChosen(): void {
    const { model, range: [from, to] } = this;
    if (!model.hasRanges) {
      this.chosen.replaceChildren(h("span", { class: "dim", title: model.whyNoRanges }, `no ranges: ${model.whyNoRanges.split(/[:;]/)[0]}`));
      return;
    }
    const count = model.windowCount, width = stepText(model), estimates = model.process.summary.sampling_interval_bytes ? ", estimates" : "";
    if (from < 0) {
      this.chosen.replaceChildren(h("span", { class: "dim" }, `drag to choose a range (in steps of ${width}${estimates}${model.listedText && `, ${model.listedText}`})`),
        h("button", { type: "button", class: "small", click: () => this.onRange(0, count - 1) }, "choose by keyboard"));
      return;
    }
    const edge = (label: string, value: number, low: number, high: number, change: (v: number) => void) => h("label", { class: "edge" }, h("span", null, label),
      h("input", { type: "range", min: low, max: high, step: 1, value, "aria-valuetext": formatTime(label === "from" ? model.windowStart(value) : model.windowEnd(value)),
        change: (event: Event) => change(Number((event.target as HTMLInputElement).value)), "data-edge": label }));
    this.chosen.replaceChildren(
      h("strong", null, `${formatTime(model.windowStart(from))} – ${formatTime(model.windowEnd(to))}`), h("span", { class: "dim" }, `steps of ${width}${estimates}`),
      edge("from", from, 0, count - 1, (v) => this.onRange(Math.min(v, to), to)), edge("to", to, 0, count - 1, (v) => this.onRange(from, Math.max(v, from))),
      h("button", { type: "button", class: "small", click: () => this.onRange(-1, -1) }, "all of the run"));
  }
}

/** How wide windows are. */
export function stepText(model: Model): string {
  const widths = Array.from({ length: model.windowCount }, (_, w) => model.windowEnd(w) - model.windowStart(w)), widest = Math.max(...widths);
  return `${widest > 1.01 * Math.min(...widths) ? "at most " : ""}${formatTime(widest)}`;
}

/** One list of times for the lines of all traces; a line has nothing at a time of another's. */
function joined(lines: { times: number[]; heap: number[]; rss: (number | null)[] }[]): [number[], (number | null)[][], (number | null)[][]] {
  if (lines.length === 1) return [lines[0]!.times, [lines[0]!.heap], [lines[0]!.rss]];
  const times = [...new Set(lines.flatMap((line) => line.times))].sort((a, b) => a - b), places = new Map(times.map((time, i) => [time, i]));
  const spread = (of: number[], values: (number | null)[]) => {
    const row = new Array<number | null>(times.length).fill(null);
    of.forEach((time, i) => { row[places.get(time)!] = values[i]!; });
    return row;
  };
  return [times, lines.map((line) => spread(line.times, line.heap)), lines.map((line) => spread(line.times, line.rss))];
}

function formatAxisTime(seconds: number, ticks: number[]): string {
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : seconds;
  if (seconds === 0) return "0";
  if (step < 1e-3) return `${+(seconds * 1e6).toFixed(1)} µs`;
  if (step < 0.5) return `${+(seconds * 1e3).toFixed(1)} ms`;
  if (seconds >= 3600) return `${+(seconds / 3600).toFixed(2)} h`;
  if (seconds >= 120) return `${+(seconds / 60).toFixed(1)} min`;
  return `${+seconds.toFixed(1)} s`;
}

/** Ticks at round binary amounts. */
function binarySplits(max: number): number[] {
  let step = 1;
  while (max / step > 5) step *= 2;
  const splits: number[] = [];
  for (let at = 0; at <= max; at += step) splits.push(at);
  return splits;
}
