// The flame graph: a canvas on which only what is wide enough is drawn. Keys move through it; a line below says what the pointer or the
// keys are on, and screen readers hear it. Of a comparison, red frames grew and blue ones shrank; paler, by a smaller part of what they held.
import { announce, cssColor, h, mixColors, TextFitter } from "./dom";
import { formatDelta, formatShare } from "./format";
import { KINDS, TAG } from "./data";
import { explain } from "./model";
import type { Item, Matched, Tree } from "./tree";

const ROW = 21, MIN_WIDTH = 0.6, TEXT_WIDTH = 28, PICK_MS = 120;
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

interface Box { item: Item; x: number; width: number; depth: number }

export interface FlameOptions {
  tree: Tree; zoomPath: string; layout: "icicle" | "flame"; search: RegExp | null; format: (value: number) => string; total: number; unitTitle: string;
  onZoom: (path: string, item: Item) => void; // also goes to its line
  onPick: (item: Item) => void;               // goes to its line
  onOpen: (item: Item) => void; canOpen: (item: Item) => boolean; // its whole file
  bottom: () => number; // where the window's visible part ends
  diff: boolean; // of a comparison: amounts are changes
}

export class FlameView {
  readonly element: HTMLElement;
  private readonly frame: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly details: HTMLElement;
  private readonly tip: HTMLElement;
  private readonly trail: HTMLElement;
  private boxes: Box[] = [];
  private rows: Box[][] = [];
  private options!: FlameOptions;
  private zoomed!: Item;
  private current: Box | null = null;
  rowLimit = Infinity;     // deeper frames aren't drawn
  private clicked: Item | null = null;
  private readonly cutNote = h("p", { class: "cut-note dim", hidden: true });
  private picking = 0;
  private matched: Matched = { total: 0, before: 0, after: 0 };
  private readonly fitter = new TextFitter(FONT);
  private changes: string[] = []; // colours, from what shrank to nothing to what is new
  private zoomDepth = 0;
  private width = 0;
  private height = 0;
  private colors: Record<string, string> = {};

