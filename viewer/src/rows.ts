// Rows of the tables: lines, functions, files, modules or stacks with their figures, for all of the run or a range.
import { KINDS, MEASURES, ORIGINS, STATUSES, type Measure } from "./data";
import { COSTS, type Model } from "./model";

export interface Row {
  place: string; path: string; line: number; functionName: string; kind: string; origin: string; node: number;
  figures: Record<Measure, number>; kept: number; text?: string;
  old: Record<Measure, number> | null; // of a comparison
  status: string; noise: number;       // of its lines: one standard error; -1: not known
  gone: boolean;                       // its place is of the old source
}

type Group = "line" | "function" | "file" | "module" | "stack";

const noFigures = (): Record<Measure, number> => Object.fromEntries(MEASURES.map((m) => [m, 0])) as Record<Measure, number>;

function merge(rows: Iterable<Row>, key: (row: Row) => string, shape: (row: Row) => Partial<Row>): Row[] {
  const found = new Map<string, Row>();
  for (const row of rows) {
    const k = key(row);
    let into = found.get(k);
    if (!into) found.set(k, (into = { ...row, ...shape(row), figures: noFigures(), old: row.old && noFigures(), kept: 0, status: "", noise: -1, text: undefined }));
    for (const m of MEASURES) into.figures[m] += row.figures[m];
    if (row.old) for (const m of MEASURES) into.old![m] += row.old[m];
    into.kept += row.kept;
  }
  return [...found.values()];
}

function exactLines(model: Model, inclusive: boolean): Row[] {
  const { process } = model, lines = inclusive && process.lines_inclusive ? process.lines_inclusive : process.lines, { old } = lines;
  const rows = lines.file.map((file, i): Row => {
    const line = lines.line[i]!, name = model.text(lines.function[i]!);
    const figures = noFigures(), before = old ? noFigures() : null;
    for (const m of MEASURES) figures[m] = lines[m][i]!;
    if (old) for (const m of MEASURES) before![m] = old[m][i]!;
    return {
      place: file ? (line > 0 ? `${model.short(file)}:${line}` : model.short(file)) : name, path: model.text(file), line, functionName: name,
      kind: KINDS[lines.kind[i]!] ?? "", origin: ORIGINS[lines.origin[i]!] ?? "", node: 0, figures, kept: 0, old: before,
      status: old ? statusOf(model, i) : "", noise: lines.noise?.[i] ?? -1, gone: !!lines.gone?.[i],
    };
  });
  return process.members ? merge(rows, lineOf, () => ({})) : rows;
}

const lineOf = (row: Row): string => `${row.kind}\0${row.path}\0${row.line}\0${row.functionName}`;

/** "grew", or where a line of an edited file was: "grew, was :12". */
function statusOf(model: Model, row: number): string {
  const { lines } = model.process, was = lines.old_line![row]!, file = lines.old_file![row]!;
  const moved = was > 0 && lines.line[row]! > 0 && was !== lines.line[row];
  return `${STATUSES[lines.status![row]!]}${moved ? `, was ${file !== lines.file[row] ? model.short(file) : ""}:${was}` : ""}`;
}

/** Rows of single nodes, of the frame that they are credited to, or of their innermost one. */
const nodeRowsCache = new WeakMap<Model, { key: string; rows: Row[] }>();
function nodeRows(model: Model, from: number, to: number, innermost: boolean): Row[] {
  const key = `${from} ${to} ${innermost}`, cached = nodeRowsCache.get(model);
  if (cached?.key === key) return cached.rows;
  const rows = makeNodeRows(model, from, to, innermost);
  nodeRowsCache.set(model, { key, rows });
  return rows;
}

/** A row shows its place only when it is drawn or sorted by: most of many never are. */
class NodeRow implements Row {
  kept = 0;
  status = "";
  noise = -1;
  gone = false;
  text?: string;
  constructor(private readonly model: Model, readonly node: number, private readonly frame: number, readonly figures: Record<Measure, number>, readonly old: Record<Measure, number> | null) {}
  get place(): string {
    const { model, frame, node } = this;
    return frame ? model.place(frame) || model.functionName(frame) : model.process.nodes.folded[node] ? "(folded small stacks)" : "(no stack)";
  }
  get path(): string { return this.frame ? this.model.path(this.frame) : ""; }
  get line(): number { return this.frame ? this.model.process.frames.line[this.frame]! : 0; }
  get functionName(): string { return this.frame ? this.model.functionName(this.frame) : ""; }
  get kind(): string { return KINDS[this.model.process.frames.kind[this.frame]!] ?? ""; }
  get origin(): string { return ORIGINS[this.model.process.frames.origin[this.frame]!] ?? ""; }
}

