// Leak candidates with the curves of what they held.
import { h, svg } from "./dom";
import { formatBytes, formatDelta, formatExact, formatTime } from "./format";
import type { LeakCandidate, Run } from "./data";
import type { Model } from "./model";

/** A candidate, and whose it is; of a comparison, what became of the same line. */
interface Candidate { candidate: LeakCandidate; run: Run; old: LeakCandidate | null; baseline: Run | null; isOld: boolean }

function outline(values: number[], x: (window: number) => number, y: (bytes: number) => number): string {
  return values.reduce((path, bytes, i) => `${path}L${x(i).toFixed(1)} ${y(bytes).toFixed(1)}`, `M0 ${y(0).toFixed(1)}`);
}

function curve({ candidate, run, old, baseline }: Candidate): SVGElement {
  const width = 300, height = 72, values = candidate.window_bytes, ends = run.leaks.window_end_ns;
  const highest = Math.max(1, ...values, ...(old?.window_bytes ?? []));
  const duration = Math.max(1, run.summary.duration_ns, baseline?.summary.duration_ns ?? 0);
  const x = (t: number) => (t / duration) * width, y = (v: number) => height - 3 - (v / highest) * (height - 8);
  const path = outline(values, (i) => x(ends[i]!), y), right = x(ends[values.length - 1] ?? 0).toFixed(1);
  return svg("svg", { class: "curve", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `live bytes over time: ${candidate.shape}, from ${formatBytes(values[0] ?? 0)} to ${formatBytes(values[values.length - 1] ?? 0)}` },
    candidate.since_ns !== null ? svg("line", { class: "onset", x1: x(candidate.since_ns), x2: x(candidate.since_ns), y1: 0, y2: height }) : null,
    svg("path", { class: "spark-fill", d: `${path}L${right} ${height}L0 ${height}Z` }), svg("path", { class: "spark-line", d: path }),
    old ? svg("path", { class: "old-line", d: outline(old.window_bytes, (i) => x(baseline!.leaks.window_end_ns[i]!), y) }) : null);
}

const perSecond = (bytes: number): string => `${bytes > 0 ? "+" : ""}${formatBytes(bytes)}/s`;

function card(model: Model, entry: Candidate, open: (path: string, line: number) => void): HTMLElement {
  const { candidate, old, baseline, isOld } = entry, { file, line } = candidate;
  const name = file ? shorten(model, file) + (line ? `:${line}` : "") : candidate.function ?? "unknown";
  const grows = candidate.confidence >= 0.5 && !isOld;
  const frames = h("ol", { class: "frames" });
  for (const frame of candidate.frames.slice(0, 60))
    frames.append(h("li", null, h("code", null, frame.function ?? "?"), " ", h("span", { class: "dim" }, frame.file ? `${shorten(model, frame.file)}${frame.line ? `:${frame.line}` : ""}` : frame.module ? shorten(model, frame.module) : "")));
  const change = candidate.live_bytes - (old?.live_bytes ?? 0);
  return h("article", { class: `card leak${grows ? " grows" : ""}`, "data-place": `${file}:${line}` },
    h("div", { class: "leak-text" },
      h("h3", null, file && line && !isOld ? h("button", { type: "button", class: "link", click: () => open(file, line) }, name) : name, " ", h("span", { class: "dim" }, file ? candidate.function ?? "" : ""),
        candidate.owner ? h("span", { class: "dim" }, ` · pid ${candidate.owner.summary.pid}`) : null),
      h("div", { class: "leak-figures" },
        h("span", { title: `${formatExact(candidate.live_bytes)} bytes`, "data-live": candidate.live_bytes }, h("b", null, formatBytes(candidate.live_bytes)), ` in ${formatExact(candidate.live_allocations)} ${candidate.live_allocations === 1 ? "block" : "blocks"}`),
        h("span", null, h("b", null, perSecond(candidate.growth_bytes_per_second))),
        baseline && !isOld ? h("span", { class: change > 0 ? "grew" : change < 0 ? "shrank" : "dim", "data-delta": change }, old ? `${formatDelta(change, formatBytes)}: was ${formatBytes(old.live_bytes)}, ${perSecond(old.growth_bytes_per_second)}` : "new: the old trace has nothing here") : null,
        isOld ? h("span", { class: "dim" }, "in the old trace") : null,
        h("span", { class: "confidence" }, `confidence ${candidate.confidence.toFixed(2)}`, h("i", { style: `--share:${Math.round(candidate.confidence * 100)}%` })),
        h("span", { class: grows ? "badge grows" : "badge" }, candidate.shape)),
      h("p", null, candidate.evidence),
      h("details", null, h("summary", null, `stack (${candidate.frames.length} frames${candidate.stacks > 1 ? `, the largest of ${formatExact(candidate.stacks)}` : ""})`), frames)),
    h("figure", null, curve(entry), h("figcaption", { class: "dim" }, `up to ${formatBytes(Math.max(0, ...candidate.window_bytes))}${old ? "; dashed: the old trace" : ""}`)));
}

