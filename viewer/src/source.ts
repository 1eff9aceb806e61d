// Annotated source files: what each line held, holds, churned and copied, beside its text.
import hljs from "highlight.js/lib/core";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import { h, segments, sparkline } from "./dom";
import { formatBytes, formatCount, formatExact } from "./format";
import type { Measure } from "./data";
import type { Model } from "./model";
import { tableRows, type Row } from "./rows";
import type { State } from "./state";

for (const [name, language] of Object.entries({ c, cpp, python, rust })) hljs.registerLanguage(name, language);

const LANGUAGES: Record<string, string> = { py: "python", pyi: "python", pyx: "python", c: "c", h: "cpp", cc: "cpp", cpp: "cpp", cxx: "cpp", hpp: "cpp", hh: "cpp", rs: "rust" };
const COLUMNS: [Measure, string, string][] = [
  ["peak_bytes", "peak", "live at the high-water mark"], ["live_bytes", "live", "live at the end"], ["allocated_bytes", "allocated", "ever allocated"],
  ["temporary_allocations", "temp.", "allocations freed at once"], ["copied_bytes", "copied", "copied"],
];

/** Coloured lines of HTML: what is open at a line's end is closed, and opened again on the next. */
function colored(text: string, file: string): string[] {
  const language = LANGUAGES[file.slice(file.lastIndexOf(".") + 1)];
  const html = language ? hljs.highlight(text, { language, ignoreIllegals: true }).value : text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const open: string[] = [];
  return html.split("\n").map((line) => {
    const before = open.join("");
    for (const [tag] of line.matchAll(/<span[^>]*>|<\/span>/g)) if (tag === "</span>") open.pop(); else open.push(tag);
    return before + line + "</span>".repeat(open.length);
  });
}

interface FileRow { file: string; place: string; total: number; own: boolean }

export class SourceView {
  readonly element = h("div", { class: "source-view" });
  private linesByWindow: { key: string; levels: Map<number, Float64Array> } | null = null;

  constructor(private readonly change: (part: Partial<State>) => void) {}

  private files(model: Model, rows: Row[]): FileRow[] {
    const known = new Map(model.process.sources.map((source) => [source.file, source]));
    const found = new Map<string, FileRow>();
    for (const row of rows) {
      if (!row.path || row.line <= 0) continue;
      let into = found.get(row.path);
      if (!into) found.set(row.path, (into = { file: row.path, place: row.place.slice(0, row.place.lastIndexOf(":")), total: 0, own: false }));
      into.total = Math.max(into.total, row.figures.peak_bytes + row.figures.allocated_bytes + row.figures.copied_bytes);
      into.own ||= row.origin === "user" || row.origin === "native";
    }
    return [...found.values()].filter((f) => known.has(f.file)).sort((a, b) => Number(b.own) - Number(a.own) || b.total - a.total);
  }

  show(model: Model, state: State): void {
    const rows = tableRows(model, "line", state.from, state.to, state.inclusive);
    const files = this.files(model, rows);
    const file = files.find((f) => f.file === state.file)?.file ?? files[0]?.file ?? "";
    const list = h("ul", { class: "files", "aria-label": "Files" });
    for (const entry of files.slice(0, 400))
      list.append(h("li", null, h("button", { type: "button", "aria-current": entry.file === file ? "true" : null, title: entry.file, class: entry.own ? "own" : null,
        click: () => this.change({ file: entry.file, line: 0 }) }, h("span", null, entry.place), h("span", { class: "dim" }, formatBytes(entry.total)))));
    const code = h("div", { class: "code", tabindex: 0, role: "region", "aria-label": `Source of ${file}` });
    const scroll = this.element.querySelector(".files")?.scrollTop ?? 0;
    this.element.replaceChildren(h("aside", null, h("h2", null, "Files"), list), h("div", { class: "code-side" },
      h("div", { class: "toolbar" }, h("strong", { class: "path" }, file || "no source"),
        state.from < 0 ? segments("Count", [["own", "the line itself"], ["all", "with all it calls"]], state.inclusive ? "all" : "own", (key) => this.change({ inclusive: key === "all" })) : null), code));
    list.scrollTop = scroll;
    this.fill(code, model, state, file, rows.filter((row) => row.path === file && row.line > 0));
  }

