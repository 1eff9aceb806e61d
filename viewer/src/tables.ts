// Tables that sort and filter; the rows of rows.ts.
import { h, segments, toggle } from "./dom";
import { formatBytes, formatCount, formatExact, formatShare } from "./format";
import { isBytes, type Model } from "./model";
import { ORIGIN_TITLES, ORIGINS, type Measure } from "./data";
import { tableRows, type Row } from "./rows";
import type { State } from "./state";

const CHUNK = 60;
const names = new Intl.Collator(undefined, { numeric: true });

type Column = { key: string; title: string; hint: string; measure?: Measure };
const COLUMNS: Column[] = [
  { key: "peak_bytes", title: "peak", hint: "bytes live at the high-water mark", measure: "peak_bytes" },
  { key: "peak_allocations", title: "at peak", hint: "blocks live at the high-water mark", measure: "peak_allocations" },
  { key: "live_bytes", title: "live", hint: "bytes still live at the end", measure: "live_bytes" },
  { key: "live_allocations", title: "blocks", hint: "blocks still live at the end", measure: "live_allocations" },
  { key: "allocated_bytes", title: "allocated", hint: "bytes ever allocated", measure: "allocated_bytes" },
  { key: "allocations", title: "allocs", hint: "allocations ever made", measure: "allocations" },
  { key: "temporary_allocations", title: "temporary", hint: "allocations freed before the same thread's next one", measure: "temporary_allocations" },
  { key: "copied_bytes", title: "copied", hint: "bytes copied", measure: "copied_bytes" },
  { key: "copies", title: "copies", hint: "calls that copied", measure: "copies" },
];
const KEPT: Column = { key: "kept", title: "kept", hint: "bytes allocated in the range and not freed in it" };

export class TableView {
  readonly element = h("div", { class: "table-view" });
  private shown = CHUNK;
  private cache: { key: string; rows: Row[] } | null = null;

  constructor(private readonly change: (part: Partial<State>) => void, private readonly open: (path: string, line: number) => void,
    private readonly chain: (node: number) => string) {}

  show(model: Model, state: State): void {
    this.shown = CHUNK;
    const key = [state.process, state.group, state.from, state.to, state.inclusive].join();
    if (this.cache?.key !== key) this.cache = { key, rows: tableRows(model, state.group as any, state.from, state.to, state.inclusive) };
    const active = document.activeElement as HTMLElement | null;
    const focusKey = active && this.element.contains(active) ? active.dataset.focus : undefined;
    const caret = active instanceof HTMLInputElement && focusKey === "filter" ? active.selectionStart : null;
    const table = h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": "Table" });
    const count = h("span", { class: "dim count", role: "status" });
    this.element.replaceChildren(
      h("div", { class: "toolbar" },
        segments("Rows", [["line", "lines"], ["function", "functions"], ["file", "files"], ["module", "modules"], ["stack", "stacks"]], state.group, (group) => this.change({ group })),
        state.group === "line" && state.from < 0 ? toggle("with all they call", state.inclusive, (inclusive) => this.change({ inclusive }), "Counts a line for everything below it on the stack as well; sums exceed the total") : null,
        h("label", { class: "control grow" }, h("span", null, "Filter"), h("input", {
          type: "search", value: state.filter, placeholder: "file, function, or kind of code", "data-focus": "filter",
          input: (event: Event) => this.change({ filter: (event.target as HTMLInputElement).value }),
        })), count),
      table);
    this.fill(table, count, model, state);
    if (focusKey) {
      const again = this.element.querySelector<HTMLElement>(`[data-focus="${focusKey}"]`);
      again?.focus();
      if (again instanceof HTMLInputElement && caret !== null) again.setSelectionRange(caret, caret);
    }
  }

