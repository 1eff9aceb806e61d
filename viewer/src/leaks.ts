// Leak candidates with the curves of what they held.
import { h, svg } from "./dom";
import { formatBytes, formatExact, formatTime } from "./format";
import type { LeakCandidate } from "./data";
import type { Model } from "./model";

function curve(candidate: LeakCandidate, ends: number[], duration: number): SVGElement {
  const width = 300, height = 72, values = candidate.window_bytes;
  const highest = Math.max(1, ...values);
  const x = (t: number) => (t / Math.max(duration, 1)) * width, y = (v: number) => height - 3 - (v / highest) * (height - 8);
  let path = `M0 ${y(0).toFixed(1)}`;
  values.forEach((v, i) => { path += `L${x(ends[i]!).toFixed(1)} ${y(v).toFixed(1)}`; });
  const right = x(ends[values.length - 1] ?? 0).toFixed(1);
  return svg("svg", { class: "curve", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `live bytes over time: ${candidate.shape}, from ${formatBytes(values[0] ?? 0)} to ${formatBytes(values[values.length - 1] ?? 0)}` },
    candidate.since_ns !== null ? svg("line", { class: "onset", x1: x(candidate.since_ns), x2: x(candidate.since_ns), y1: 0, y2: height }) : null,
    svg("path", { class: "spark-fill", d: `${path}L${right} ${height}L0 ${height}Z` }), svg("path", { class: "spark-line", d: path }));
}

function card(model: Model, candidate: LeakCandidate, open: (path: string, line: number) => void): HTMLElement {
  const { process } = model, ends = process.leaks.window_end_ns;
  const name = candidate.file ? shorten(model, candidate.file) + (candidate.line ? `:${candidate.line}` : "") : candidate.function ?? "unknown";
  const grows = candidate.confidence >= 0.5;
  const frames = h("ol", { class: "frames" });
  for (const frame of candidate.frames.slice(0, 60))
    frames.append(h("li", null, h("code", null, frame.function ?? "?"), " ", h("span", { class: "dim" }, frame.file ? `${shorten(model, frame.file)}${frame.line ? `:${frame.line}` : ""}` : frame.module ? shorten(model, frame.module) : "")));
  return h("article", { class: `card leak${grows ? " grows" : ""}`, "data-place": `${candidate.file}:${candidate.line}` },
    h("div", { class: "leak-text" },
      h("h3", null, candidate.file && candidate.line ? h("button", { type: "button", class: "link", click: () => open(candidate.file!, candidate.line!) }, name) : name, " ", h("span", { class: "dim" }, candidate.file ? candidate.function ?? "" : "")),
      h("div", { class: "leak-figures" },
        h("span", { title: `${formatExact(candidate.live_bytes)} bytes`, "data-live": candidate.live_bytes }, h("b", null, formatBytes(candidate.live_bytes)), ` in ${formatExact(candidate.live_allocations)} ${candidate.live_allocations === 1 ? "block" : "blocks"}`),
        h("span", null, h("b", null, `${candidate.growth_bytes_per_second > 0 ? "+" : ""}${formatBytes(candidate.growth_bytes_per_second)}/s`)),
        h("span", { class: "confidence" }, `confidence ${candidate.confidence.toFixed(2)}`, h("i", { style: `--share:${Math.round(candidate.confidence * 100)}%` })),
        h("span", { class: grows ? "badge grows" : "badge" }, candidate.shape)),
      h("p", null, candidate.evidence),
      h("details", null, h("summary", null, `stack (${candidate.frames.length} frames${candidate.stacks > 1 ? `, the largest of ${formatExact(candidate.stacks)}` : ""})`), frames)),
    h("figure", null, curve(candidate, ends, process.summary.duration_ns), h("figcaption", { class: "dim" }, `up to ${formatBytes(Math.max(0, ...candidate.window_bytes))}`)));
}

export function shorten(model: Model, path: string): string {
  const index = model.process.strings.indexOf(path);
  return index > 0 ? model.short(index) : path.split("/").slice(-2).join("/");
}

export function showLeaks(element: HTMLElement, model: Model, open: (path: string, line: number) => void): void {
  const { leaks } = model.process;
  const growing = leaks.candidates.filter((c) => c.confidence >= 0.5), others = leaks.candidates.filter((c) => c.confidence < 0.5);
  const parts: (Node | null)[] = [
    h("p", { class: "lead" }, growing.length ? h("strong", null, `${growing.length} ${growing.length === 1 ? "line keeps" : "lines keep"} growing.`) : h("strong", null, "Nothing keeps growing."),
      ` Judged by what was live at ${formatTime(leaks.judged_ns)}${leaks.judged_ns < model.process.summary.duration_ns * 0.99 ? ", before the program began to free what it held" : ", the end of the run"}; the curves always show all of the run.`),
    ...growing.map((c) => card(model, c, open)),
  ];
  if (others.length) {
    const box = h("div");
    const details = h("details", { class: "others", open: !growing.length }, h("summary", null, `${others.length}${leaks.more ? ` of ${formatExact(others.length + leaks.more)}` : ""} lines that hold memory and don't keep growing`), box);
    const fill = () => { if (!box.firstChild) box.append(...others.map((c) => card(model, c, open))); };
    if (!growing.length) fill();
    details.addEventListener("toggle", fill);
    parts.push(details);
  }
  element.replaceChildren(...parts.filter((p): p is HTMLElement => p !== null));
}
