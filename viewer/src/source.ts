// Annotated source files: what each line held, holds, churned and copied, beside its text.
import hljs from "highlight.js/lib/core";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import { h, segments, sparkline } from "./dom";
import { formatBytes, formatCount, formatDelta, formatExact } from "./format";
import type { Measure } from "./data";
import { COSTS, isBytes, type Model } from "./model";
import { tableRows, type Row } from "./rows";
import type { State } from "./state";

for (const [name, language] of Object.entries({ c, cpp, python, rust })) hljs.registerLanguage(name, language);

const LANGUAGES: Record<string, string> = { py: "python", pyi: "python", pyx: "python", c: "c", h: "cpp", cc: "cpp", cpp: "cpp", cxx: "cpp", hpp: "cpp", hh: "cpp", rs: "rust" };
interface Column { key: string; title: string; hint: string; bytes: boolean; value: (row: Row) => number; isChange?: boolean }
const measured = (measure: Measure, title: string, hint: string): Column => ({ key: measure, title, hint, bytes: isBytes(measure), value: (row) => row.figures[measure] });
const COLUMNS: Column[] = [
  measured("peak_bytes", "peak", "live at the high-water mark"), measured("live_bytes", "live", "live at the end"), measured("allocated_bytes", "allocated", "ever allocated"),
  measured("temporary_allocations", "temp.", "allocations freed at once"), measured("copied_bytes", "copied", "copied"),
];

function columnsOf(model: Model, state: State): Column[] {
  if (!model.isDiff) return COLUMNS;
  const cost = COSTS.find((c) => c.key === state.cost)!, measure = state.unit === "bytes" && cost.bytes ? cost.bytes : cost.count, bytes = isBytes(measure);
  return [{ key: "change", title: "change", hint: "new less old", bytes, isChange: true, value: (row) => row.figures[measure] - row.old![measure] },
    { key: "old", title: "old", hint: "in the old trace", bytes, value: (row) => row.old![measure] }, { key: "new", title: "new", hint: "in the new trace", bytes, value: (row) => row.figures[measure] }];
}

const CHUNK = 120, SLICE = 50, SLICE_MS = 12; // lines that are there at once, around the one that is looked for; the others follow in slices

