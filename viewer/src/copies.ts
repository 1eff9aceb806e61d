// Copies as from where to how much: which of the program's own lines cause them, and where the bytes are moved.
import { cssColor, h, svg } from "./dom";
import { formatBytes, formatCount, formatExact, formatShare } from "./format";
import { COSTS, type Model } from "./model";
import type { State } from "./state";

interface Flow { from: number; to: number; bytes: number; copies: number }
const SHOWN = 14, WIDTH = 1000, BAR = 10, GAP = 7;

function flows(model: Model, state: State): Flow[] {
  const cost = COSTS.find((c) => c.key === "copied")!;
  const bytes = model.weights({ cost, unit: "bytes", from: state.from, to: state.to }), copies = model.weights({ cost, unit: "count", from: state.from, to: state.to });
  const { origin } = model.process.frames;
  const found = new Map<string, Flow>();
  for (let node = 0; node < model.nodeCount; node++) {
    if (!bytes[node] && !copies[node]) continue;
    let at = node;
    while (at && ![0, 4].includes(origin[model.frame[at]!]!)) at = model.parent[at]!;
    const from = at ? model.lineKey[model.frame[at]!]! : 0;
    const frame = model.lineFrame[node]! || model.frame[node]!;
    const to = frame ? model.lineKey[frame]! : 0;
    const key = `${from} ${to}`;
    let flow = found.get(key);
    if (!flow) found.set(key, (flow = { from, to, bytes: 0, copies: 0 }));
    flow.bytes += bytes[node]!;
    flow.copies += copies[node]!;
  }
  return [...found.values()].sort((a, b) => b.bytes - a.bytes);
}

function sums(list: Flow[], side: "from" | "to"): Map<number, number> {
  const found = new Map<number, number>();
  for (const flow of list) found.set(flow[side], (found.get(flow[side]) ?? 0) + flow.bytes);
  return new Map([...found].sort((a, b) => b[1] - a[1]));
}

function diagram(list: Flow[], total: number, name: (frame: number, side: "from" | "to") => string): SVGElement {
  const shown = list.slice(0, 40).filter((f) => f.bytes > total / 500);
  const side = (key: "from" | "to") => [...sums(shown, key)].slice(0, SHOWN);
  const first = side("from"), second = side("to");
  const drawn = shown.filter((f) => first.some(([k]) => k === f.from) && second.some(([k]) => k === f.to));
  const left = first.filter(([k]) => drawn.some((f) => f.from === k)), right = second.filter(([k]) => drawn.some((f) => f.to === k));
  const drawnTotal = drawn.reduce((s, f) => s + f.bytes, 0) || 1;
  const rows = Math.max(left.length, right.length), height = Math.max(160, rows * 30);
  const place = (entries: [number, number][], key: "from" | "to") => {
    const sizes = entries.map(([k]) => drawn.filter((f) => f[key] === k).reduce((s, f) => s + f.bytes, 0));
    const room = height - GAP * (entries.length - 1) - 20;
    const heights = sizes.map((s) => Math.max(1.5, (s / drawnTotal) * Math.max(room - 16 * entries.length, 20)));
    const slots = heights.map((v) => Math.max(v, 18));
    let y = Math.max(0, (height - slots.reduce((a, b) => a + b + GAP, -GAP)) / 2);
    return new Map(entries.map(([k], i) => { const at = { y: y + (slots[i]! - heights[i]!) / 2, height: heights[i]!, used: 0, size: sizes[i]! }; y += slots[i]! + GAP; return [k, at]; }));
  };
  const leftPlaces = place(left, "from"), rightPlaces = place(right, "to");
  const bottom = Math.max(...[...leftPlaces.values(), ...rightPlaces.values()].map((p) => p.y + p.height + 16), 60);
  const x1 = 340, x2 = WIDTH - 340;
  const color = cssColor("--accent");
  const picture = svg("svg", { class: "sankey", viewBox: `0 0 ${WIDTH} ${bottom}`, role: "img", "aria-label": "Copies: from the program's lines on the left to the lines that copy on the right; the table below holds the same figures" });
  for (const flow of drawn) {
    const a = leftPlaces.get(flow.from)!, b = rightPlaces.get(flow.to)!;
    const ha = (flow.bytes / (a.size || 1)) * a.height, hb = (flow.bytes / (b.size || 1)) * b.height;
    const y1 = a.y + a.used, y2 = b.y + b.used, xa = x1 + BAR, xb = x2, m = (xa + xb) / 2;
    a.used += ha; b.used += hb;
    picture.append(svg("path", { class: "flow", fill: color, d: `M${xa} ${y1}C${m} ${y1} ${m} ${y2} ${xb} ${y2}L${xb} ${y2 + hb}C${m} ${y2 + hb} ${m} ${y1 + ha} ${xa} ${y1 + ha}Z` },
      svg("title", null, `${name(flow.from, "from")} → ${name(flow.to, "to")}: ${formatBytes(flow.bytes)} in ${formatCount(flow.copies)} copies`)));
  }
  const labels = (places: typeof leftPlaces, isLeft: boolean) => {
    for (const [frame, at] of places) {
      const x = isLeft ? x1 : x2, middle = at.y + at.height / 2;
      const text = name(frame, isLeft ? "from" : "to");
      picture.append(svg("rect", { class: "end", x, y: at.y, width: BAR, height: at.height }),
        svg("text", { x: isLeft ? x - 8 : x + BAR + 8, y: middle + 4, "text-anchor": isLeft ? "end" : "start" }, svg("tspan", null, text.length > 40 ? `…${text.slice(-39)}` : text), svg("tspan", { class: "amount", dx: 7 }, formatBytes(at.size))));
    }
  };
  labels(leftPlaces, true);
  labels(rightPlaces, false);
  return picture;
}