function makeNodeRows(model: Model, from: number, to: number, innermost: boolean): Row[] {
  const columns = new Map<Measure, Float64Array>();
  for (const cost of COSTS.filter((c) => !c.leaks && !c.ranged)) {
    if (cost.bytes) columns.set(cost.bytes, model.weights({ cost, unit: "bytes", from, to }));
    columns.set(cost.count, model.weights({ cost, unit: "count", from, to }));
  }
  const kept = model.hasRanges && from >= 0 ? model.weights({ cost: COSTS.find((c) => c.ranged)!, unit: "bytes", from, to }) : null;
  const arrays = MEASURES.map((m) => columns.get(m)!), olds = model.isDiff ? MEASURES.map((m) => model.measure(m, model.process.old_nodes)) : [];
  const rows: Row[] = [], figuresOf = (of: Float64Array[], node: number) => {
    const figures = {} as Record<Measure, number>;
    for (let k = 0; k < MEASURES.length; k++) figures[MEASURES[k]!] = of[k]![node]!;
    return figures;
  };
  for (let i = 0; i < model.nodeCount; i++) {
    let any = (kept?.[i] ?? 0) !== 0;
    for (const array of arrays) any ||= array[i] !== 0;
    for (const array of olds) any ||= array[i] !== 0;
    if (!any) continue;
    const row = new NodeRow(model, i, innermost ? model.frame[i]! : model.lineFrame[i]! || model.frame[i]!, figuresOf(arrays, i), olds.length ? figuresOf(olds, i) : null);
    row.kept = kept?.[i] ?? 0;
    rows.push(row);
  }
  return rows;
}

/** What a NodeRow would only say when asked. */
function plain({ place, path, line, functionName, kind, origin }: Row): Partial<Row> { return { place, path, line, functionName, kind, origin }; }

/** Of a comparison: files of the old trace that have another name in the new one. */
function movedFiles(model: Model): Map<string, string> {
  const { file, old_file } = model.process.lines, moved = new Map<string, string>();
  old_file?.forEach((old, i) => { if (old && old !== file[i]) moved.set(model.text(old), model.text(file[i]!)); });
  return moved;
}

export function tableRows(model: Model, group: Group, from: number, to: number, inclusive: boolean): Row[] {
  const whole = from < 0;
  if (group === "stack") return nodeRows(model, from, to, true);
  if (group === "module") {
    const { module } = model.process.frames;
    const nameOf = (row: Row) => { const own = module[model.frame[row.node]!] ?? 0; return own ? model.text(own) : row.kind === "python" ? "(Python code)" : row.place; };
    return merge(nodeRows(model, from, to, true), nameOf, (row) => {
      const own = module[model.frame[row.node]!] ?? 0;
      return { ...plain(row), path: nameOf(row), place: own ? model.short(own) : nameOf(row), functionName: "", line: 0, node: 0 };
    });
  }
  const lines = whole ? exactLines(model, inclusive && group === "line") : merge(nodeRows(model, from, to, false), lineOf, (row) => ({ ...plain(row), node: 0 }));
  if (group === "line") return lines;
  const fileOf = (row: Row) => (row.line > 0 && row.place.includes(":") ? row.place.slice(0, row.place.lastIndexOf(":")) : row.place);
  const moved = movedFiles(model), pathOf = (row: Row) => moved.get(row.path) ?? row.path;
  if (group === "function")
    return merge(lines, (r) => `${r.kind}\0${pathOf(r)}\0${r.functionName}`, (r) => ({ place: fileOf(r), line: 0 }));
  return merge(lines, (r) => `${r.kind}\0${pathOf(r) || r.functionName}`, (r) => ({ place: fileOf(r), line: 0, functionName: "" }));
}
