// Rows of the tables: lines, functions, files, modules or stacks with their figures, for all of the run or a range.
import { KINDS, MEASURES, ORIGINS, type Measure } from "./data";
import { COSTS, type Model } from "./model";

export interface Row {
  place: string; path: string; line: number; functionName: string; kind: string; origin: string; node: number;
  figures: Record<Measure, number>; kept: number; keptCount: number; text?: string;
}

type Group = "line" | "function" | "file" | "module" | "stack";

const noFigures = (): Record<Measure, number> => Object.fromEntries(MEASURES.map((m) => [m, 0])) as Record<Measure, number>;

function merge(rows: Iterable<Row>, key: (row: Row) => string, shape: (row: Row) => Partial<Row>): Row[] {
  const found = new Map<string, Row>();
  for (const row of rows) {
    const k = key(row);
    let into = found.get(k);
    if (!into) found.set(k, (into = { ...row, ...shape(row), figures: noFigures(), kept: 0, keptCount: 0 }));
    for (const m of MEASURES) into.figures[m] += row.figures[m];
    into.kept += row.kept;
    into.keptCount += row.keptCount;
  }
  return [...found.values()];
}

function exactLines(model: Model, inclusive: boolean): Row[] {
  const lines = inclusive ? model.process.lines_inclusive : model.process.lines;
  return lines.file.map((file, i) => {
    const line = lines.line[i]!, name = model.text(lines.function[i]!);
    const figures = noFigures();
    for (const m of MEASURES) figures[m] = lines[m][i]!;
    return {
      place: file ? (line > 0 ? `${model.short(file)}:${line}` : model.short(file)) : name, path: model.text(file), line, functionName: name,
      kind: KINDS[lines.kind[i]!] ?? "", origin: ORIGINS[lines.origin[i]!] ?? "", node: 0, figures, kept: 0, keptCount: 0,
    };
  });
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

function makeNodeRows(model: Model, from: number, to: number, innermost: boolean): Row[] {
  const columns = new Map<Measure, Float64Array>();
  for (const cost of COSTS.filter((c) => !c.leaks && !c.ranged)) {
    if (cost.bytes) columns.set(cost.bytes, model.weights({ cost, unit: "bytes", from, to }));
    columns.set(cost.count, model.weights({ cost, unit: "count", from, to }));
  }
  const keptCost = COSTS.find((c) => c.ranged)!;
  const kept = model.hasRanges ? model.weights({ cost: keptCost, unit: "bytes", from, to }) : null;
  const keptCount = model.hasRanges ? model.weights({ cost: keptCost, unit: "count", from, to }) : null;
  const { frames } = model.process;
  const rows: Row[] = [], arrays = MEASURES.map((m) => columns.get(m)!);
  for (let i = 0; i < model.nodeCount; i++) {
    let any = (kept?.[i] ?? 0) !== 0;
    for (const array of arrays) any ||= array[i] !== 0;
    if (!any) continue;
    const figures = {} as Record<Measure, number>;
    MEASURES.forEach((m, k) => { figures[m] = arrays[k]![i]!; });
    const frame = innermost ? model.frame[i]! : model.lineFrame[i]! || model.frame[i]!;
    rows.push({
      place: frame ? model.place(frame) || model.functionName(frame) : i ? "(folded small stacks)" : "(no stack)", path: frame ? model.path(frame) : "",
      line: frame ? frames.line[frame]! : 0, functionName: frame ? model.functionName(frame) : "", kind: KINDS[frames.kind[frame]!] ?? "",
      origin: ORIGINS[frames.origin[frame]!] ?? "", node: i, figures, kept: kept?.[i] ?? 0, keptCount: keptCount?.[i] ?? 0,
    });
  }
  return rows;
}

export function tableRows(model: Model, group: Group, from: number, to: number, inclusive: boolean): Row[] {
  const whole = from < 0;
  if (group === "stack") return nodeRows(model, from, to, true);
  if (group === "module")
    return merge(nodeRows(model, from, to, true).map((row) => {
      const frame = model.frame[row.node]!;
      const module = frame ? model.process.frames.module[frame]! : 0;
      return { ...row, path: module ? model.text(module) : row.kind === "python" ? "(Python code)" : row.place, place: module ? model.short(module) : row.kind === "python" ? "(Python code)" : row.place };
    }), (row) => row.path, () => ({ functionName: "", line: 0, node: 0 }));
  const lines = whole ? exactLines(model, inclusive && group === "line") : merge(nodeRows(model, from, to, false), (r) => `${r.path}\0${r.line}\0${r.functionName}`, () => ({ node: 0 }));
  if (group === "line") return lines;
  const fileOf = (row: Row) => (row.line > 0 && row.place.includes(":") ? row.place.slice(0, row.place.lastIndexOf(":")) : row.place);
  if (group === "function")
    return merge(lines, (r) => `${r.kind}\0${r.path}\0${r.functionName}`, (r) => ({ place: fileOf(r), line: 0 }));
  return merge(lines, (r) => `${r.kind}\0${r.path || r.functionName}`, (r) => ({ place: fileOf(r), line: 0, functionName: "" }));
}
