// The tree that is drawn, made from the model's nodes only as far as it is wide enough to be seen: callers at the root, or inverted (innermost
// frames at the root). Frames that are hidden give what they hold to their callers; frames of one line, or function, are one.
import { TAG } from "./data";
import type { Model } from "./model";

const FOLDED = "(folded small stacks)";
export interface Matched { total: number; before: number; after: number }

export interface Item {
  key: string;            // among its siblings
  frame: number;          // 0: the root, a group, or folded stacks
  label: string;          // of a group
  total: number;          // what its width says
  self: number;
  before: number;         // of a comparison: the totals in both traces
  after: number;
  group: Group;
  nodes: number[];        // model nodes that it stands for (inverted: where the ways upward stand)
  starts: number[] | null; // inverted: the innermost node of each way, whose amounts come along
  parent: Item | null;
  children: Item[] | null;
}

/** Of single nodes, and with all below them. */
export interface Amounts { weights: Float64Array; totals: Float64Array }
export interface Group extends Amounts { title: string; key: string; before?: Amounts; after?: Amounts }

export interface TreeOptions { invert: boolean; frames: "line" | "function"; imports: boolean; interpreter: boolean; tags: boolean }

export class Tree {
  readonly root: Item;
  private readonly hidden: Uint8Array;
  private readonly keys: Int32Array;

  constructor(readonly model: Model, groups: Group[], readonly options: TreeOptions, rootTitle: string) {
    this.keys = options.frames === "line" ? model.lineKey : model.functionKey;
    this.hidden = new Uint8Array(model.nodeCount);
    const { interpreter, folded } = model.process.nodes, { origin, kind } = model.process.frames;
    for (let i = 1; i < model.nodeCount; i++) {
      const frame = model.frame[i]!;
      if ((!options.interpreter && interpreter[i]) || (!frame && !folded[i]) || (frame && ((!options.imports && origin[frame] === 3) || (!options.tags && kind[frame] === TAG)))) this.hidden[i] = 1;
    }
    const tops = groups.map((group) => this.top(group));
    if (tops.length === 1 && !groups[0]!.title) this.root = { ...tops[0]!, label: rootTitle, key: "" };
    else {
      const sum = (amount: (item: Item) => number) => tops.reduce((total, item) => total + amount(item), 0);
      this.root = { ...this.make(null, groups[0]!, ""), label: rootTitle, total: sum((i) => i.total), before: sum((i) => i.before), after: sum((i) => i.after) };
      this.root.children = tops.filter((item) => item.total > 0).sort((a, b) => b.total - a.total);
      for (const item of this.root.children) item.parent = this.root;
    }
  }

  private make(parent: Item | null, group: Group, key: string, frame = 0): Item {
    return { key, frame, label: "", total: 0, self: 0, before: 0, after: 0, group, nodes: [], starts: this.options.invert ? [] : null, parent, children: null };
  }

  private top(group: Group): Item {
    const { weights, totals, before, after } = group;
    const item: Item = { ...this.make(null, group, group.key), label: group.title, total: totals[0]!, self: weights[0]!, before: before?.totals[0] ?? 0, after: after?.totals[0] ?? 0 };
    if (!item.starts) item.nodes = [0];
    else for (let i = 1; i < this.model.nodeCount; i++) if (weights[i]! > 0) { item.nodes.push(i); item.starts.push(i); }
    return item;
  }

  children(item: Item): Item[] {
    if (!item.children) item.children = this.options.invert ? this.expandUp(item) : this.expandDown(item);
    return item.children;
  }

  private keyOf(node: number): number {
    const frame = this.model.frame[node]!;
    return frame ? this.keys[frame]! : 0;
  }

