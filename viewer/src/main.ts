// The page: header, timeline and tabs around one state (state.ts) that the URL's fragment keeps.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { showCopies } from "./copies";
import { KINDS, loadDocument, ORIGIN_TITLES, ORIGINS, type Document } from "./data";
import { announce, h, segments, select, toggle } from "./dom";
import { FlameView } from "./flame";
import { formatBytes, formatCount, formatExact, formatShare, formatTime } from "./format";
import { showLeaks } from "./leaks";
import { COSTS, formatCost, Model, type Cost, type View } from "./model";
import { SourceView } from "./source";
import { DEFAULTS, readState, writeState, type State } from "./state";
import { TableView } from "./tables";
import { TimelineView } from "./timeline";
import { Tree, type Group, type Item } from "./tree";

const TABS: [State["tab"], string][] = [["flame", "Flame graph"], ["lines", "Tables"], ["source", "Source"], ["leaks", "Leaks"], ["copies", "Copies"], ["about", "About"]];

class Page {
  private readonly models: (Model | null)[];
  private state: State = readState();
  private readonly figures = h("div", { class: "figures" });
  private readonly notices = h("div", { class: "notices" });
  private readonly main = h("main", { id: "main", tabindex: -1 });
  private readonly tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views" });
  private readonly timeline: TimelineView;
  private readonly flame = new FlameView();
  private readonly table: TableView;
  private readonly source: SourceView;
  private readonly flameTools = h("div", { class: "toolbar" });
  private readonly flameBox: HTMLElement;
  private tree: { key: string; tree: Tree; total: number } | null = null;
  private timelineKey = "";

  constructor(private readonly data: Document) {
    this.models = data.processes.map(() => null);
    this.timeline = new TimelineView((from, to) => this.change({ from, to, zoom: "" }));
    this.table = new TableView((part) => this.change(part), (path, line) => this.open(path, line), (node) => this.chain(node));
    this.source = new SourceView((part) => this.change(part));
    this.flameBox = h("div", { class: "flame-view" }, this.flameTools, this.flame.element, h("div", { class: "legend" }));
    const theme = h("button", { type: "button", class: "small theme", title: "Light or dark", click: () => this.switchTheme() }, "◐ theme");
    const { summary } = data.processes[0]!;
    document.title = `${summary.trace} – heapline`;
    document.getElementById("app")!.replaceChildren(
      h("a", { class: "skip", href: "#", click: (event: Event) => { event.preventDefault(); this.main.focus(); } }, "Skip to the view"),
      h("header", null, h("div", { class: "brand" }, h("span", { class: "logo", "aria-hidden": "true" }), h("b", null, "heapline")), h("div", { class: "title" }), this.figures, theme),
      this.notices, this.timeline.element, this.tabs, this.main, h("div", { id: "announcer", class: "visually-hidden", "aria-live": "polite" }),
      h("footer", null, `heapline ${data.version} · this page is complete in itself: nothing is loaded from anywhere`));
    window.addEventListener("hashchange", () => { this.state = readState(); this.render(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolor());
    window.addEventListener("keydown", (event) => this.shortcut(event));
    window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
    const stored = safely(() => localStorage.getItem("heapline-theme"));
    if (stored) document.documentElement.dataset.theme = stored;
    this.render();
  }

  get model(): Model {
    const index = this.data.processes[this.state.process] ? this.state.process : 0;
    return (this.models[index] ??= new Model(this.data.processes[index]!));
  }

  private recolor(): void { this.timelineKey = ""; this.render(); }

  private switchTheme(): void {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    safely(() => localStorage.setItem("heapline-theme", dark ? "light" : "dark"));
    this.recolor();
  }

  private shortcut(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName)) return;
    if (event.key === "/") {
      const field = this.main.querySelector<HTMLInputElement>("input[type=search]");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
    } else if (event.key >= "1" && event.key <= String(TABS.length)) this.change({ tab: TABS[Number(event.key) - 1]![0] });
  }

  change(part: Partial<State>): void {
    Object.assign(this.state, part);
    writeState(this.state);
    const started = performance.now();
    this.render();
    (window as any).heaplineLastUpdate = performance.now() - started;
  }

  private open(path: string, line: number): void {
    if (!this.model.process.sources.some((source) => source.file === path)) { announce("The source of this line isn't in the page."); return; }
    this.change({ tab: "source", file: path, line });
  }