  /** The rows in the order shown, all of them. */
  rows(state: State): Row[] {
    const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = this.cache!.rows.filter((row) => {
      row.text ??= `${row.path} ${row.place} ${row.functionName} ${row.origin} ${row.kind}`.toLowerCase();
      return words.every((word) => row.text!.includes(word));
    });
    const sort = state.sort || (state.from < 0 ? "peak_bytes" : "kept");
    const sign = state.down ? -1 : 1;
    const value = (row: Row): number => (sort === "kept" ? row.kept : row.figures[sort as Measure] ?? 0);
    if (sort === "place" || sort === "functionName") rows.sort((a, b) => sign * names.compare(a[sort], b[sort]));
    else rows.sort((a, b) => sign * (value(a) - value(b)) || b.figures.allocated_bytes - a.figures.allocated_bytes || (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
    return rows;
  }

  private fill(box: HTMLElement, count: HTMLElement, model: Model, state: State): void {
    const rows = this.rows(state), columns = state.from < 0 ? COLUMNS : [KEPT, ...COLUMNS];
    const sort = state.sort || (state.from < 0 ? "peak_bytes" : "kept");
    const totals: Record<string, number> = {}, whole: Record<string, number> = {};
    for (const column of columns) {
      const value = (row: Row) => (column.measure ? row.figures[column.measure] : row.kept);
      totals[column.key] = rows.reduce((sum, row) => sum + value(row), 0);
      whole[column.key] = this.cache!.rows.reduce((sum, row) => sum + value(row), 0);
    }
    count.textContent = `${formatExact(rows.length)} ${state.group}${rows.length === 1 ? "" : "s"}`;
    const header = (key: string, title: string, hint: string, numeric: boolean) => h("th", { scope: "col", "aria-sort": key === sort ? (state.down ? "descending" : "ascending") : "none", class: numeric ? "number" : null },
      h("button", { type: "button", title: hint, "data-focus": `sort-${key}`, click: () => this.change(key === sort ? { down: !state.down } : { sort: key, down: numeric }) }, title,
        h("span", { class: "arrow", "aria-hidden": "true" }, key === sort ? (state.down ? "▾" : "▴") : "")));
    const body = h("tbody");
    const isInclusive = state.inclusive && state.group === "line" && state.from < 0;
    const makeRow = (row: Row) => {
      const place = h("th", { scope: "row", class: `place origin-${row.origin}`, title: row.path });
      if (row.line > 0 || state.group === "file") place.append(h("button", { type: "button", class: "link", click: () => this.open(row.path, row.line) }, row.place));
      else place.append(row.place);
      const line = h("tr", null, place);
      if (state.group !== "file" && state.group !== "module") line.append(h("td", { class: "function", title: row.functionName }, row.functionName,
        state.group === "stack" && row.node ? h("div", { class: "dim chain" }, this.chain(row.node)) : null));
      for (const column of columns) {
        const value = column.measure ? row.figures[column.measure] : row.kept;
        const bytes = column.measure ? isBytes(column.measure) : true;
        const share = whole[column.key] ? value / whole[column.key]! : 0;
        line.append(h("td", { class: `number${bytes ? " bytes" : ""}`, title: `${formatExact(value)}${bytes ? " bytes" : ""}${isInclusive ? "" : ` · ${formatShare(share)}`}`,
          style: column.key === sort && value > 0 && !isInclusive ? `--share:${(share * 100).toFixed(2)}%` : null, "data-value": value },
          value ? (bytes ? formatBytes(value) : formatCount(value)) : h("span", { class: "nothing" }, "·")));
      }
      return line;
    };
    const append = (start: number) => body.append(...rows.slice(start, start + CHUNK).map(makeRow));
    append(0);
    const more = h("button", { type: "button", class: "more" });
    const showMore = () => { more.hidden = this.shown >= rows.length; more.textContent = `show ${formatExact(Math.min(CHUNK, rows.length - this.shown))} more of ${formatExact(rows.length - this.shown)}`; };
    more.addEventListener("click", () => { append(this.shown); this.shown += CHUNK; showMore(); });
    showMore();
    const placeTitle = { line: "line", function: "file", file: "file", module: "module", stack: "innermost line" }[state.group] ?? "place";
    const footer = h("tr", null, h("th", { scope: "row" }, state.filter ? "sum of these rows" : "sum"));
    if (state.group !== "file" && state.group !== "module") footer.append(h("td"));
    for (const column of columns) {
      const bytes = column.measure ? isBytes(column.measure) : true;
      footer.append(h("td", { class: "number", title: formatExact(totals[column.key]!), "data-sum": column.key, "data-value": totals[column.key]! }, bytes ? formatBytes(totals[column.key]!) : formatCount(totals[column.key]!)));
    }
    const more2 = (isInclusive ? model.process.lines_inclusive : model.process.lines).more;
    box.replaceChildren(h("table", null, h("thead", null, h("tr", null, header("place", placeTitle, "Sort by name", false),
      state.group !== "file" && state.group !== "module" ? header("functionName", "function", "Sort by function", false) : null,
      ...columns.map((c) => header(c.key, c.title, c.hint, true)))), body, isInclusive ? null : h("tfoot", null, footer)), more);
    if (more2 && state.group !== "stack" && state.from < 0) box.append(h("p", { class: "dim note" }, `${formatExact(more2)} further lines with the smallest figures are not in this page.`));
  }
}

export const originTitle = (origin: string): string => ORIGIN_TITLES[ORIGINS.indexOf(origin)] ?? origin;
