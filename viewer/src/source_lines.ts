// A source file as rows of a table: figures, a curve, the number and the coloured text of each line. For the Source view and the pane below
// the flame graph.
import hljs from "highlight.js/lib/core";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import { h, sparkline } from "./dom";
import { formatBytes, formatCount, formatDelta, formatExact } from "./format";
import type { Measure, SourceFile } from "./data";
import { COSTS, isBytes, type Model } from "./model";
import type { Row } from "./rows";
import type { State } from "./state";

for (const [name, language] of Object.entries({ c, cpp, python, rust })) hljs.registerLanguage(name, language);

const LANGUAGES: Record<string, string> = { py: "python", pyi: "python", pyx: "python", c: "c", h: "cpp", cc: "cpp", cpp: "cpp", cxx: "cpp", hpp: "cpp", hh: "cpp", rs: "rust" };
export interface Column { key: string; title: string; hint: string; bytes: boolean; value: (row: Row) => number; isChange?: boolean }
const measured = (measure: Measure, title: string, hint: string): Column => ({ key: measure, title, hint, bytes: isBytes(measure), value: (row) => row.figures[measure] });
const COLUMNS: Column[] = [
  measured("peak_bytes", "peak", "live at the high-water mark"), measured("live_bytes", "live", "live at the end"), measured("allocated_bytes", "allocated", "ever allocated"),
  measured("temporary_allocations", "temp.", "allocations freed at once"), measured("copied_bytes", "copied", "copied"),
];

export function columnsOf(model: Model, state: State): Column[] {
  if (!model.isDiff) return COLUMNS;
  const cost = COSTS.find((c) => c.key === state.cost)!, measure = state.unit === "bytes" && cost.bytes ? cost.bytes : cost.count, bytes = isBytes(measure);
  return [{ key: "change", title: "change", hint: "new less old", bytes, isChange: true, value: (row) => row.figures[measure] - row.old![measure] },
    { key: "old", title: "old", hint: "in the old trace", bytes, value: (row) => row.old![measure] }, { key: "new", title: "new", hint: "in the new trace", bytes, value: (row) => row.figures[measure] }];
}

const coloredFiles = new Map<string, { text: string; lines: string[] }>();
const isColored = (text: string, file: string): boolean => coloredFiles.get(file)?.text === text;
function coloredLines(text: string, file: string): string[] {
  if (isColored(text, file)) return coloredFiles.get(file)!.lines;
  const lines = colored(text, file);
  coloredFiles.set(file, { text, lines });
  return lines;
}

const plain = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

/** Coloured lines of HTML: what is open at a line's end is closed, and opened again on the next. */
function colored(text: string, file: string): string[] {
  const language = LANGUAGES[file.slice(file.lastIndexOf(".") + 1)];
  const html = language ? hljs.highlight(text, { language, ignoreIllegals: true }).value : plain(text);
  const open: string[] = [];
  return html.split("\n").map((line) => {
    const before = open.join("");
    for (const [tag] of line.matchAll(/<span[^>]*>|<\/span>/g)) if (tag === "</span>") open.pop(); else open.push(tag);
    return before + line + "</span>".repeat(open.length);
  });
}

const QUICK_BYTES = 20_000; // of text, that are coloured while somebody waits

export class FileTable {
  readonly columns: Column[];
  readonly lines: (string | number)[]; // coloured; or, without a text, the numbers of those that have figures
  /** Isn't coloured yet: it will be when there is time. */
  readonly isPlain: boolean;
  private readonly byLine = new Map<number, Row[]>();
  private readonly highest: Map<string, number>;

