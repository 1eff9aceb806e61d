// Rows of the tables: lines, functions, files, modules or stacks with their figures, for all of the run or a range.
import { KINDS, MEASURES, ORIGINS, STATUSES, type Measure } from "./data";
import type { Model } from "./model";

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
    if (!into) found.set(k, (into = { ...row, ...shape(row), figures: noFigures(), old: row.old && noFigures(), kept: 0, status: "", noise: -1, gone: row.gone, text: undefined }));
    for (const m of MEASURES) into.figures[m] += row.figures[m];
    if (row.old) for (const m of MEASURES) into.old![m] += row.old[m];
    into.kept += row.kept;
  }
  return [...found.values()];
}

const exactCache = new WeakMap<Model, Map<boolean, Row[]>>();
function exactLines(model: Model, inclusive: boolean): Row[] {
  const cached = exactCache.get(model) ?? new Map<boolean, Row[]>();
  exactCache.set(model, cached);
  if (!cached.has(inclusive)) cached.set(inclusive, makeExactLines(model, inclusive));
  return cached.get(inclusive)!;
}

function makeExactLines(model: Model, inclusive: boolean): Row[] {
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

/** The figures of one node, read from its columns when they are asked for: most of many rows never are. */
class NodeFigures {
  constructor(readonly columns: Float64Array[], readonly node: number) {}
}
MEASURES.forEach((measure, column) => Object.defineProperty(NodeFigures.prototype, measure, { get(this: NodeFigures) { return this.columns[column]![this.node]; } }));
const figuresOf = (columns: Float64Array[], node: number): Record<Measure, number> => new NodeFigures(columns, node) as unknown as Record<Measure, number>;

/** A row of one node, or of all nodes of a line. Names, too, are looked up when they are asked for. */
class NodeRow implements Row {
  status = "";
  noise = -1;
  gone = false;
  constructor(private readonly model: Model, readonly node: number, private readonly frame: number, readonly figures: Record<Measure, number>, readonly kept: number, readonly old: Record<Measure, number> | null) {}
  get place(): string {
    const { model, frame, node } = this;
    return frame ? model.place(frame) || model.functionName(frame) : model.process.nodes.folded[node] ? "(folded small stacks)" : "(no stack)";
  }
  get text(): string { return this.model.searchText(this.frame) || this.place.toLowerCase(); }
  get path(): string { return this.frame ? this.model.path(this.frame) : ""; }
  get line(): number { return this.frame ? this.model.process.frames.line[this.frame]! : 0; }
  get functionName(): string { return this.frame ? this.model.functionName(this.frame) : ""; }
  get kind(): string { return KINDS[this.model.process.frames.kind[this.frame]!] ?? ""; }
  get origin(): string { return ORIGINS[this.model.process.frames.origin[this.frame]!] ?? ""; }
}

interface Columns { measures: Float64Array[]; kept: Float64Array | null; olds: Float64Array[] }

function nodeColumns(model: Model, from: number, to: number): Columns {
  const range = from < 0 ? null : model.range(from, to);
  return {
    measures: MEASURES.map((m) => (range ? range[m] : model.measure(m))), kept: range && range.kept_bytes,
    olds: model.isDiff ? MEASURES.map((m) => model.measure(m, model.process.old_nodes)) : [],
  };
}

function makeRows({ measures, kept, olds }: Columns, count: number, make: (index: number, figures: Record<Measure, number>, kept: number, old: Record<Measure, number> | null) => Row): Row[] {
  const all = [...measures, ...olds, ...(kept ? [kept] : [])], rows: Row[] = [];
  for (let i = 0; i < count; i++) {
    let any = false;
    for (const column of all) any ||= column[i] !== 0;
    if (any) rows.push(make(i, figuresOf(measures, i), kept ? kept[i]! : 0, olds.length ? figuresOf(olds, i) : null));
  }
  return rows;
}

/** A row for each node, by its innermost frame. */
const nodeRowsCache = new WeakMap<Model, { key: string; rows: Row[] }>();
function nodeRows(model: Model, from: number, to: number): Row[] {
  const key = `${from} ${to}`, cached = nodeRowsCache.get(model);
  if (cached?.key === key) return cached.rows;
  const rows = makeRows(nodeColumns(model, from, to), model.nodeCount, (node, figures, kept, old) => new NodeRow(model, node, model.frame[node]!, figures, kept, old));
  nodeRowsCache.set(model, { key, rows });
  return rows;
}

const rangeLinesCache = new WeakMap<Model, { key: string; rows: Row[] }>();
function rangeLines(model: Model, from: number, to: number): Row[] {
  const key = `${from} ${to}`, cached = rangeLinesCache.get(model);
  if (cached?.key === key) return cached.rows;
  const rows = makeRangeLines(model, from, to);
  rangeLinesCache.set(model, { key, rows });
  return rows;
}

/** Of a range, the lines that nodes are credited to: added up by the numbers of lines, which are those of frames. */
function makeRangeLines(model: Model, from: number, to: number): Row[] {
  const { frameCount } = model, columns = nodeColumns(model, from, to); // behind the lines: what is folded
  const lines = Int32Array.from({ length: model.nodeCount }, (_, node) => {
    const frame = model.lineFrame[node]! || model.frame[node]!;
    return frame ? model.lineKey[frame]! : model.process.nodes.folded[node] ? frameCount : 0;
  });
  const add = (column: Float64Array) => {
    const sums = new Float64Array(frameCount + 1);
    for (let node = 0; node < column.length; node++) sums[lines[node]!]! += column[node]!;
    return sums;
  };
  const sums = { measures: columns.measures.map(add), kept: columns.kept && add(columns.kept), olds: [] };
  const folded = model.process.nodes.folded.findIndex((count) => count > 0);
  return makeRows(sums, frameCount + 1, (line, figures, kept, old) => new NodeRow(model, line === frameCount ? folded : 0, line === frameCount ? 0 : line, figures, kept, old));
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
  if (group === "stack") return nodeRows(model, from, to);
  if (group === "module") {
    const { module } = model.process.frames;
    const nameOf = (row: Row) => { const own = module[model.frame[row.node]!] ?? 0; return own ? model.text(own) : row.kind === "python" ? "(Python code)" : row.place; };
    return merge(nodeRows(model, from, to), nameOf, (row) => {
      const own = module[model.frame[row.node]!] ?? 0;
      return { ...plain(row), path: nameOf(row), place: own ? model.short(own) : nameOf(row), functionName: "", line: 0, node: 0 };
    });
  }
  const lines = whole ? exactLines(model, inclusive && group === "line") : rangeLines(model, from, to);
  if (group === "line") return lines;
  const fileOf = (row: Row) => (row.line > 0 && row.place.includes(":") ? row.place.slice(0, row.place.lastIndexOf(":")) : row.place);
  const moved = movedFiles(model), pathOf = (row: Row) => moved.get(row.path) ?? row.path;
  if (group === "function")
    return merge(lines, (r) => `${r.kind}\0${pathOf(r)}\0${r.functionName}`, (r) => ({ ...plain(r), place: fileOf(r), line: 0 }));
  return merge(lines, (r) => `${r.kind}\0${pathOf(r) || r.functionName}`, (r) => ({ ...plain(r), place: fileOf(r), line: 0, functionName: "" }));
}