  constructor() {
    this.canvas = h("canvas", { tabindex: 0, role: "application", "aria-roledescription": "flame graph", "aria-describedby": "flame-help" });
    this.details = h("div", { class: "flame-details" });
    this.trail = h("nav", { class: "trail", "aria-label": "Zoomed into" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.element = h("div", { class: "flame" }, this.trail, h("div", { class: "flame-box" }, this.canvas, this.tip), this.cutNote, this.details,
      h("p", { id: "flame-help", class: "visually-hidden" },
        "Arrow keys move between frames, and the source pane below to their lines. Enter zooms in, Escape zooms out, S opens the whole source file. The Tables tab holds the same figures as text."));
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("mouseleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("dblclick", () => { if (this.clicked && this.options.canOpen(this.clicked)) this.options.onOpen(this.clicked); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("focus", () => { if (!this.current && this.boxes.length) this.point(this.boxes[0]!, false); });
    this.frame = this.element.querySelector<HTMLElement>(".flame-box")!;
    new ResizeObserver(() => { if (this.options && this.frame.clientWidth && this.frame.clientWidth !== this.width) this.draw(); }).observe(this.frame);
  }

  show(options: FlameOptions): void {
    this.options = options;
    this.zoomed = options.tree.find(options.zoomPath);
    this.current = null;
    clearTimeout(this.picking);
    this.layout();
    this.draw();
    this.showTrail();
    this.describe(null);
  }

  /** What is drawn, for tests and for printing: every box with its text and figures. */
  get drawn(): { title: string; total: number; self: number; before: number; after: number; depth: number; x: number; width: number }[] {
    return this.boxes.map(({ item, depth, x, width }) => ({ title: this.options.tree.title(item), total: item.total, self: item.self, before: item.before, after: item.after, depth, x, width }));
  }
  get matchedTotal(): number { return this.matched.total; }

  private layout(): void {
    const { tree, search } = this.options;
    this.width = Math.max(this.frame.clientWidth, 200);
    this.boxes = [];
    this.rows = [];
    this.matched = search ? tree.matched(this.zoomed, search) : { total: 0, before: 0, after: 0 };
    const ways: Item[] = [];
    for (let at: Item | null = this.zoomed; at; at = at.parent) ways.unshift(at);
    const put = (item: Item, x: number, width: number, depth: number) => {
      const box = { item, x, width, depth };
      this.boxes.push(box);
      (this.rows[depth] ??= []).push(box);
    };
    this.zoomDepth = ways.length - 1;
    ways.forEach((item, depth) => put(item, 0, this.width, depth));
    let isCut = false;
    const visit = (item: Item, x: number, scale: number, depth: number) => {
      if (depth >= this.rowLimit) { isCut = true; return; }
      for (const child of tree.children(item)) {
        const width = child.total * scale;
        if (width < MIN_WIDTH) break; // the others are narrower still
        put(child, x, width, depth);
        visit(child, x, scale, depth + 1);
        x += width;
      }
    };
    if (this.zoomed.total > 0) visit(this.zoomed, 0, this.width / this.zoomed.total, ways.length);
    this.height = Math.max(this.rows.length, 12) * ROW + 2;
    this.cutNote.hidden = !isCut;
    this.cutNote.textContent = `Frames below the first ${this.rowLimit} rows are not on paper: zoom in to print them.`;
  }

  private rowTop(depth: number): number {
    return this.options.layout === "icicle" ? depth * ROW : this.height - 2 - (depth + 1) * ROW;
  }

  draw(): void {
    if (this.frame.clientWidth && this.frame.clientWidth !== this.width) this.layout();
    const ratio = window.devicePixelRatio || 1, { canvas } = this;
    canvas.width = this.width * ratio;
    canvas.height = this.height * ratio;
    canvas.style.width = `${this.width}px`;
    canvas.style.height = `${this.height}px`;
    canvas.setAttribute("aria-label", `${this.options.unitTitle}: ${this.options.tree.title(this.zoomed)}, ${this.amount(this.zoomed)}, ${this.boxes.length} frames drawn`);
    const context = canvas.getContext("2d")!;
    context.scale(ratio, ratio);
    context.font = FONT;
    context.textBaseline = "middle";
    for (const name of ["user", "package", "stdlib", "import", "native", "system", "group", "folded", "tag"]) this.colors[name] = cssColor(`--flame-${name}`);
    this.colors.text = cssColor("--flame-text");
    this.colors.match = cssColor("--flame-match");
    this.colors.focus = cssColor("--focus");
    this.colors.dim = cssColor("--flame-dim");
    if (this.options.diff) this.changes = changeColors();
    for (const box of this.boxes) this.drawBox(context, box);
    if (this.current) this.drawFocus(context, this.current);
  }

  private color(item: Item): string {
    const { origin, kind } = this.options.tree.model.process.frames;
    if (this.options.diff) return this.changes[changeStep(item.before, item.after)]!;
    if (!item.frame) return item.label ? this.colors.group! : this.colors.folded!;
    if (kind[item.frame] === TAG) return this.colors.tag!;
    return this.colors[["user", "package", "stdlib", "import", "native", "system"][origin[item.frame]!] ?? "system"]!;
  }

  focus(): void { this.canvas.focus({ preventScroll: true }); }
  /** For screen readers. */
  amountText(item: Item): string { return `${this.amount(item)}, ${this.share(item)}`; }

  /** What an item holds; of a comparison, by how much that changed. */
  private amount(item: Item): string {
    const { diff, format } = this.options;
    return diff ? formatDelta(item.after - item.before, format) : format(item.total);
  }

  private share(item: Item): string {
    const { diff, total } = this.options;
    if (!diff) return formatShare(total ? item.total / total : 0);
    return item.before ? `${formatDelta((item.after - item.before) / item.before, formatShare)}, ${this.options.format(item.before)} → ${this.options.format(item.after)}` : `new, 0 → ${this.options.format(item.after)}`;
  }

  private drawBox(context: CanvasRenderingContext2D, box: Box): void {
    const { search, tree } = this.options;
    const y = this.rowTop(box.depth), gap = box.width > 3 ? 1 : 0;
    const isAbove = box.depth < this.zoomDepth;
    const isMatch = search && search.test(tree.title(box.item));
    context.globalAlpha = isAbove ? 0.45 : search && !isMatch ? 0.32 : 1;
    context.fillStyle = isMatch ? this.colors.match! : this.color(box.item);
    context.fillRect(box.x, y + 1, box.width - gap, ROW - 1);
    if (isMatch) { // a mark beside the colour
      context.fillStyle = this.colors.text!;
      context.fillRect(box.x, y + ROW - 2, box.width - gap, 2);
    }
    if (box.width > TEXT_WIDTH) this.drawText(context, box, y);
    context.globalAlpha = 1;
  }

  private drawText(context: CanvasRenderingContext2D, box: Box, y: number): void {
    const { tree } = this.options, { item } = box, { fitter } = this;
    const room = box.width - 9, base = y + ROW / 2 + 1;
    context.fillStyle = this.colors.text!;
    const place = item.frame ? tree.model.place(item.frame, tree.options.frames === "line") : "";
    const amount = this.amount(item), amountWidth = fitter.width(amount) + 12;
    const showAmount = room > amountWidth + 60;
    const left = room - (showAmount ? amountWidth : 0);
    const title = fitter.fit(item.frame ? tree.model.functionName(item.frame) : tree.title(item), left);
    context.fillText(title, box.x + 5, base);
    const used = fitter.width(title) + 8;
    context.globalAlpha *= 0.72;
    if (place && left - used > 46) context.fillText(fitter.fit(place, left - used), box.x + 5 + used, base);
    if (showAmount) { context.textAlign = "right"; context.fillText(amount, box.x + box.width - 6, base); context.textAlign = "left"; }
  }

  private drawFocus(context: CanvasRenderingContext2D, box: Box): void {
    context.strokeStyle = this.colors.focus!;
    context.lineWidth = 2;
    context.strokeRect(box.x + 1, this.rowTop(box.depth) + 2, Math.max(box.width - 3, 2), ROW - 3);
  }

  private at(event: MouseEvent): Box | null {
    const bounds = this.canvas.getBoundingClientRect();
    const x = event.clientX - bounds.left, y = event.clientY - bounds.top;
    const depth = this.options.layout === "icicle" ? Math.floor(y / ROW) : Math.floor((this.height - 2 - y) / ROW);
    return this.rows[depth]?.find((box) => x >= box.x && x < box.x + box.width) ?? null;
  }

  private hover(event: MouseEvent): void {
    const box = this.at(event);
    this.tip.hidden = !box;
    this.canvas.style.cursor = box ? "pointer" : "default";
    if (!box) return;
    this.tip.replaceChildren(...this.tipContent(box.item));
    const bounds = this.canvas.getBoundingClientRect(), x = event.clientX - bounds.left, y = event.clientY - bounds.top;
    const w = this.tip.offsetWidth, hgt = this.tip.offsetHeight;
    this.tip.style.left = `${Math.max(0, Math.min(x + 14, this.width - w - 4))}px`;
    this.tip.style.top = `${event.clientY + hgt + 30 > window.innerHeight ? y - hgt - 12 : y + 18}px`;
  }

  private tipContent(item: Item): Node[] {
    const { tree, format, diff } = this.options, { model } = tree;
    const nodes: Node[] = [h("strong", null, item.frame ? model.functionName(item.frame) : tree.title(item))];
    if (item.frame) nodes.push(h("div", { class: "dim" }, model.place(item.frame, tree.options.frames === "line") || KINDS[model.process.frames.kind[item.frame]!] || ""));
    const meaning = item.frame ? explain(model.functionName(item.frame)) : "";
    if (meaning) nodes.push(h("div", { class: "dim" }, meaning));
    nodes.push(h("div", null, diff ? `${this.amount(item)} (${this.share(item)})` : `${format(item.total)} · ${this.share(item)} of all`));
    if (item.total !== this.zoomed.total && this.zoomed.parent && !diff) nodes.push(h("div", null, `${formatShare(item.total / this.zoomed.total)} of what is zoomed into`));
    tree.children(item);
    if (item.self > 0 && !diff) nodes.push(h("div", { class: "dim" }, `${format(item.self)} ${tree.options.invert ? "came from here directly" : "in itself"}`));
    return nodes;
  }

  private describe(box: Box | null): void {
    const { tree, search, format, diff } = this.options, { matched } = this;
    const parts: (Node | string)[] = [];
    if (search) parts.push(h("span", { class: "match-note" }, diff
      ? `found: ${formatDelta(matched.after - matched.before, format)} (${format(matched.before)} → ${format(matched.after)})`
      : `found: ${format(matched.total)} (${formatShare(this.zoomed.total ? matched.total / this.zoomed.total : 0)})`));
    if (box) {
      const { item } = box;
      parts.push(h("strong", null, tree.title(item)), h("span", null, diff ? `${this.amount(item)} (${this.share(item)})` : `${this.amount(item)} · ${this.share(item)}`));
      if (this.options.canOpen(item)) parts.push(h("button", { type: "button", class: "link", click: () => this.options.onOpen(item) }, "open source file (S)"));
    } else parts.push(h("span", { class: "dim" }, "Click a frame to zoom into it and to see its source line; double-click for its whole file. Arrow keys, Enter, Esc and S do the same."));
    this.details.replaceChildren(...parts);
  }

  private point(box: Box, speak = true): void {
    this.current = box;
    this.draw();
    this.describe(box);
    if (speak) announce(`${this.options.tree.title(box.item)}, ${this.amount(box.item)}, ${this.share(box.item)}`);
    const y = this.rowTop(box.depth) + this.canvas.getBoundingClientRect().top, bottom = this.options.bottom();
    if (y < 0 || y > bottom - ROW) window.scrollBy(0, y - bottom / 2);
  }

  private zoom(item: Item): void { this.options.onZoom(this.options.tree.path(item), item); }

  /** Keys may go on at once: the line follows where they rest. */
  private pickSoon(item: Item): void {
    clearTimeout(this.picking);
    this.picking = window.setTimeout(() => this.options.onPick(item), PICK_MS);
  }

  private click(event: MouseEvent): void {
    const box = this.at(event);
    if (!box) return;
    this.tip.hidden = true;
    if (event.detail > 1) return;
    const path = this.options.tree.path(box.item);
    this.clicked = box.item;
    clearTimeout(this.picking);
    if (box.item === this.zoomed) { this.point(box, false); this.options.onPick(box.item); }
    else {
      this.options.onZoom(path, box.item);
      const again = this.boxes.find((other) => this.options.tree.path(other.item) === path);
      if (again) this.point(again, false);
    }
  }

  private key(event: KeyboardEvent): void {
    const box = this.current ?? this.boxes[0];
    if (!box) return;
    const row = this.rows[box.depth]!, index = row.indexOf(box);
    const inward = this.options.layout === "icicle" ? "ArrowDown" : "ArrowUp", outward = this.options.layout === "icicle" ? "ArrowUp" : "ArrowDown";
    let next: Box | undefined;
    if (event.key === "ArrowRight") next = row[index + 1];
    else if (event.key === "ArrowLeft") next = row[index - 1];
    else if (event.key === inward) next = this.rows[box.depth + 1]?.find((other) => other.item.parent === box.item) ?? (box.depth < this.zoomDepth ? this.rows[box.depth + 1]?.[0] : undefined);
    else if (event.key === outward) next = this.rows[box.depth - 1]?.find((other) => other.item === box.item.parent);
    else if (event.key === "Home") next = this.boxes[0];
    else if (event.key === "Enter" || event.key === " ") { this.zoom(box.item); this.refocus(box.item); }
    else if (event.key === "Escape") { const up = this.zoomed.parent ?? this.zoomed; this.zoom(up); this.refocus(up); }
    else if (event.key === "s" && this.options.canOpen(box.item)) { this.options.onOpen(box.item); }
    else return;
    event.preventDefault();
    if (next) { this.point(next); this.pickSoon(next.item); }
  }

  private refocus(item: Item): void {
    const path = this.options.tree.path(item);
    const box = this.boxes.find((other) => this.options.tree.path(other.item) === path);
    clearTimeout(this.picking);
    if (box) this.point(box, false);
    this.canvas.focus({ preventScroll: true });
  }

  private showTrail(): void {
    const ways: Item[] = [];
    for (let at: Item | null = this.zoomed; at; at = at.parent) ways.unshift(at);
    this.trail.hidden = ways.length < 2;
    this.trail.replaceChildren();
    if (ways.length < 2) return;
    const shown = ways.length > 6 ? [ways[0]!, ...ways.slice(-4)] : ways;
    this.trail.append(h("button", { type: "button", class: "small", click: () => this.zoom(ways[0]!) }, "reset zoom"));
    shown.forEach((item, i) => {
      if (i) this.trail.append(h("span", { class: "dim", "aria-hidden": "true" }, i === 1 && shown.length < ways.length ? " › … › " : " › "));
      const title = item.frame ? this.options.tree.model.functionName(item.frame) : this.options.tree.title(item);
      this.trail.append(i === shown.length - 1 ? h("strong", { "aria-current": "true" }, title) : h("button", { type: "button", class: "link", click: () => this.zoom(item) }, title));
    });
  }
}

const STEPS = 10;

function changeColors(): string[] {
  const none = cssColor("--diff-none"), grow = cssColor("--diff-grow"), shrink = cssColor("--diff-shrink");
  return Array.from({ length: 2 * STEPS + 1 }, (_, i) => i === STEPS ? none : mixColors(none, i > STEPS ? grow : shrink, 0.25 + 0.75 * Math.abs(i / STEPS - 1)));
}

/** 0: gone altogether, STEPS: as it was, 2 * STEPS: new. */
function changeStep(before: number, after: number): number {
  if (before === after) return STEPS;
  const part = (after - before) / Math.max(before, after);
  return STEPS + Math.sign(part) * Math.max(1, Math.round(Math.abs(part) * STEPS));
}
