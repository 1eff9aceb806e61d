// Annotated source files: what each line held, holds, churned and copied, beside its text.
import { h, segments } from "./dom";
import { formatBytes, formatCount, formatDelta } from "./format";
import type { Model } from "./model";
import { tableRows, type Row } from "./rows";
import { columnsOf, FileTable, levelsOf, type Column } from "./source_lines";
import type { State } from "./state";

const CHUNK = 120, SLICE = 50, SLICE_MS = 12; // lines that are there at once, around the one that is looked for; the others follow in slices

interface FileRow { file: string; place: string; total: number; own: boolean }

export class SourceView {
  readonly element = h("div", { class: "source-view" });

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
    if (state.file && !files.some((f) => f.file === state.file) && model.process.sources.some((s) => s.file === state.file))
      files.push({ file: state.file, place: state.file.split("/").slice(-2).join("/"), total: 0, own: false }); // a line without figures led here
    const file = files.find((f) => f.file === state.file)?.file ?? files[0]?.file ?? "";
    const list = h("ul", { class: "files", "aria-label": "Files" });
    for (const entry of files.slice(0, 400))
      list.append(h("li", null, h("button", { type: "button", "aria-current": entry.file === file ? "true" : null, title: entry.file, class: entry.own ? "own" : null,
        click: () => this.change({ file: entry.file, line: 0 }) }, h("span", null, entry.place), h("span", { class: "dim" }, !entry.total ? "" : formatBytes(entry.total)))));
    const code = h("div", { class: "code", tabindex: 0, role: "region", "aria-label": `Source of ${file}` });
    const scroll = this.element.querySelector(".files")?.scrollTop ?? 0;
    this.element.replaceChildren(h("aside", null, h("h2", null, "Files"), list), h("div", { class: "code-side" },
      h("div", { class: "toolbar" }, h("strong", { class: "path" }, file || "no source"),
        model.isDiff ? segments("Measure", model.costs.filter((c) => !c.leaks).map((c) => [c.key, c.title]), state.cost, (cost) => this.change({ cost })) : null,
        state.from < 0 && model.process.lines_inclusive ? segments("Count", [["own", "the line itself"], ["all", "with all it calls"]], state.inclusive ? "all" : "own", (key) => this.change({ inclusive: key === "all" })) : null), code));
    list.scrollTop = scroll;
    this.fill(code, model, state, file, rows.filter((row) => row.path === file && row.line > 0));
  }

  private fill(code: HTMLElement, model: Model, state: State, file: string, rows: Row[]): void {
    const source = model.process.sources.find((s) => s.file === file), table = new FileTable(model, state, file, source, rows, levelsOf(model, file), state.line);
    const goal = state.line || table.largest, notes: Node[] = [];
    if (source?.newer) notes.push(h("p", { class: "warning" }, "This file has changed since the program was recorded: figures may stand beside the wrong lines."));
    if (source?.absent) notes.push(h("p", { class: "note dim" }, `No text: ${source.absent}. The lines that have figures:`));
    const body = h("tbody"), gone = rows.filter((row) => row.gone), weight = table.columns[0]!;
    code.replaceChildren(...notes, h("table", null, table.header(), body));
    if (gone.length) code.append(h("p", { class: "note dim" }, `Only in the old source: ${gone.map((row) => `line ${row.line} ${row.functionName} (${formatDelta(weight.value(row), weight.bytes ? formatBytes : formatCount)})`).join(", ")}.`));
    this.fillLines(body, table, table.indexOf(goal));
    const row = goal ? body.querySelector<HTMLElement>(`#L${goal}`) : null;
    if (row) requestAnimationFrame(() => { code.scrollTop = row.offsetTop - code.clientHeight / 3; });
  }

  /** The lines around `goal` at once, so that a click is answered; the rest when there is time, before anybody scrolls that far. The browser
   *  keeps what is seen where it is (scroll anchoring). */
  private fillLines(body: HTMLElement, table: FileTable, goal: number): void {
    const { lines } = table, rows = (first: number, end: number) => Array.from({ length: end - first }, (_, i) => table.row(first + i));
    let from = Math.max(0, goal - CHUNK / 2), to = Math.min(lines.length, from + CHUNK);
    body.append(...rows(from, to));
    const step = () => {
      if (!body.isConnected) return;
      const until = performance.now() + SLICE_MS;
      while (performance.now() < until && (from > 0 || to < lines.length)) {
        const next = Math.min(lines.length, to + SLICE), previous = Math.max(0, from - SLICE);
        body.append(...rows(to, next));
        body.prepend(...rows(previous, from));
        [from, to] = [previous, next];
      }
      if (from > 0 || to < lines.length) setTimeout(step);
      else this.element.dataset.complete = "yes";
    };
    delete this.element.dataset.complete;
    setTimeout(step, 100);
  }
}