  /** `rows`: those of the file. `target`: the line that is marked. */
  constructor(model: Model, state: State, file: string, source: SourceFile | undefined, rows: Row[], private readonly levels: Map<number, Float64Array> | null,
    private readonly target: number, quick = false) {
    this.columns = columnsOf(model, state);
    for (const row of rows) if (!row.gone) this.byLine.set(row.line, [...(this.byLine.get(row.line) ?? []), row]);
    const text = source?.text?.replace(/\n$/, "");
    this.isPlain = quick && text !== undefined && text.length > QUICK_BYTES && !isColored(text, file);
    this.lines = text === undefined ? [...this.byLine.keys()].sort((a, b) => a - b) : this.isPlain ? plain(text).split("\n") : coloredLines(text, file);
    this.highest = new Map(this.columns.map((c) => [c.key, Math.max(1, ...[...this.byLine.keys()].map((line) => Math.abs(this.sum(line, c))))]));
  }

  private sum(line: number, { value }: Column): number { return (this.byLine.get(line) ?? []).reduce((total, row) => total + value(row), 0); }

  /** Where a line is among `lines`. */
  indexOf(line: number): number { return Math.max(0, typeof this.lines[0] === "number" ? (this.lines as number[]).indexOf(line) : line - 1); }

  /** The line with the largest figures; 0: none has any. */
  get largest(): number {
    const weight = this.columns[0]!, also = this.columns.find((c) => c.key === "allocated_bytes");
    let best = [0, 0];
    for (const line of this.byLine.keys()) {
      const rank = Math.abs(this.sum(line, weight)) + (also ? this.sum(line, also) / 10 : 0);
      if (rank > best[1]!) best = [line, rank];
    }
    return best[0]!;
  }

  header(): HTMLElement {
    return h("thead", null, h("tr", null, ...this.columns.map(({ title, hint }) => h("th", { scope: "col", title: hint }, title)),
      this.levels ? h("th", { scope: "col", title: "live bytes over the run" }, "over time") : null, h("th", { scope: "col", class: "number-head" }, "line"), h("th", { scope: "col", class: "text" }, "source")));
  }

  row(index: number): HTMLElement {
    const content = this.lines[index]!, number = typeof content === "number" ? content : index + 1, isTarget = number === this.target;
    const line = h("tr", { id: `L${number}`, class: isTarget ? "target" : this.byLine.has(number) ? "used" : null, "aria-current": isTarget ? "true" : null });
    for (const column of this.columns) {
      const { key, bytes, isChange } = column, value = this.byLine.has(number) ? this.sum(number, column) : 0, format = bytes ? formatBytes : formatCount;
      line.append(h("td", { class: `figure${isChange && value ? (value > 0 ? " grew" : " shrank") : ""}`, title: value ? formatExact(value) : null, "data-value": value || null, "data-measure": value ? key : null, style: value ? `--share:${((100 * Math.abs(value)) / this.highest.get(key)!).toFixed(1)}%` : null },
        value ? (isChange ? formatDelta(value, format) : format(value)) : ""));
    }
    const level = this.levels?.get(number);
    if (this.levels) line.append(h("td", { class: "trend" }, level ? sparkline(level, 64, 16, `live bytes over time, at most ${formatBytes(Math.max(...level))}`) : null));
    const text = h("td", { class: "text" });
    if (typeof content === "number") text.append(this.byLine.get(number)!.map((row) => row.functionName).join(", "));
    else text.innerHTML = content || " ";
    line.append(h("td", { class: "line-number" }, number), text);
    return line;
  }
}

const levelsOfFiles = new WeakMap<Model, { file: string; levels: Map<number, Float64Array> }>();
/** Are they at hand? */
export const hasLevels = (model: Model, file: string): boolean => !model.hasRanges || levelsOfFiles.get(model)?.file === file;

/** The live bytes of a file's lines over time; null: not known. */
export function levelsOf(model: Model, file: string): Map<number, Float64Array> | null {
  if (!model.hasRanges) return null;
  let known = levelsOfFiles.get(model);
  if (known?.file !== file) levelsOfFiles.set(model, (known = { file, levels: model.lineLevels(file) }));
  return known!.levels;
}