export function showCopies(element: HTMLElement, model: Model, state: State, open: (path: string, line: number) => void): void {
  const list = flows(model, state);
  const total = list.reduce((sum, flow) => sum + flow.bytes, 0), count = list.reduce((sum, flow) => sum + flow.copies, 0);
  const name = (frame: number, side: "from" | "to") => frame ? model.place(frame) ? `${model.place(frame)} ${model.functionName(frame)}` : model.functionName(frame) : side === "from" ? "no line of the program" : "folded small stacks";
  if (!total) {
    element.replaceChildren(h("p", { class: "lead" }, "No copies were recorded", state.from >= 0 ? " in this range." : "."));
    return;
  }
  const table = h("table", null, h("thead", null, h("tr", null, ...["your line", "copies at", "in", "copied", "share", "copies", "a copy"].map((t, i) => h("th", { scope: "col", class: i > 2 ? "number" : null }, t)))));
  const body = h("tbody");
  const link = (frame: number, side: "from" | "to") => frame && model.process.frames.line[frame]! > 0 ? h("button", { type: "button", class: "link", click: () => open(model.file(frame), model.process.frames.line[frame]!) }, model.place(frame)) : name(frame, side);
  for (const flow of list.slice(0, 200))
    body.append(h("tr", null, h("th", { scope: "row", class: "place" }, link(flow.from, "from")), h("td", { class: "place" }, flow.from === flow.to ? h("span", { class: "dim" }, "the same line") : link(flow.to, "to")),
      h("td", { class: "function" }, flow.to ? model.functionName(flow.to) : ""), h("td", { class: "number bytes", "data-value": flow.bytes, title: `${formatExact(flow.bytes)} bytes`, style: `--share:${((100 * flow.bytes) / total).toFixed(2)}%` }, formatBytes(flow.bytes)),
      h("td", { class: "number" }, formatShare(flow.bytes / total)), h("td", { class: "number" }, formatCount(flow.copies)), h("td", { class: "number" }, flow.copies ? formatBytes(flow.bytes / flow.copies) : "")));
  table.append(body);
  element.replaceChildren(
    h("p", { class: "lead" }, h("strong", { "data-copied": total }, `${formatBytes(total)} were copied`), ` in ${formatCount(count)} copies. On the left the lines of your code that caused them, on the right where the bytes moved.`),
    h("div", { class: "sankey-box" }, diagram(list.filter((f) => f.to && !model.functionName(f.to).startsWith("copies below ")), total, name)),
    h("div", { class: "table-box copies-table", tabindex: 0, role: "region", "aria-label": "Copies" }, table));
}
