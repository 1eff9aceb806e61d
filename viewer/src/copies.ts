// Copies as from where to how much: which of the program's own lines cause them, and where the bytes are moved.
import { cssColor, h, svg } from "./dom";
import { formatBytes, formatCount, formatDelta, formatExact, formatShare } from "./format";
import { COSTS, type Model } from "./model";
import type { State } from "./state";

interface Flow {
  from: number; to: number; bytes: number; copies: number;
  old: number;   // bytes in the other trace of a comparison
  width: number; // what the diagram draws: bytes, or by how many they changed
}
const ROWS = 60, MOST_ROWS = 1000; // of the table
const SHOWN = 14, WIDTH = 1000, BAR = 10, GAP = 7;

function flows(model: Model, state: State): Flow[] {
  const cost = COSTS.find((c) => c.key === "copied")!, olds = model.isDiff ? model.measure("copied_bytes", model.process.old_nodes) : null;
  const bytes = model.weights({ cost, unit: "bytes", from: state.from, to: state.to }), copies = model.weights({ cost, unit: "count", from: state.from, to: state.to });
  const { origin } = model.process.frames, froms = new Int32Array(model.nodeCount);
  const found = new Map<number, Flow>();
  for (let node = 0; node < model.nodeCount; node++) {
    const own = model.frame[node]!, isOwn = own && (origin[own] === 0 || origin[own] === 4);
    const from = (froms[node] = isOwn ? model.lineKey[own]! : froms[model.parent[node]!]!);
    if (!bytes[node] && !copies[node] && !olds?.[node]) continue;
    const frame = model.lineFrame[node]! || own, to = frame ? model.lineKey[frame]! : 0, key = from * model.frameCount + to;
    let flow = found.get(key);
    if (!flow) found.set(key, (flow = { from, to, bytes: 0, copies: 0, old: 0, width: 0 }));
    flow.bytes += bytes[node]!;
    flow.copies += copies[node]!;
    flow.old += olds?.[node] ?? 0;
  }
  for (const flow of found.values()) flow.width = olds ? Math.abs(flow.bytes - flow.old) : flow.bytes;
  return [...found.values()].sort((a, b) => b.width - a.width || b.bytes - a.bytes);
}

function sums(list: Flow[], side: "from" | "to"): Map<number, number> {
  const found = new Map<number, number>();
  for (const flow of list) found.set(flow[side], (found.get(flow[side]) ?? 0) + flow.width);
  return new Map([...found].sort((a, b) => b[1] - a[1]));
}

function diagram(list: Flow[], total: number, isDiff: boolean, name: (frame: number, side: "from" | "to") => string): SVGElement {
  const shown = list.slice(0, 40).filter((f) => f.width > total / 500);
  const side = (key: "from" | "to") => [...sums(shown, key)].slice(0, SHOWN);
  const first = side("from"), second = side("to");
  const drawn = shown.filter((f) => first.some(([k]) => k === f.from) && second.some(([k]) => k === f.to));
  const left = first.filter(([k]) => drawn.some((f) => f.from === k)), right = second.filter(([k]) => drawn.some((f) => f.to === k));
  const drawnTotal = drawn.reduce((s, f) => s + f.width, 0) || 1;
  const rows = Math.max(left.length, right.length), height = Math.max(160, rows * 30);
  const place = (entries: [number, number][], key: "from" | "to") => {
    const sizes = entries.map(([k]) => drawn.filter((f) => f[key] === k).reduce((s, f) => s + f.width, 0));
    const room = height - GAP * (entries.length - 1) - 20;
    const heights = sizes.map((s) => Math.max(1.5, (s / drawnTotal) * Math.max(room - 16 * entries.length, 20)));
    const slots = heights.map((v) => Math.max(v, 18));
    let y = Math.max(0, (height - slots.reduce((a, b) => a + b + GAP, -GAP)) / 2);
    return new Map(entries.map(([k], i) => { const at = { y: y + (slots[i]! - heights[i]!) / 2, height: heights[i]!, used: 0, size: sizes[i]! }; y += slots[i]! + GAP; return [k, at]; }));
  };
  const leftPlaces = place(left, "from"), rightPlaces = place(right, "to");
  const bottom = Math.max(...[...leftPlaces.values(), ...rightPlaces.values()].map((p) => p.y + p.height + 16), 60);
  const x1 = 340, x2 = WIDTH - 340;
  const color = cssColor("--accent"), grow = cssColor("--diff-grow"), shrink = cssColor("--diff-shrink");
  const picture = svg("svg", { class: "sankey", viewBox: `0 0 ${WIDTH} ${bottom}`, role: "img", "aria-label": isDiff ? "Copies that became more or fewer: from the program's lines on the left to the lines that copy on the right; the table below holds the same figures" : "Copies: from the program's lines on the left to the lines that copy on the right; the table below holds the same figures" });
  for (const flow of drawn) {
    const a = leftPlaces.get(flow.from)!, b = rightPlaces.get(flow.to)!;
    const ha = (flow.width / (a.size || 1)) * a.height, hb = (flow.width / (b.size || 1)) * b.height;
    const y1 = a.y + a.used, y2 = b.y + b.used, xa = x1 + BAR, xb = x2, m = (xa + xb) / 2;
    a.used += ha; b.used += hb;
    picture.append(svg("path", { class: isDiff ? "flow change" : "flow", fill: !isDiff ? color : flow.bytes > flow.old ? grow : shrink, d: `M${xa} ${y1}C${m} ${y1} ${m} ${y2} ${xb} ${y2}L${xb} ${y2 + hb}C${m} ${y2 + hb} ${m} ${y1 + ha} ${xa} ${y1 + ha}Z` },
      svg("title", null, `${name(flow.from, "from")} → ${name(flow.to, "to")}: ${isDiff ? `${formatDelta(flow.bytes - flow.old, formatBytes)}, ${formatBytes(flow.old)} → ${formatBytes(flow.bytes)}` : `${formatBytes(flow.bytes)} in ${formatCount(flow.copies)} copies`}`)));
  }
  const labels = (places: typeof leftPlaces, isLeft: boolean) => {
    for (const [frame, at] of places) {
      const x = isLeft ? x1 : x2, middle = at.y + at.height / 2;
      const text = name(frame, isLeft ? "from" : "to");
      picture.append(svg("rect", { class: "end", x, y: at.y, width: BAR, height: at.height }),
        svg("text", { x: isLeft ? x - 8 : x + BAR + 8, y: middle + 4, "text-anchor": isLeft ? "end" : "start" }, svg("tspan", null, text.length > 34 ? `…${text.slice(-33)}` : text), svg("tspan", { class: "amount", dx: 7 }, formatBytes(at.size))));
    }
  };
  labels(leftPlaces, true);
  labels(rightPlaces, false);
  return picture;
}