  private levels(model: Model, file: string): Map<number, Float64Array> | null {
    const ranges = model.process.ranges;
    if (!ranges) return null;
    const key = `${model.process.summary.pid} ${file}`;
    if (this.linesByWindow?.key === key) return this.linesByWindow.levels;
    const { frames } = model.process, count = model.windowCount;
    const lineOf = Int32Array.from({ length: model.nodeCount }, (_, i) => { const f = model.lineFrame[i]!; return f && model.file(f) === file ? frames.line[f]! : 0; });
    const levels = new Map<number, Float64Array>();
    const { use, birth, death, bytes } = ranges.kept;
    for (let i = 0; i < use.length; i++) {
      const line = lineOf[ranges.use.node[use[i]!]!]!;
      if (!line) continue;
      let row = levels.get(line);
      if (!row) levels.set(line, (row = new Float64Array(count)));
      for (let w = Math.max(birth[i]!, 0); w < death[i]! && w < count; w++) row[w]! += bytes[i]!;
    }
    this.linesByWindow = { key, levels };
    return levels;
  }

  private fill(code: HTMLElement, model: Model, state: State, file: string, rows: Row[]): void {
    const source = model.process.sources.find((s) => s.file === file);
    const byLine = new Map<number, Row[]>();
    for (const row of rows) byLine.set(row.line, [...(byLine.get(row.line) ?? []), row]);
    const sum = (line: number, m: Measure) => (byLine.get(line) ?? []).reduce((total, row) => total + row.figures[m], 0);
    const lines = source?.text !== undefined ? colored(source.text.replace(/\n$/, ""), file) : [...byLine.keys()].sort((a, b) => a - b);
    const highest = new Map(COLUMNS.map(([m]) => [m, Math.max(1, ...[...byLine.keys()].map((line) => sum(line, m)))]));
    const levels = this.levels(model, file);
    const body = h("tbody");
    lines.forEach((content, i) => {
      const number = typeof content === "number" ? content : i + 1;
      const line = h("tr", { id: `L${number}`, class: number === state.line ? "target" : byLine.has(number) ? "used" : null });
      for (const [m] of COLUMNS) {
        const value = sum(number, m);
        line.append(h("td", { class: "figure", title: value ? formatExact(value) : null, "data-value": value || null, "data-measure": value ? m : null, style: value ? `--share:${((100 * value) / highest.get(m)!).toFixed(1)}%` : null },
          value ? (m.endsWith("_bytes") ? formatBytes(value) : formatCount(value)) : ""));
      }
      const level = levels?.get(number);
      line.append(h("td", { class: "trend" }, level ? sparkline(level, 64, 16, `live bytes over time, at most ${formatBytes(Math.max(...level))}`) : null), h("td", { class: "line-number" }, number));
      const text = h("td", { class: "text" });
      if (typeof content === "number") text.append(byLine.get(number)!.map((row) => row.functionName).join(", "));
      else text.innerHTML = content || " ";
      line.append(text);
      body.append(line);
    });
    const notes: Node[] = [];
    if (source?.newer) notes.push(h("p", { class: "warning" }, "This file has changed since the program was recorded: figures may stand beside the wrong lines."));
    if (source?.absent) notes.push(h("p", { class: "note dim" }, `No text: ${source.absent}. The lines that have figures:`));
    code.replaceChildren(...notes, h("table", null, h("thead", null, h("tr", null, ...COLUMNS.map(([, title, hint]) => h("th", { scope: "col", title: hint }, title)),
      h("th", { scope: "col", title: "live bytes over the run" }, "over time"), h("th", { scope: "col" }, "line"), h("th", { scope: "col", class: "text" }, ""))), body));
    const top = [...byLine.keys()].sort((a, b) => sum(b, "peak_bytes") + sum(b, "allocated_bytes") / 10 - sum(a, "peak_bytes") - sum(a, "allocated_bytes") / 10)[0];
    const goal = state.line || top;
    if (goal) requestAnimationFrame(() => { const row = code.querySelector<HTMLElement>(`#L${goal}`); if (row) code.scrollTop = row.offsetTop - code.clientHeight / 3; });
  }
}