  private chain(node: number): string {
    const { model } = this, names: string[] = [];
    for (let at = model.parent[node]!; at && names.length < 8; at = model.parent[at]!) if (model.frame[at]) names.push(model.functionName(model.frame[at]!));
    return names.length ? `← ${names.join(" ← ")}` : "";
  }

  private get cost(): Cost {
    const cost = COSTS.find((c) => c.key === this.state.cost) ?? COSTS[0]!;
    return cost.ranged && !this.model.hasRanges ? COSTS[0]! : cost;
  }

  private get view(): View {
    const { cost, model, state } = this, last = model.windowCount - 1;
    const from = model.hasRanges && state.from >= 0 ? Math.min(state.from, last) : -1;
    return { cost, unit: cost.bytes ? state.unit : "count", from, to: from < 0 ? -1 : Math.min(Math.max(state.to, from), last) };
  }

  render(): void {
    const { state, model } = this;
    if (!model.hasRanges) state.from = state.to = -1;
    this.renderHeader();
    const key = [state.process, state.from, state.to, document.documentElement.dataset.theme].join();
    if (key !== this.timelineKey) { this.timelineKey = key; this.timeline.show(model, this.view.from, this.view.to); }
    this.renderTabs();
    const content: Record<State["tab"], () => HTMLElement> = {
      flame: () => { this.renderFlame(); return this.flameBox; },
      lines: () => this.table.element,
      source: () => this.source.element,
      leaks: () => { const box = h("div", { class: "leaks-view" }); showLeaks(box, model, (path, line) => this.open(path, line)); return box; },
      copies: () => { const box = h("div", { class: "copies-view" }); showCopies(box, model, { ...state, from: this.view.from, to: this.view.to }, (path, line) => this.open(path, line)); return box; },
      about: () => this.about(),
    };
    if (!(state.tab in content)) state.tab = "flame";
    if (state.tab === "flame" && this.main.firstChild !== this.flameBox) this.main.replaceChildren(this.flameBox);
    if (state.tab === "lines") this.table.show(model, { ...state, from: this.view.from, to: this.view.to });
    if (state.tab === "source") this.source.show(model, { ...state, from: this.view.from, to: this.view.to });
    const element = content[state.tab]();
    if (this.main.firstChild !== element) this.main.replaceChildren(element);
    this.main.setAttribute("aria-label", TABS.find(([tab]) => tab === state.tab)![1]);
    if (state.tab === "lines" || state.tab === "source") this.main.dataset.tab = state.tab; else delete this.main.dataset.tab;
  }

  private renderHeader(): void {
    const { summary, warnings } = this.model.process;
    const command = summary.command.replace(/^\S*\/(?=[^/\s]+(\s|$))/, "");
    const title = document.querySelector("header .title")!;
    title.replaceChildren(h("h1", { title: summary.command }, command),
      h("p", { class: "dim" }, `pid ${summary.pid} · ${summary.ending} · ${formatTime(summary.duration_ns)} · ${formatCount(summary.event_count)} events · ${new Date(summary.start_realtime_ns / 1e6).toLocaleString()}`));
    if (this.data.processes.length > 1)
      title.append(select("Process", this.data.processes.map((p, i) => [String(i), `${p.summary.pid}  ${p.summary.command.slice(0, 60)} (${formatBytes(p.summary.peak_bytes)})`]), String(this.state.process), (value) => this.change({ ...DEFAULTS, tab: this.state.tab, process: Number(value) })));
    const figure = (name: string, value: string, exact: string, sub: string) => h("div", { class: "figure-box", title: exact }, h("span", null, name), h("b", null, value), h("span", { class: "dim" }, sub));
    this.figures.replaceChildren(
      figure("peak", formatBytes(summary.peak_bytes), `${formatExact(summary.peak_bytes)} bytes`, `at ${formatTime(summary.peak_time_ns)}`),
      figure("RSS peak", summary.peak_rss_bytes > 0 ? formatBytes(summary.peak_rss_bytes) : "–", `${formatExact(summary.peak_rss_bytes)} bytes`, "resident"),
      figure("allocated", formatBytes(summary.allocated_bytes), `${formatExact(summary.allocated_bytes)} bytes`, `${formatCount(summary.allocations)} calls, ${formatShare(summary.allocations ? summary.temporary_allocations / summary.allocations : 0)} temporary`),
      figure("copied", formatBytes(summary.copied_bytes), `${formatExact(summary.copied_bytes)} bytes`, `${formatCount(summary.copies)} copies`),
      figure("live at end", formatBytes(summary.live_bytes_at_end), `${formatExact(summary.live_bytes_at_end)} bytes`, `${formatCount(summary.live_allocations_at_end)} blocks`));
    this.notices.replaceChildren(...warnings.map((text) => h("p", { class: "warning" }, text)));
  }