export function showCopies(element: HTMLElement, model: Model, state: State, open: (path: string, line: number) => void): void {
  const list = flows(model, state);
  const total = list.reduce((sum, flow) => sum + flow.bytes, 0), count = list.reduce((sum, flow) => sum + flow.copies, 0);
  const { isDiff } = model, old = list.reduce((sum, flow) => sum + flow.old, 0), changed = list.reduce((sum, flow) => sum + flow.width, 0);
  const name = (frame: number, side: "from" | "to") => frame ? model.place(frame) ? `${model.place(frame)} ${model.functionName(frame)}` : model.functionName(frame) : side === "from" ? "no line of the program" : "folded small stacks";
  if (!total && !old) {
    element.replaceChildren(h("p", { class: "lead" }, "No copies were recorded", state.from >= 0 ? " in this range." : "."));
    return;
  }
  const table = h("table", null, h("thead", null, h("tr", null, ...(isDiff ? ["your line", "copies at", "in", "change", "old", "new"] : ["your line", "copies at", "in", "copied", "share", "copies", "a copy"]).map((t, i) => h("th", { scope: "col", class: i > 2 ? "number" : null }, t)))));
  const body = h("tbody");
  const link = (frame: number, side: "from" | "to") => frame && model.process.frames.line[frame]! > 0 ? h("button", { type: "button", class: "link", click: () => open(model.file(frame), model.process.frames.line[frame]!) }, model.place(frame)) : name(frame, side);
  const figures = (flow: Flow) => {
    const bytes = (value: number, share = 0) => h("td", { class: "number bytes", "data-value": value, title: `${formatExact(value)} bytes`, style: share ? `--share:${(100 * share).toFixed(2)}%` : null }, formatBytes(value));
    const change = flow.bytes - flow.old;
    return isDiff
      ? [h("td", { class: `number${change > 0 ? " grew" : change < 0 ? " shrank" : ""}`, "data-value": change, title: `${formatExact(change)} bytes`, style: changed ? `--share:${((100 * flow.width) / changed).toFixed(2)}%` : null }, formatDelta(change, formatBytes)), bytes(flow.old), bytes(flow.bytes)]
      : [bytes(flow.bytes, flow.bytes / total), h("td", { class: "number" }, formatShare(flow.bytes / total)), h("td", { class: "number" }, formatCount(flow.copies)), h("td", { class: "number" }, flow.copies ? formatBytes(flow.bytes / flow.copies) : "")];
  };
  const append = (flow: Flow) =>
    body.append(h("tr", null, h("th", { scope: "row", class: "place" }, link(flow.from, "from")), h("td", { class: "place" }, flow.from === flow.to ? h("span", { class: "dim" }, "the same line") : link(flow.to, "to")),
      h("td", { class: "function" }, flow.to ? model.functionName(flow.to) : ""), ...figures(flow)));
  list.slice(0, ROWS).forEach(append);
  const more = h("button", { type: "button", class: "more", hidden: list.length <= ROWS, click: () => { list.slice(ROWS, MOST_ROWS).forEach(append); more.hidden = true; } },
    `show ${formatExact(Math.min(list.length, MOST_ROWS) - ROWS)} more of ${formatExact(list.length - ROWS)}`);
  table.append(body);
  element.replaceChildren(
    isDiff ? h("p", { class: "lead" }, h("strong", { "data-copied": total, "data-old": old }, `${formatDelta(total - old, formatBytes)} copied: ${formatBytes(old)}, then ${formatBytes(total)}.`), " On the left the lines of your code that cause copies, on the right where the bytes move; red are more, blue fewer.")
      : h("p", { class: "lead" }, h("strong", { "data-copied": total }, `${formatBytes(total)} were copied`), ` in ${formatCount(count)} copies. On the left the lines of your code that caused them, on the right where the bytes moved.`),
    h("div", { class: "sankey-box" }, diagram(list.filter((f) => f.to && !model.functionName(f.to).startsWith("copies below ")), isDiff ? changed : total, isDiff, name)),
    h("div", { class: "table-box copies-table", tabindex: 0, role: "region", "aria-label": "Copies" }, table, more));
}
