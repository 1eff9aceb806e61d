// Heap and resident set over time, the peak marked; dragging over it chooses a range of windows.
import uPlot from "uplot";
import { cssColor, h } from "./dom";
import { formatBytes, formatTime } from "./format";
import type { Model } from "./model";

const HEIGHT = 168;

export class TimelineView {
  readonly element: HTMLElement;
  private plot: uPlot | null = null;
  private model!: Model;
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

  show(model: Model, from: number, to: number): void {
    this.model = model;
    this.range = [from, to];
    this.plot?.destroy();
    const { timeline, summary } = model.process;
    const times = [0, ...timeline.time_ns.map((t) => t / 1e9)];
    const heap = [0, ...timeline.heap_peak_bytes], rss: (number | null)[] = [null, ...timeline.rss_bytes.map((b) => (b > 0 ? b : null))];
    const hasRss = rss.some((b) => b !== null);
    const heapColor = cssColor("--heap"), rssColor = cssColor("--rss"), text = cssColor("--dim"), grid = cssColor("--grid");
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 }, font: "11px system-ui, sans-serif" };
    this.box.setAttribute("aria-label", `Heap over ${formatTime(summary.duration_ns)}: highest ${formatBytes(summary.peak_bytes)} at ${formatTime(summary.peak_time_ns)}, ${formatBytes(summary.live_bytes_at_end)} at the end.`);
    this.plot = new uPlot({
      width: this.box.clientWidth || 900, height: HEIGHT, legend: { show: false }, padding: [14, 10, 0, 0],
      cursor: { drag: { x: model.hasRanges, y: false, setScale: false, dist: 4 }, points: { size: 6 }, y: false },
      scales: { x: { time: false, range: [0, Math.max(summary.duration_ns / 1e9, 1e-9)] }, y: { range: (_plot, _min, max) => [0, (max || 1) * 1.06] } },
      axes: [
        { ...axis, values: (_plot, ticks) => ticks.map((t) => formatAxisTime(t, ticks)), size: 26, space: 80 },
        { ...axis, values: (_plot, ticks) => ticks.map((b) => (b ? formatBytes(b) : "0")), size: 72, space: 34, splits: (_plot, _axis, _min, max) => binarySplits(max) },
      ],
      series: [{}, { stroke: heapColor, fill: cssColor("--heap-fill"), width: 1.5, points: { show: false }, paths: uPlot.paths.stepped!({ align: 1 }) },
        { stroke: rssColor, width: 1.5, dash: [5, 3], points: { show: false }, spanGaps: true, show: hasRss }],
      hooks: {
        draw: [(plot) => this.drawMarks(plot)],
        setSelect: [(plot) => this.selected(plot)],
        setCursor: [(plot) => this.showLegend(plot.cursor.idx ?? null, times, heap, rss)],
      },
    }, [times, heap, rss] as uPlot.AlignedData, this.box);
    this.showLegend(null, times, heap, rss);
    this.showChosen();
  }

  private showLegend(index: number | null, times: number[], heap: number[], rss: (number | null)[]): void {
    const { summary } = this.model.process;
    const at = index !== null && index > 0;
    const entry = (name: string, title: string, value: string) => h("span", { class: `key ${name}` }, h("i"), `${title} `, h("b", null, value));
    this.legend.replaceChildren(
      entry("heap", "heap", formatBytes(at ? heap[index]! : summary.peak_bytes)),
      entry("rss", "resident (RSS)", at ? (rss[index] ? formatBytes(rss[index]!) : "–") : summary.peak_rss_bytes > 0 ? formatBytes(summary.peak_rss_bytes) : "–"),
      h("span", { class: "dim" }, at ? `at ${formatTime(times[index]! * 1e9)}` : "at most"));
  }

  private drawMarks(plot: uPlot): void {
    const { context, ratio } = { context: plot.ctx, ratio: uPlot.pxRatio };
    const { summary } = this.model.process;
    const top = plot.bbox.top, bottom = top + plot.bbox.height;
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
    const x = plot.valToPos(summary.peak_time_ns / 1e9, "x", true), y = plot.valToPos(summary.peak_bytes, "y", true);
    context.strokeStyle = cssColor("--peak");
    context.setLineDash([3 * ratio, 3 * ratio]);
    context.lineWidth = ratio;
    context.beginPath(); context.moveTo(x, y); context.lineTo(x, bottom); context.stroke();
    context.setLineDash([]);
    context.fillStyle = cssColor("--peak");
    context.beginPath(); context.arc(x, y, 3.5 * ratio, 0, 7); context.fill();
    context.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    const label = `peak ${formatBytes(summary.peak_bytes)} at ${formatTime(summary.peak_time_ns)}`;
    const width = context.measureText(label).width, isRight = x + width + 8 * ratio > plot.bbox.left + plot.bbox.width;
    context.textAlign = isRight ? "right" : "left";
    context.lineWidth = 3 * ratio;
    context.strokeStyle = cssColor("--card");
    context.strokeText(label, x + (isRight ? -7 : 7) * ratio, y - 5 * ratio);
    context.fillText(label, x + (isRight ? -7 : 7) * ratio, y - 5 * ratio);
    context.restore();
  }

  private selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 3) return;
    const from = plot.posToVal(left, "x") * 1e9, to = plot.posToVal(left + width, "x") * 1e9;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    const ends = this.model.process.ranges!.window_end_ns;
    const find = (time: number) => { const i = ends.findIndex((end) => time < end); return i < 0 ? ends.length - 1 : i; };
    this.onRange(find(from), find(to));
  }

  private showChosen(): void {
    const { model, range: [from, to] } = this;
    if (!model.hasRanges) {
      this.chosen.replaceChildren(h("span", { class: "dim" }, "no ranges: the trace doesn't tell what happened when"));
      return;
    }
    const count = model.windowCount, width = formatTime(model.process.summary.duration_ns / count);
    if (from < 0) {
      this.chosen.replaceChildren(h("span", { class: "dim" }, `drag to choose a range (in steps of ${width})`),
        h("button", { type: "button", class: "small", click: () => this.onRange(0, count - 1) }, "choose by keyboard"));
      return;
    }
    const edge = (label: string, value: number, low: number, high: number, change: (v: number) => void) => h("label", { class: "edge" }, h("span", null, label),
      h("input", { type: "range", min: low, max: high, step: 1, value, "aria-valuetext": formatTime(label === "from" ? model.windowStart(value) : model.windowEnd(value)),
        change: (event: Event) => change(Number((event.target as HTMLInputElement).value)), "data-edge": label }));
    this.chosen.replaceChildren(
      h("strong", null, `${formatTime(model.windowStart(from))} – ${formatTime(model.windowEnd(to))}`), h("span", { class: "dim" }, `steps of ${width}`),
      edge("from", from, 0, count - 1, (v) => this.onRange(Math.min(v, to), to)), edge("to", to, 0, count - 1, (v) => this.onRange(from, Math.max(v, from))),
      h("button", { type: "button", class: "small", click: () => this.onRange(-1, -1) }, "all of the run"));
  }
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