  private renderTabs(): void {
    const { leaks } = this.model.process, hadFocus = this.tabs.contains(document.activeElement);
    this.tabs.replaceChildren(...TABS.map(([tab, title], index) => h("button", {
      type: "button", role: "tab", id: `tab-${tab}`, "aria-selected": tab === this.state.tab ? "true" : "false", tabindex: tab === this.state.tab ? 0 : -1,
      click: () => this.change({ tab }),
      keydown: (event: KeyboardEvent) => {
        const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
        if (!step) return;
        event.preventDefault();
        this.change({ tab: TABS[(index + step + TABS.length) % TABS.length]![0] });
      },
    }, title, tab === "leaks" && leaks.growing ? h("span", { class: "count-badge", title: `${leaks.growing} lines keep growing` }, leaks.growing) : null)));
    if (hadFocus) this.tabs.querySelector<HTMLElement>("[aria-selected=true]")?.focus();
  }

  // ---- flame graph ----

  private groups(): Group[] {
    const { model, view, state } = this;
    const whole = () => { const weights = model.weights(view); return { title: "", key: "", weights, totals: model.totals(weights) }; };
    if (state.split === "thread" && model.hasRanges && model.process.threads?.length) {
      return model.process.threads.map((thread) => {
        const weights = model.weights(view, thread.thread_id);
        return { title: `thread ${thread.name || thread.kernel_id}`, key: `t${thread.thread_id}`, weights, totals: model.totals(weights) };
      }).concat(this.unowned(view)).filter((g) => g.totals[0]! > 0);
    }
    if (state.split === "kind" || state.split === "module") {
      const { weights } = whole(), { kind, module } = model.process.frames;
      const parts = new Map<string, Float64Array>();
      for (let i = 0; i < model.nodeCount; i++) {
        if (!weights[i]) continue;
        let frame = model.frame[i]!;
        if (!frame && i) frame = model.frame[model.parent[i]!]!;
        const name = !frame ? "no stack" : state.split === "kind" ? KINDS[kind[frame]!] ?? "?" : module[frame] ? model.short(module[frame]!) : kind[frame] === 0 ? "Python code" : model.functionName(frame);
        if (!parts.has(name)) parts.set(name, new Float64Array(model.nodeCount));
        parts.get(name)![i] = weights[i]!;
      }
      const titles: Record<string, string> = { python: "innermost frame: Python", native: "innermost frame: native", cut: "cut stacks" };
      const all = [...parts].map(([name, w]) => ({ title: titles[name] ?? name, key: `g${name.replace(/[^\w]/g, "_")}`, weights: w, totals: model.totals(w) })).sort((a, b) => b.totals[0]! - a.totals[0]!);
      return all.length > 40 ? all.slice(0, 40) : all;
    }
    if (state.split === "process" && this.data.processes.length > 1) return [whole()];
    return [whole()];
  }

  /** What belongs to no thread: slack, small copies. */
  private unowned(view: View): Group[] {
    const { model } = this, weights = model.weights(view);
    for (const thread of model.process.threads ?? []) { const own = model.weights(view, thread.thread_id); for (let i = 0; i < own.length; i++) weights[i]! -= own[i]!; }
    return [{ title: "no thread", key: "tnone", weights, totals: model.totals(weights) }];
  }

  private currentTree(): { tree: Tree; total: number } {
    const { state, view, model } = this;
    const key = [state.process, view.cost.key, view.unit, view.from, view.to, state.split, state.invert, state.frames, state.imports, state.interpreter].join();
    if (this.tree?.key !== key) {
      const groups = this.groups();
      const tree = new Tree(model, groups.length ? groups : [{ title: "", key: "", weights: new Float64Array(model.nodeCount), totals: new Float64Array(model.nodeCount) }],
        { invert: state.invert, frames: state.frames, imports: state.imports, interpreter: state.interpreter }, this.costText());
      this.tree = { key, tree, total: tree.root.total };
    }
    return this.tree;
  }

