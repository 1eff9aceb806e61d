// Tables that sort and filter; the rows of rows.ts.
import { h, segments, toggle } from "./dom";
import { formatBytes, formatCount, formatDelta, formatExact, formatShare, standardError } from "./format";
import { COSTS, explain, isBytes, type Model } from "./model";
import { MEASURES, type Measure } from "./data";
import { tableRows, type Row } from "./rows";
import type { State } from "./state";

const CHUNK = 60;
const names = new Intl.Collator(undefined, { numeric: true });

interface Column { key: string; title: string; hint: string; bytes: boolean; value: (row: Row) => number; count?: (row: Row) => number; isChange?: boolean; isNoise?: boolean }

const countOf = (measure: Measure): Measure => MEASURES[MEASURES.indexOf(measure) + 1]!; // of a measure in bytes
const measured = (measure: Measure, title: string, hint: string): Column => ({
  key: measure, title, hint, bytes: isBytes(measure), value: (row) => row.figures[measure], ...(isBytes(measure) ? { count: (row: Row) => row.figures[countOf(measure)] } : {}),
});
const COLUMNS: Column[] = [
  measured("peak_bytes", "peak", "bytes live at the high-water mark"),
  measured("peak_allocations", "at peak", "blocks live at the high-water mark"),
  measured("live_bytes", "live", "bytes still live at the end"),
  measured("live_allocations", "blocks", "blocks still live at the end"),
  measured("allocated_bytes", "allocated", "bytes ever allocated"),
  measured("allocations", "allocs", "allocations ever made"),
  measured("temporary_allocations", "temporary", "allocations freed before the same thread's next one"),
  measured("copied_bytes", "copied", "bytes copied"),
  measured("copies", "copies", "calls that copied"),
];
const KEPT: Column = { key: "kept", title: "kept", hint: "bytes allocated in the range and not freed in it", bytes: true, value: (row) => row.kept };

/** Of a comparison: one measure of both traces. Noise is known of what was compared, by line. */
function changeColumns(model: Model, state: State): Column[] {
  const cost = COSTS.find((c) => c.key === state.cost)!, measure = state.unit === "bytes" && cost.bytes ? cost.bytes : cost.count, bytes = isBytes(measure);
  const columns: Column[] = [
    { key: "change", title: "change", hint: "new less old", bytes, isChange: true, value: (row) => row.figures[measure] - row.old![measure] },
    { key: "old", title: "old", hint: `${cost.text}: in the old trace`, bytes, value: (row) => row.old![measure] },
    { key: "new", title: "new", hint: `${cost.text}: in the new trace`, bytes, value: (row) => row.figures[measure] },
  ];
  if (state.group === "line" && model.process.of === state.cost && measure === (cost.bytes ?? cost.count))
    columns.splice(1, 0, { key: "noise", title: "noise ±", hint: "a change within this may be chance: three standard errors (docs/diff.md)", bytes, isNoise: true, value: (row) => 3 * row.noise });
  return columns;
}

function columnsOf(model: Model, state: State): Column[] {
  return model.isDiff ? changeColumns(model, state) : state.from < 0 ? COLUMNS : [KEPT, ...COLUMNS];
}

function sumOf(rows: Row[], { value }: Column): number {
  let sum = 0;
  for (const row of rows) sum += value(row);
  return sum;
}

export class TableView {
  readonly element = h("div", { class: "table-view" });
  private shown = CHUNK;
  private cache: { key: string; rows: Row[] } | null = null;
  private sorted: { key: string; rows: Row[] } | null = null;
  private sums: { key: string; whole: Record<string, number> } | null = null; // of all rows, by column
  private model!: Model;

  constructor(private readonly change: (part: Partial<State>) => void, private readonly open: (path: string, line: number) => void,
    private readonly chain: (node: number) => string) {}

