// The tree that is drawn, made from the model's nodes only as far as it is wide enough to be seen: callers at the root, or inverted (innermost
// frames at the root). Frames that are hidden give what they hold to their callers; frames of one line, or function, are one.
import type { Model } from "./model";

export interface Item {
  key: string;            // among its siblings
  frame: number;          // 0: the root, a group, or folded stacks
  label: string;          // of a group
  total: number;
  self: number;
  before: number;         // of a diff: the total in the other trace
  group: Group;
  nodes: number[];        // model nodes that it stands for (inverted: where the ways upward stand)
  amounts: number[] | null; // inverted: what comes along each of them
  parent: Item | null;
  children: Item[] | null;
}

export interface Group { title: string; key: string; weights: Float64Array; totals: Float64Array }

export interface TreeOptions { invert: boolean; frames: "line" | "function"; imports: boolean; interpreter: boolean }

export class Tree {
  readonly root: Item;
  private readonly hidden: Uint8Array;
  private readonly keys: Int32Array;

  constructor(readonly model: Model, groups: Group[], readonly options: TreeOptions, rootTitle: string) {
    this.keys = options.frames === "line" ? model.lineKey : model.functionKey;
    this.hidden = new Uint8Array(model.nodeCount);
    const { interpreter } = model.process.nodes, { origin } = model.process.frames;
    for (let i = 1; i < model.nodeCount; i++) {
      const frame = model.frame[i]!;
      if ((!options.interpreter && interpreter[i]) || (!options.imports && frame && origin[frame] === 3)) this.hidden[i] = 1;
    }
    const total = groups.reduce((sum, group) => sum + group.totals[0]!, 0);
    this.root = { key: "", frame: 0, label: rootTitle, total, self: 0, before: 0, group: groups[0]!, nodes: [], amounts: null, parent: null, children: null };
    const tops = groups.map((group) => this.top(group));
    if (tops.length === 1) this.root = { ...tops[0]!, label: rootTitle, key: "" };
    else {
      this.root.children = tops.filter((item) => item.total > 0).sort((a, b) => b.total - a.total);
      for (const item of this.root.children) item.parent = this.root;
    }
  }

  private top(group: Group): Item {
    const item: Item = { key: group.key, frame: 0, label: group.title, total: group.totals[0]!, self: group.weights[0]!, before: 0, group, nodes: [0], amounts: null, parent: null, children: null };
    if (this.options.invert) {
      item.nodes = [];
      item.amounts = [];
      for (let i = 1; i < this.model.nodeCount; i++) if (group.weights[i]! > 0) { item.nodes.push(i); item.amounts.push(group.weights[i]!); }
    }
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

  private make(parent: Item, key: number): Item {
    return { key: String(key), frame: key, label: "", total: 0, self: 0, before: 0, group: parent.group, nodes: [], amounts: null, parent, children: null };
  }

  private expandDown(item: Item): Item[] {
    const { model, hidden } = this, { totals, weights } = item.group;
    const found = new Map<number, Item>();
    const pending = item.nodes.slice();
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      for (let i = model.firstChild[node]!; i < model.firstChild[node + 1]!; i++) {
        const child = model.children[i]!;
        if (!(totals[child]! > 0)) continue;
        if (hidden[child]) { pending.push(child); item.self += weights[child]!; continue; }
        const key = this.keyOf(child);
        let into = found.get(key);
        if (!into) found.set(key, (into = this.make(item, key)));
        into.nodes.push(child);
        into.total += totals[child]!;
        into.self += weights[child]!;
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
    const found = new Map<number, Item>();
    const isTop = item.label !== ""; // its nodes are the innermost ones themselves
    item.nodes.forEach((at, i) => {
      const node = this.visible(isTop ? at : this.model.parent[at]!);
      if (!node) { item.self += item.amounts![i]!; return; }
      const key = this.keyOf(node);
      let into = found.get(key);
      if (!into) { found.set(key, (into = this.make(item, key))); into.amounts = []; }
      into.nodes.push(node);
      into.amounts!.push(item.amounts![i]!);
      into.total += item.amounts![i]!;
    });
    return [...found.values()].sort((a, b) => b.total - a.total || a.frame - b.frame);
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
    if (!item.frame) return "(folded small stacks)";
    return this.model.label(item.frame, this.options.frames === "line");
  }
}