/** Several lines that are one leak stand together, in the place of the first of them. */
function together(model: Model, growing: Candidate[], open: (path: string, line: number) => void): HTMLElement[] {
  const leaks = new Map<string, Candidate[]>();
  growing.forEach((entry, i) => {
    const key = entry.candidate.leak === null ? `alone ${i}` : `${entry.run.summary.pid} ${entry.candidate.leak}`;
    leaks.set(key, [...(leaks.get(key) ?? []), entry]);
  });
  return [...leaks.values()].map((lines) => {
    if (lines.length === 1) return card(model, lines[0]!, open);
    const sum = (of: (candidate: LeakCandidate) => number) => lines.reduce((all, { candidate }) => all + of(candidate), 0);
    return h("section", { class: "leak-group", "data-leak": lines[0]!.candidate.leak },
      h("h2", null, `One leak of ${lines.length} lines: ${formatBytes(sum((c) => c.live_bytes))}, ${perSecond(sum((c) => c.growth_bytes_per_second))}`),
      ...lines.map((entry) => card(model, entry, open)));
  });
}

const placeOf = (file: string | null, line: number | null, functionName: string | null): string => `${file ?? ""}\0${line ?? 0}\0${functionName ?? ""}`;

/** The old trace's candidate of the same line, which an edit may have moved. */
function pairUp(model: Model): { news: Candidate[]; ended: Candidate[] } {
  const { process } = model, { baseline, lines } = process;
  const runOf = (candidate: LeakCandidate): Run => candidate.owner ?? process;
  if (!baseline) return { news: process.leaks.candidates.map((candidate) => ({ candidate, run: runOf(candidate), old: null, baseline: null, isOld: false })), ended: [] };
  const left = new Map(baseline.leaks.candidates.map((c) => [placeOf(c.file, c.line, c.function), c]));
  const was = new Map(lines.file.map((file, i) => [placeOf(model.text(file), lines.line[i]!, model.text(lines.function[i]!)), placeOf(model.text(lines.old_file![i]!), lines.old_line![i]!, model.text(lines.function[i]!))]));
  const news = process.leaks.candidates.map((candidate): Candidate => {
    const place = placeOf(candidate.file, candidate.line, candidate.function), before = was.get(place) ?? place, old = left.get(before) ?? null;
    left.delete(before);
    return { candidate, run: process, old, baseline, isOld: false };
  });
  return { news, ended: [...left.values()].filter((c) => c.confidence >= 0.5).map((candidate) => ({ candidate, run: baseline, old: null, baseline, isOld: true })) };
}

export function shorten(model: Model, path: string): string {
  const index = model.process.strings.indexOf(path);
  return index > 0 ? model.short(index) : path.split("/").slice(-2).join("/");
}

export function showLeaks(element: HTMLElement, model: Model, open: (path: string, line: number) => void): void {
  const { leaks, summary, members, baseline } = model.process, { news, ended } = pairUp(model);
  const growing = news.filter(({ candidate }) => candidate.confidence >= 0.5), others = news.filter(({ candidate }) => candidate.confidence < 0.5);
  const judged = members ? " The curves show all of each process's run."
    : ` Judged by what was live at ${formatTime(leaks.judged_ns)}${leaks.judged_ns < summary.duration_ns * 0.99 ? ", before the program began to free what it held" : ", the end of the run"}; the curves always show all of the run.`;
  const parts: HTMLElement[] = [
    h("h2", { class: "visually-hidden" }, "Leak candidates"),
    h("p", { class: "lead" }, growing.length ? h("strong", null, `${growing.length} ${growing.length === 1 ? "line keeps" : "lines keep"} growing.`) : h("strong", null, "Nothing keeps growing."),
      baseline ? ` In the old trace, ${formatExact(baseline.leaks.growing)} did.` : "", judged),
    ...together(model, growing, open),
  ];
  if (ended.length) parts.push(h("h2", { class: "lead" }, "Kept growing in the old trace, and no longer"), ...ended.map((entry) => card(model, entry, open)));
  if (others.length) {
    const box = h("div");
    const details = h("details", { class: "others", open: !growing.length }, h("summary", null, `${others.length}${leaks.more ? ` of ${formatExact(others.length + leaks.more)}` : ""} lines that hold memory and don't keep growing`), box);
    const fill = () => { if (!box.firstChild) box.append(...others.map((entry) => card(model, entry, open))); };
    if (!growing.length) fill();
    details.addEventListener("toggle", fill);
    parts.push(details);
  }
  element.replaceChildren(...parts);
}