  costText(): string {
    const { cost, from, to } = this.view, { model } = this;
    if (from < 0) return cost.ranged ? "allocated and never freed" : cost.text;
    const range = `${formatTime(model.windowStart(from))} – ${formatTime(model.windowEnd(to))}`;
    const texts: Record<string, string> = {
      peak: `live at the peak of ${range} (${formatTime(model.windowStart(model.peakWindow(from, to)))} to ${formatTime(model.windowEnd(model.peakWindow(from, to)))})`, live: `live at ${formatTime(model.windowEnd(to))}`,
      allocated: `allocated within ${range}`, temporary: `temporary allocations within ${range}`, copied: `copied within ${range}`, leaks: `held at ${formatTime(model.windowEnd(to))} by lines that kept growing`,
      kept: `allocated within ${range} and not freed in it`,
    };
    return texts[cost.key]!;
  }

  private renderFlame(): void {
    const { state, view, model } = this, { tree, total } = this.currentTree();
    const costs = COSTS.filter((c) => !c.ranged || model.hasRanges).map((c): [string, string] => [c.key, c.title]);
    const splits: [string, string][] = [["none", "merged"], ["kind", "Python / native"], ["module", "module"]];
    if (model.hasRanges && (model.process.threads?.length ?? 0) > 1) splits.splice(1, 0, ["thread", "thread"]);
    const active = document.activeElement as HTMLElement | null, inSearch = active?.dataset.focus === "search", caret = inSearch ? (active as HTMLInputElement).selectionStart : null;
    const label = this.flameTools.contains(active) && active?.dataset.key ? [active.closest("[role=radiogroup]")?.getAttribute("aria-label"), active.dataset.key] : null;
    this.flameTools.replaceChildren(
      segments("Measure", costs, view.cost.key, (cost) => this.change({ cost, zoom: "" })),
      view.cost.bytes ? segments("Unit", [["bytes", "bytes"], ["count", view.cost.key === "copied" ? "copies" : "blocks"]], view.unit, (unit) => this.change({ unit: unit as State["unit"] })) : null as any,
      segments("Direction", [["icicle", "icicle"], ["flame", "flame"]], state.layout, (layout) => this.change({ layout: layout as State["layout"] })),
      select("Frames", [["line", "lines"], ["function", "functions"]], state.frames, (frames) => this.change({ frames: frames as State["frames"], zoom: "" })),
      select("Split", splits, state.split, (split) => this.change({ split: split as State["split"], zoom: "" })),
      toggle("invert", state.invert, (invert) => this.change({ invert, zoom: "" }), "Innermost frames at the root, their callers on top"),
      toggle("imports", state.imports, (imports) => this.change({ imports, zoom: "" }), "Show the frames of the import system"),
      toggle("interpreter", state.interpreter, (interpreter) => this.change({ interpreter, zoom: "" }), "Show the interpreter's own native frames"),
      h("label", { class: "control grow" }, h("span", null, "Search"), h("input", { type: "search", value: state.search, placeholder: "function or file, /regex/", "data-focus": "search",
        input: (event: Event) => this.change({ search: (event.target as HTMLInputElement).value }) })));
    for (const child of [...this.flameTools.childNodes]) if (child.nodeType === 3) child.remove();
    if (inSearch) { const field = this.flameTools.querySelector<HTMLInputElement>("[data-focus=search]")!; field.focus(); field.setSelectionRange(caret, caret); }
    if (label) this.flameTools.querySelector<HTMLElement>(`[aria-label="${label[0]}"] [data-key="${label[1]}"]`)?.focus();
    if (this.main.firstChild !== this.flameBox) this.main.replaceChildren(this.flameBox);
    this.flame.show({
      tree, zoomPath: state.zoom, layout: state.layout, search: searchPattern(state.search), format: formatCost(view), total, unitTitle: this.costText(), diff: false,
      onZoom: (zoom) => this.change({ zoom }), onOpen: (item) => this.open(model.file(item.frame), model.process.frames.line[item.frame]!), canOpen: (item) => this.canOpen(item),
    });
    this.renderLegend(tree);
  }

  private canOpen(item: Item): boolean {
    const { model } = this;
    return item.frame > 0 && model.process.frames.line[item.frame]! > 0 && model.process.sources.some((s) => s.file === model.file(item.frame));
  }

  private renderLegend(tree: Tree): void {
    const { folded } = this.model.process, legend = this.flameBox.querySelector(".legend")!;
    const keys = ORIGINS.map((origin, i) => h("span", { class: "key" }, h("i", { style: `background:var(--flame-${origin})` }), ORIGIN_TITLES[i]!));
    const { cost, unit } = this.view, measure = unit === "bytes" && cost.bytes ? cost.bytes : cost.count;
    const foldedNote = folded.stacks ? `${formatExact(folded.stacks)} of ${formatExact(folded.stacks_in_all)} stacks are folded into their callers: together ${formatCost(this.view)(folded[measure])}, ${formatShare(tree.root.total ? folded[measure] / tree.root.total : 0)} of this.` : `All ${formatExact(folded.stacks_in_all)} stacks are here.`;
    legend.replaceChildren(...keys, h("span", { class: "dim" }, foldedNote));
  }