const coloredFiles = new Map<string, { text: string; lines: string[] }>();
function coloredLines(text: string, file: string): string[] {
  const known = coloredFiles.get(file);
  if (known?.text === text) return known.lines;
  const lines = colored(text, file);
  coloredFiles.set(file, { text, lines });
  return lines;
}

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

  private files(model: Model, rows: Row[], change: Column | null): FileRow[] {
    const known = new Map(model.process.sources.map((source) => [source.file, source]));
    const found = new Map<string, FileRow>();
    for (const row of rows) {
      if (!row.path || row.line <= 0 || row.gone) continue;
      let into = found.get(row.path);
      if (!into) found.set(row.path, (into = { file: row.path, place: row.place.slice(0, row.place.lastIndexOf(":")), total: 0, own: false }));
      into.total = change ? into.total + Math.abs(change.value(row)) : Math.max(into.total, row.figures.peak_bytes + row.figures.allocated_bytes + row.figures.copied_bytes);
      into.own ||= row.origin === "user" || row.origin === "native";
    }
    return [...found.values()].filter((f) => known.has(f.file)).sort((a, b) => Number(b.own) - Number(a.own) || b.total - a.total);
  }

  show(model: Model, state: State): void {
    const rows = tableRows(model, "line", state.from, state.to, state.inclusive);
    const files = this.files(model, rows, model.isDiff ? columnsOf(model, state)[0]! : null);
    const file = files.find((f) => f.file === state.file)?.file ?? files[0]?.file ?? "";
    const list = h("ul", { class: "files", "aria-label": "Files" });
    for (const entry of files.slice(0, 400))
      list.append(h("li", null, h("button", { type: "button", "aria-current": entry.file === file ? "true" : null, title: entry.file, class: entry.own ? "own" : null,
        click: () => this.change({ file: entry.file, line: 0 }) }, h("span", null, entry.place), h("span", { class: "dim" }, !entry.total && model.isDiff ? "" : formatBytes(entry.total)))));
    const code = h("div", { class: "code", tabindex: 0, role: "region", "aria-label": `Source of ${file}` });
    const scroll = this.element.querySelector(".files")?.scrollTop ?? 0;
    this.element.replaceChildren(h("aside", null, h("h2", null, "Files"), list), h("div", { class: "code-side" },
      h("div", { class: "toolbar" }, h("strong", { class: "path" }, file || "no source"),
        model.isDiff ? segments("Measure", model.costs.filter((c) => !c.leaks).map((c) => [c.key, c.title]), state.cost, (cost) => this.change({ cost })) : null,
        state.from < 0 && model.process.lines_inclusive ? segments("Count", [["own", "the line itself"], ["all", "with all it calls"]], state.inclusive ? "all" : "own", (key) => this.change({ inclusive: key === "all" })) : null), code));
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
    const source = model.process.sources.find((s) => s.file === file), columns = columnsOf(model, state);
    const byLine = new Map<number, Row[]>();
    for (const row of rows) if (!row.gone) byLine.set(row.line, [...(byLine.get(row.line) ?? []), row]);
    const sum = (line: number, { value }: Column) => (byLine.get(line) ?? []).reduce((total, row) => total + value(row), 0);
    const lines = source?.text !== undefined ? coloredLines(source.text.replace(/\n$/, ""), file) : [...byLine.keys()].sort((a, b) => a - b);
    const highest = new Map(columns.map((c) => [c.key, Math.max(1, ...[...byLine.keys()].map((line) => Math.abs(sum(line, c))))]));
    const levels = this.levels(model, file);
    const makeLine = (content: string | number, i: number): HTMLElement => {
      const number = typeof content === "number" ? content : i + 1;
      const line = h("tr", { id: `L${number}`, class: number === state.line ? "target" : byLine.has(number) ? "used" : null });
      for (const column of columns) {
        const { key, bytes, isChange } = column, value = byLine.has(number) ? sum(number, column) : 0, format = bytes ? formatBytes : formatCount;
        line.append(h("td", { class: `figure${isChange && value ? (value > 0 ? " grew" : " shrank") : ""}`, title: value ? formatExact(value) : null, "data-value": value || null, "data-measure": value ? key : null, style: value ? `--share:${((100 * Math.abs(value)) / highest.get(key)!).toFixed(1)}%` : null },
          value ? (isChange ? formatDelta(value, format) : format(value)) : ""));
      }
      const level = levels?.get(number);
      if (levels) line.append(h("td", { class: "trend" }, level ? sparkline(level, 64, 16, `live bytes over time, at most ${formatBytes(Math.max(...level))}`) : null));
      const text = h("td", { class: "text" });
      if (typeof content === "number") text.append(byLine.get(number)!.map((row) => row.functionName).join(", "));
      else text.innerHTML = content || " ";
      line.append(h("td", { class: "line-number" }, number), text);
      return line;
    };
    const weight = columns[0]!, also = columns.find((c) => c.key === "allocated_bytes");
    const rank = (line: number) => Math.abs(sum(line, weight)) + (also ? sum(line, also) / 10 : 0);
    const ranks = new Map([...byLine.keys()].map((line) => [line, rank(line)]));
    const goal = state.line || [...ranks].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [0, 0])[0];
    const notes: Node[] = [];
    if (source?.newer) notes.push(h("p", { class: "warning" }, "This file has changed since the program was recorded: figures may stand beside the wrong lines."));
    if (source?.absent) notes.push(h("p", { class: "note dim" }, `No text: ${source.absent}. The lines that have figures:`));
    const body = h("tbody"), gone = rows.filter((row) => row.gone);
    code.replaceChildren(...notes, h("table", null, h("thead", null, h("tr", null, ...columns.map(({ title, hint }) => h("th", { scope: "col", title: hint }, title)),
      levels ? h("th", { scope: "col", title: "live bytes over the run" }, "over time") : null, h("th", { scope: "col" }, "line"), h("th", { scope: "col", class: "text" }, ""))), body));
    if (gone.length) code.append(h("p", { class: "note dim" }, `Only in the old source: ${gone.map((row) => `line ${row.line} ${row.functionName} (${formatDelta(weight.value(row), weight.bytes ? formatBytes : formatCount)})`).join(", ")}.`));
    this.fillLines(body, lines as (string | number)[], makeLine, Math.max(0, (typeof lines[0] === "number" ? (lines as number[]).indexOf(goal) : goal - 1)));
    const row = goal ? body.querySelector<HTMLElement>(`#L${goal}`) : null;
    if (row) requestAnimationFrame(() => { code.scrollTop = row.offsetTop - code.clientHeight / 3; });
  }

  /** The lines around `goal` at once, so that a click is answered; the rest when there is time, before anybody scrolls that far. The browser
   *  keeps what is seen where it is (scroll anchoring). */
  private fillLines(body: HTMLElement, lines: (string | number)[], makeLine: (content: string | number, i: number) => HTMLElement, goal: number): void {
    let from = Math.max(0, goal - CHUNK / 2), to = Math.min(lines.length, from + CHUNK);
    body.append(...lines.slice(from, to).map((content, i) => makeLine(content, from + i)));
    const step = () => {
      if (!body.isConnected) return;
      const until = performance.now() + SLICE_MS;
      while (performance.now() < until && (from > 0 || to < lines.length)) {
        const next = Math.min(lines.length, to + SLICE), previous = Math.max(0, from - SLICE);
        body.append(...lines.slice(to, next).map((content, i) => makeLine(content, to + i)));
        body.prepend(...lines.slice(previous, from).map((content, i) => makeLine(content, previous + i)));
        [from, to] = [previous, next];
      }
      if (from > 0 || to < lines.length) setTimeout(step);
      else this.element.dataset.complete = "yes";
    };
    delete this.element.dataset.complete;
    setTimeout(step, 100);
  }
}
