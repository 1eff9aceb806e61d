// What the flame graph is split by: each part is a group, with the weights of its own nodes.
import { KINDS, TAG } from "./data";
import type { Model, View } from "./model";
import type { State } from "./state";
import type { Amounts, Group } from "./tree";

const MOST_PARTS = 40;

/** By node: the number of its part; and what the parts are called. */
interface Parts { titles: string[]; of: Int32Array }

const tagged = new WeakMap<Model, boolean>();
export function hasTags(model: Model): boolean {
  let has = tagged.get(model);
  if (has === undefined) tagged.set(model, (has = model.process.frames.kind.includes(TAG)));
  return has;
}

/** Of a node without a frame, its caller's. */
function frameOf(model: Model, node: number): number {
  return model.frame[node]! || (node ? model.frame[model.parent[node]!]! : 0);
}

function nameParts(model: Model, name: (node: number, frame: number) => string): Parts {
  const numbers = new Map<string, number>(), of = new Int32Array(model.nodeCount);
  for (let node = 0; node < model.nodeCount; node++) {
    const title = name(node, frameOf(model, node));
    let number = numbers.get(title);
    if (number === undefined) numbers.set(title, (number = numbers.size));
    of[node] = number;
  }
  return { titles: [...numbers.keys()], of };
}

const KIND_TITLES: Record<string, string> = { python: "innermost frame: Python", native: "innermost frame: native", cut: "cut stacks", tag: "no stack" };

/** What no stack owns: it is under no tag, and not under none. */
function isNobodys(model: Model, frame: number): boolean {
  const { file, module } = model.process.frames, name = frame ? model.functionName(frame) : "";
  return !!frame && !file[frame] && !module[frame] && (name === "arena slack" || name.startsWith("copies below "));
}

function byTag(model: Model): Parts {
  const { kind } = model.process.frames, innermost = new Int32Array(model.nodeCount);
  for (let node = 1; node < model.nodeCount; node++) {
    const frame = model.frame[node]!;
    innermost[node] = frame && kind[frame] === TAG ? frame : innermost[model.parent[node]!]!;
  }
  return nameParts(model, (node, frame) => (innermost[node] ? `tag ${model.functionName(innermost[node]!)}` : isNobodys(model, frame) ? model.functionName(frame) : "(no tag)"));
}

function partsOf(model: Model, split: State["split"]): Parts {
  const { kind, module } = model.process.frames, { owner, members } = model.process;
  if (split === "tag") return byTag(model);
  if (split === "process" && owner) {
    const titles = members!.map(({ summary }) => `${summary.pid} ${summary.command.replace(/^\S*\//, "").slice(0, 80)}`);
    return nameParts(model, (node) => titles[owner[node]!] ?? "");
  }
  if (split === "kind") return nameParts(model, (_, frame) => (frame ? KIND_TITLES[KINDS[kind[frame]!]!] ?? "?" : "no stack"));
  return nameParts(model, (_, frame) => (!frame ? "no stack" : module[frame] ? model.short(module[frame]!) : kind[frame] === 0 ? "Python code" : model.functionName(frame)));
}

/** The largest parts; the others together. */
function boundParts(parts: Parts, weights: Float64Array): Parts {
  const sums = new Float64Array(parts.titles.length);
  for (let node = 0; node < weights.length; node++) sums[parts.of[node]!]! += weights[node]!;
  const order = [...sums.keys()].filter((part) => sums[part]! > 0).sort((a, b) => sums[b]! - sums[a]!), kept = order.slice(0, MOST_PARTS);
  const numbers = new Int32Array(sums.length).fill(kept.length);
  kept.forEach((part, i) => { numbers[part] = i; });
  return { titles: [...kept.map((part) => parts.titles[part]!), `${order.length - kept.length} others`], of: parts.of.map((part) => numbers[part]!) };
}

function makeAmounts(model: Model, weights: Float64Array): Amounts { return { weights, totals: model.totals(weights) }; }

/** The weights of each part's nodes, in arrays of their own. */
function divide(weights: Float64Array, parts: Parts): Float64Array[] {
  const arrays = parts.titles.map(() => new Float64Array(weights.length));
  for (let node = 0; node < weights.length; node++) if (weights[node]) arrays[parts.of[node]!]![node] = weights[node]!;
  return arrays;
}

const keyOf = (title: string): string => `g${title.replace(/[^\w]/g, "_")}`;

/** Threads are known only of what flowed and lived in time: each use is a node's on one thread. What belongs to none is the rest. */
function byThread(model: Model, view: View): Group[] {
  const { node, thread } = model.uses, names = new Map(model.process.threads!.map((t) => [t.thread_id, t.name || String(t.kernel_id)]));
  const sums = new Map<number, number>();
  model.eachUse(view, (use, amount) => sums.set(thread[use]!, (sums.get(thread[use]!) ?? 0) + amount));
  const order = [...sums.keys()].sort((a, b) => sums.get(b)! - sums.get(a)!), kept = order.slice(0, MOST_PARTS), others = order.length - kept.length;
  const arrays = new Map(kept.map((id) => [id, new Float64Array(model.nodeCount)])), rest = new Float64Array(model.nodeCount);
  model.eachUse(view, (use, amount) => { (arrays.get(thread[use]!) ?? rest)[node[use]!]! += amount; });
  if (view.cost.leaks) for (const array of [...arrays.values(), rest]) model.onlyLeaks(array);
  const weights = model.weights(view).slice();
  for (const array of [...arrays.values(), rest]) for (let i = 0; i < weights.length; i++) weights[i]! -= array[i]!;
  const groups = kept.map((id) => ({ title: names.has(id) ? `thread ${names.get(id)}` : "a thread before events were listed", key: `t${id}`, ...makeAmounts(model, arrays.get(id)!) }));
  return [...groups, { title: `${others} other threads`, key: "tothers", ...makeAmounts(model, rest) }, { title: "no thread", key: "tnone", ...makeAmounts(model, weights) }];
}

/** Of what a trace doesn't list, threads are not known. */
export const knowsThreads = (model: Model, { from }: View): boolean => model.hasRanges && !!model.process.threads?.length && (!model.isPartial || from >= 0);

/** Of a comparison, what the width of a frame says. */
function widths(before: Float64Array, after: Float64Array, width: State["width"]): Float64Array {
  return width === "new" ? after : width === "old" ? before : after.map((amount, i) => Math.abs(amount - before[i]!));
}

export function makeGroups(model: Model, view: View, split: State["split"], width: State["width"]): Group[] {
  if (split === "thread" && knowsThreads(model, view)) return byThread(model, view).filter((group) => group.totals[0]! > 0);
  const after = model.weights(view), before = model.isDiff ? model.oldWeights(view) : null;
  const weights = before ? widths(before, after, width) : after;
  const isSplit = ["tag", "kind", "module"].includes(split) || (split === "process" && !!model.process.owner);
  if (!isSplit) return [{ title: "", key: "", ...makeAmounts(model, weights), ...(before ? { before: makeAmounts(model, before), after: makeAmounts(model, after) } : {}) }];
  const parts = boundParts(partsOf(model, split), weights);
  const own = divide(weights, parts), olds = before && divide(before, parts), news = before && divide(after, parts);
  const groups = parts.titles.map((title, i): Group => ({ title, key: keyOf(title), ...makeAmounts(model, own[i]!), ...(olds ? { before: makeAmounts(model, olds[i]!), after: makeAmounts(model, news![i]!) } : {}) }));
  const shown = groups.filter((group) => group.totals[0]! > 0);
  return shown.length ? shown : groups.slice(0, 1);
}