  private expandDown(item: Item): Item[] {
    const { model, hidden } = this, { totals, weights, before, after } = item.group;
    const found = new Map<number, Item>();
    const pending = item.nodes.slice();
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      for (let i = model.firstChild[node]!; i < model.firstChild[node + 1]!; i++) {
        const child = model.children[i]!;
        if (!(totals[child]! > 0)) continue;
        if (hidden[child]) { pending.push(child); item.self += weights[child]!; continue; }
        const key = this.keyOf(child);
        let into = found.get(key);
        if (!into) found.set(key, (into = this.make(item, item.group, String(key), key)));
        into.nodes.push(child);
        into.total += totals[child]!;
        into.self += weights[child]!;
        if (before) { into.before += before.totals[child]!; into.after += after!.totals[child]!; }
      }
    }
    return [...found.values()].sort((a, b) => b.total - a.total || a.frame - b.frame);
  }

  /** The first caller that is shown; 0: none. The way begins at the node itself when `node` is a leaf. */
  private visible(node: number): number {
    while (node && this.hidden[node]) node = this.model.parent[node]!;
    return node;
  }

  private expandUp(item: Item): Item[] {
    const { weights, before, after } = item.group;
    const found = new Map<number, Item>();
    const isTop = item.label !== ""; // its nodes are the innermost ones themselves
    item.nodes.forEach((at, i) => {
      const start = item.starts![i]!, node = this.visible(isTop ? at : this.model.parent[at]!);
      if (!node) { item.self += weights[start]!; return; }
      const key = this.keyOf(node);
      let into = found.get(key);
      if (!into) found.set(key, (into = this.make(item, item.group, String(key), key)));
      into.nodes.push(node);
      into.starts!.push(start);
      into.total += weights[start]!;
      if (before) { into.before += before.weights[start]!; into.after += after!.weights[start]!; }
    });
    return [...found.values()].sort((a, b) => b.total - a.total || a.frame - b.frame);
  }

  /** What stacks below an item hold that have a frame that matches; each stack once. Items that nobody has looked at yet aren't made for it. */
  matched(item: Item, search: RegExp): Matched {
    const { model, hidden } = this, isFunction = this.options.frames === "function";
    const hits = new Uint8Array(model.frameCount);
    for (let f = 1; f < model.frameCount; f++) if (this.keys[f] === f) hits[f] = search.test(model.label(f, !isFunction)) ? 1 : 0;
    const isFolded = search.test(FOLDED), on = new Uint8Array(model.nodeCount);
    for (let i = 1; i < model.nodeCount; i++) {
      const frame = model.frame[i]!;
      on[i] = on[model.parent[i]!] || (!hidden[i] && (frame ? hits[this.keys[frame]!]! : isFolded)) ? 1 : 0;
    }
    const sum: Matched = { total: 0, before: 0, after: 0 };
    const all = (of: Item) => { sum.total += of.total; sum.before += of.before; sum.after += of.after; };
    const count = (of: Item) => {
      const { weights, before, after } = of.group;
      const add = (node: number) => { sum.total += weights[node]!; if (before) { sum.before += before.weights[node]!; sum.after += after!.weights[node]!; } };
      if (of.starts) { of.nodes.forEach((node, i) => { if (on[node]) add(of.starts![i]!); }); return; }
      const inside = new Uint8Array(model.nodeCount);
      for (const node of of.nodes) inside[node] = 1;
      for (let i = of.nodes.reduce((first, node) => Math.min(first, node)); i < model.nodeCount; i++) {
        if (i) inside[i]! |= inside[model.parent[i]!]!;
        if (inside[i] && on[i]) add(i);
      }
    };
    let above: Item | null = item;
    while (above && !(above.frame ? hits[above.frame] : above.parent && search.test(this.title(above)))) above = above.parent;
    if (above) all(item);
    else if (item.nodes.length) count(item);
    else for (const group of item.children ?? []) if (search.test(this.title(group))) all(group); else count(group);
    return sum;
  }

  /** A frame with the line that an item stands for: of the several lines of a function, the one that holds most of it. And how many there are. */
  lineOf(item: Item): { frame: number; count: number } {
    if (!item.frame || this.options.frames === "line") return { frame: item.frame, count: 1 };
    const { model } = this, { totals, weights } = item.group, sums = new Map<number, number>();
    item.nodes.forEach((node, i) => {
      const line = model.lineKey[model.frame[this.visible(node)]!]!;
      sums.set(line, (sums.get(line) ?? 0) + (item.starts ? weights[item.starts[i]!]! : totals[node]!));
    });
    const [frame] = [...sums].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [item.frame, -1] as [number, number]);
    return { frame, count: sums.size };
  }

  /** The item at a path of keys from the root, or as near to it as there is one. */
  find(path: string): Item {
    let item = this.root;
    for (const key of path ? path.split(".") : []) {
      const next = this.children(item).find((child) => child.key === key);
      if (!next) break;
      item = next;
    }
    return item;
  }

  path(item: Item): string {
    const keys: string[] = [];
    for (let at: Item | null = item; at && at.parent; at = at.parent) keys.unshift(at.key);
    return keys.join(".");
  }

  title(item: Item): string {
    if (item.label) return item.label;
    if (!item.frame) return FOLDED;
    return this.model.label(item.frame, this.options.frames === "line");
  }
}