  // ---- about ----

  private about(): HTMLElement {
    const { model } = this, { summary, folded, lines, sources } = model.process;
    const row = (name: string, value: string) => h("tr", null, h("th", { scope: "row" }, name), h("td", null, value));
    return h("div", { class: "about" },
      h("section", { class: "card" }, h("h2", null, "What this page holds"),
        h("table", null, h("tbody", null,
          row("trace", summary.trace), row("command", summary.command), row("ended", summary.ending), row("events", formatExact(summary.event_count)),
          row("figures", summary.sampling_interval_bytes ? `estimates from a sample, one in ${formatBytes(summary.sampling_interval_bytes)}` : "exact"),
          row("lost events", formatExact(summary.lost_events)),
          row("stacks", folded.stacks ? `${formatExact(folded.stacks_in_all - folded.stacks)} of ${formatExact(folded.stacks_in_all)}; the others, with the smallest shares, are folded into "small stacks" below their callers (${formatShare(summary.peak_bytes ? folded.peak_bytes / summary.peak_bytes : 0)} of the peak, ${formatShare(summary.allocated_bytes ? folded.allocated_bytes / summary.allocated_bytes : 0)} of what was allocated)` : `all ${formatExact(folded.stacks_in_all)}`),
          row("lines", lines.more ? `${formatExact(lines.file.length)}, and the sums of ${formatExact(lines.more)} more are left out of the tables` : `all ${formatExact(lines.file.length)}`),
          row("sources", `${sources.filter((s) => s.text !== undefined).length} of ${sources.length} files`),
          row("ranges", model.hasRanges ? `${model.windowCount} steps of ${formatTime(summary.duration_ns / model.windowCount)}: a range begins and ends at a step; within a range the peak is that of its highest moment` : "not known for this trace")))),
      h("section", { class: "card" }, h("h2", null, "Words"), h("dl", null,
        ...[["peak", "What was live at the high-water mark: the moment at which the heap was at its highest."], ["live at end", "What had not been freed when the program ended."],
          ["allocated", "All that was ever allocated, freed or not: the churn."], ["temporary", "Allocations that were freed before the same thread's next one."],
          ["copied", "Bytes that memcpy, memmove and their kin moved."], ["kept", "What was allocated in the chosen range of time and not freed in it."],
          ["leaks", "What lines hold that keep growing; the Leaks tab says why they are thought to."], ["arena slack", "What pymalloc's arenas hold beyond the objects in them."]].flatMap(([a, b]) => [h("dt", null, a!), h("dd", null, b!)]))),
      h("section", { class: "card" }, h("h2", null, "Keys"), h("dl", null,
        ...[["1 – 6", "the tabs"], ["/", "search or filter"], ["arrows", "from frame to frame in the flame graph"], ["Enter, Esc", "zoom in, zoom out"], ["S", "the source line of the frame"]].flatMap(([a, b]) => [h("dt", null, h("kbd", null, a!)), h("dd", null, b!)]))));
  }

  /** For tests: what is shown, as numbers. */
  inspect() {
    return { state: { ...this.state }, drawn: this.flame.drawn, matched: this.flame.matchedTotal, total: this.tree?.total, rows: this.state.tab === "lines" ? this.table.rows(this.state).map((r) => ({ place: r.place, path: r.path, line: r.line, functionName: r.functionName, kept: r.kept, ...r.figures })) : [] };
  }
}

function safely<T>(action: () => T): T | null {
  try { return action(); } catch { return null; }
}

function searchPattern(text: string): RegExp | null {
  if (!text.trim()) return null;
  const regex = /^\/(.+)\/?$/.exec(text);
  if (regex) return safely(() => new RegExp(regex[1]!.replace(/\/$/, ""), "i"));
  return new RegExp(text.trim().replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
}

loadDocument().then((data) => { (window as any).heapline = new Page(data); document.documentElement.dataset.ready = "yes"; },
  (error: unknown) => { document.getElementById("app")!.textContent = `The data of this page could not be read (${String(error)}). It needs a browser of 2023 or later.`; });