  show(model: Model, state: State): void {
    this.shown = CHUNK;
    this.model = model;
    const key = [state.process, state.group, state.from, state.to, state.inclusive].join();
    if (this.cache?.key !== key) this.sorted = null;
    if (this.cache?.key !== key) this.cache = { key, rows: tableRows(model, state.group as any, state.from, state.to, state.inclusive) };
    const active = document.activeElement as HTMLElement | null;
    const focusKey = active && this.element.contains(active) ? active.dataset.focus : undefined;
    const caret = active instanceof HTMLInputElement && focusKey === "filter" ? active.selectionStart : null;
    const table = h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": "Table" });
    const count = h("span", { class: "dim count", role: "status" });
    this.element.replaceChildren(
      h("div", { class: "toolbar" },
        segments("Rows", [["line", "lines"], ["function", "functions"], ["file", "files"], ["module", "modules"], ["stack", "stacks"]], state.group, (group) => this.change({ group })),
        model.isDiff ? segments("Measure", model.costs.filter((c) => !c.leaks).map((c) => [c.key, c.title]), state.cost, (cost) => this.change({ cost })) : null,
        model.isDiff && COSTS.find((c) => c.key === state.cost)!.bytes ? segments("Unit", [["bytes", "bytes"], ["count", state.cost === "copied" ? "copies" : "blocks"]], state.unit, (unit) => this.change({ unit: unit as State["unit"] })) : null,
        state.group === "line" && state.from < 0 && model.process.lines_inclusive ? toggle("with all they call", state.inclusive, (inclusive) => this.change({ inclusive }), "Counts a line for everything below it on the stack as well; sums exceed the total") : null,
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

  /** What the rows are sorted by, and which way: a change by its size. */
  private order(state: State): { columns: Column[]; sort: string } {
    const columns = columnsOf(this.model, state), known = ["place", "functionName", "status", ...columns.map((c) => c.key)];
    return { columns, sort: known.includes(state.sort) ? state.sort : columns[0]!.key };
  }

  private inOrder(state: State): Row[] {
    const { columns, sort } = this.order(state), key = [sort, state.down, state.cost, state.unit].join();
    if (this.sorted?.key === key) return this.sorted.rows;
    const sign = state.down ? -1 : 1, column = columns.find((c) => c.key === sort), { rows } = this.cache!;
    if (column) {
      const size = column.isChange ? (row: Row) => Math.abs(column.value(row)) : column.value;
      const values = Float64Array.from(rows, size), more = Float64Array.from(rows, (row) => row.figures.allocated_bytes);
      const order = Uint32Array.from(rows, (_, i) => i).sort((a, b) => sign * (values[a]! - values[b]!) || more[b]! - more[a]! || a - b);
      this.sorted = { key, rows: Array.from(order, (i) => rows[i]!) };
    } else {
      const text = sort as "place" | "functionName" | "status", texts = rows.map((row) => ({ row, text: row[text] }));
      const ranks = new Map([...new Set(texts.map((entry) => entry.text))].sort(names.compare).map((name, i) => [name, i])); // comparing names is dear
      texts.sort((a, b) => sign * (ranks.get(a.text)! - ranks.get(b.text)!));
      this.sorted = { key, rows: texts.map(({ row }) => row) };
    }
    return this.sorted.rows;
  }

  /** The rows in the order shown, all of them. */
  rows(state: State): Row[] {
    const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean), rows = this.inOrder(state);
    return !words.length ? rows : rows.filter((row) => {
      row.text ??= `${row.path} ${row.place} ${row.functionName} ${row.origin} ${row.kind} ${row.status}`.toLowerCase();
      return words.every((word) => row.text!.includes(word));
    });
  }

  private fill(box: HTMLElement, count: HTMLElement, model: Model, state: State): void {
    const rows = this.rows(state), { columns, sort } = this.order(state), everything = this.cache!.rows, { isDiff } = model;
    const sumsKey = `${this.cache!.key} ${columns.map((c) => c.key).join()} ${state.cost} ${state.unit}`;
    if (this.sums?.key !== sumsKey) this.sums = { key: sumsKey, whole: Object.fromEntries(columns.map((column) => [column.key, sumOf(everything, column)])) };
    const totals = state.filter.trim() ? Object.fromEntries(columns.map((column) => [column.key, sumOf(rows, column)])) : this.sums.whole;
    const largest = isDiff ? everything.reduce((most, row) => Math.max(most, Math.abs(columns[0]!.value(row))), 0) : 0;
    const whole: Record<string, number> = isDiff ? { ...this.sums.whole, [columns[0]!.key]: largest } : this.sums.whole;
    const show = ({ bytes, isChange }: Column, value: number) => { const format = bytes ? formatBytes : formatCount; return isChange ? formatDelta(value, format) : format(value); };
    const hasFunction = state.group !== "file" && state.group !== "module", hasStatus = isDiff && state.group === "line";
    count.textContent = `${formatExact(rows.length)} ${state.group}${rows.length === 1 ? "" : "s"}`;
    const header = (key: string, title: string, hint: string, numeric: boolean) => h("th", { scope: "col", "aria-sort": key === sort ? (state.down ? "descending" : "ascending") : "none", class: numeric ? "number" : null },
      h("button", { type: "button", title: hint, "data-focus": `sort-${key}`, click: () => this.change(key === sort ? { down: !state.down } : { sort: key, down: numeric }) }, title,
        h("span", { class: "arrow", "aria-hidden": "true" }, key === sort ? (state.down ? "▾" : "▴") : "")));
    const body = h("tbody");
    const isInclusive = state.inclusive && state.group === "line" && state.from < 0 && !isDiff;
    const intervalBytes = isDiff ? 0 : model.process.summary.sampling_interval_bytes;
    const errorText = (column: Column, row: Row) => {
      const error = column.count ? standardError(column.value(row), column.count(row), intervalBytes) : 0;
      return error >= 1 ? ` · standard error ${formatBytes(error)}` : "";
    };
    const makeRow = (row: Row) => {
      const place = h("th", { scope: "row", class: `place origin-${row.origin}`, title: row.path || explain(row.functionName) });
      if ((row.line > 0 || state.group === "file") && !row.gone) place.append(h("button", { type: "button", class: "link", click: () => this.open(row.path, row.line) }, row.place));
      else place.append(row.place);
      if (!row.path && explain(row.functionName)) place.append(h("div", { class: "dim chain" }, explain(row.functionName)));
      const line = h("tr", null, place);
      if (hasFunction) line.append(h("td", { class: "function", title: row.functionName }, row.functionName,
        state.group === "stack" && row.node ? h("div", { class: "dim chain" }, this.chain(row.node)) : null));
      for (const column of columns) {
        const value = column.value(row), share = whole[column.key] ? Math.abs(value) / whole[column.key]! : 0, { isChange } = column;
        const change = isChange && value ? (value > 0 ? " grew" : " shrank") : "";
        line.append(h("td", { class: `number${column.bytes ? " bytes" : ""}${change}`, title: `${formatExact(value)}${column.bytes ? " bytes" : ""}${isInclusive || isDiff ? "" : ` · ${formatShare(share)}`}${errorText(column, row)}`,
          style: (isChange || column.key === sort) && value && !column.isNoise && !isInclusive ? `--share:${(share * 100).toFixed(2)}%` : null, "data-value": value, "data-column": column.key },
          value ? show(column, value) : h("span", { class: "nothing" }, "·")));
      }
      if (hasStatus) line.append(h("td", { class: "dim" }, row.status));
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
    if (hasFunction) footer.append(h("td"));
    for (const column of columns)
      footer.append(column.isNoise ? h("td") : h("td", { class: "number", title: formatExact(totals[column.key]!), "data-sum": column.key, "data-value": totals[column.key]! }, show(column, totals[column.key]!)));
    if (hasStatus) footer.append(h("td"));
    const more2 = (isInclusive ? model.process.lines_inclusive! : model.process.lines).more;
    box.replaceChildren(h("table", null, h("thead", null, h("tr", null, header("place", placeTitle, "Sort by name", false),
      hasFunction ? header("functionName", "function", "Sort by function", false) : null,
      ...columns.map((c) => header(c.key, c.title, c.hint, true)), hasStatus ? header("status", "", "Sort by what became of it", false) : null)), body, isInclusive ? null : h("tfoot", null, footer)), more);
    if (more2 && state.group !== "stack" && state.from < 0) box.append(h("p", { class: "dim note" }, `${formatExact(more2)} further lines with the smallest figures are not in this page.`));
  }
}
