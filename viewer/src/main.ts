// The page: header, timeline and tabs around one state (state.ts) that the URL's fragment keeps.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { showCopies } from "./copies";
import { KINDS, loadDocument, MEASURES, ORIGIN_TITLES, ORIGINS, TAG, type Document, type Measure } from "./data";
import { announce, h, segments, select, toggle } from "./dom";
import { FlameView } from "./flame";
import { formatBytes, formatCount, formatDelta, formatExact, formatShare, formatTime } from "./format";
import { showLeaks } from "./leaks";
import { explain, formatCost, Model, type Cost, type View } from "./model";
import { announceLine, PeekView } from "./peek";
import { tableRows } from "./rows";
import { SourceView } from "./source";
import { DEFAULTS, readState, writeState, type State } from "./state";
import { TableView } from "./tables";
import { hasTags, knowsThreads, makeGroups } from "./splits";
import { stepText, TimelineView } from "./timeline";
import { together } from "./together";
import { Tree, type Item } from "./tree";

const TABS: [State["tab"], string][] = [["flame", "Flame graph"], ["lines", "Tables"], ["source", "Source"], ["leaks", "Leaks"], ["copies", "Copies"], ["about", "About"]];

const PAPER_WIDTH = 700, PAPER_ROWS = 29; // what fits on a page of A4 or Letter, within their margins; frames that stand above one another

class Page {
  private readonly models: (Model | null)[];
  private all: Model | null = null; // processes together
  private state: State = readState();
  private readonly figures = h("div", { class: "figures" });
  private readonly notices = h("div", { class: "notices" });
  private readonly main = h("main", { id: "main", tabindex: -1 });
  private readonly tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views" });
  private readonly timeline: TimelineView;
  private readonly flame = new FlameView();
  private readonly peek = new PeekView();
  private noLine = ""; // of the frame that was clicked: why the source pane shows none
  private readonly table: TableView;
  private readonly source: SourceView;
  private readonly flameTools = h("div", { class: "toolbar" });
  private readonly flameBox: HTMLElement;
  private tree: { key: string; tree: Tree; total: number } | null = null;
  private timelineKey = "";
  private themeOnScreen: string | undefined; // while the page is printed

  constructor(private readonly data: Document) {
    this.models = data.processes.map(() => null);
    this.timeline = new TimelineView((from, to) => this.change({ from, to, zoom: "" }));
    this.table = new TableView((part) => this.change(part), (path, line) => this.open(path, line), (node) => this.chain(node));
    this.source = new SourceView((part) => this.change(part));
    this.flameBox = h("div", { class: "flame-view" }, this.flameTools, this.flame.element, this.peek.element, h("div", { class: "legend" }));
    const theme = h("button", { type: "button", class: "small theme", title: "Light or dark", click: () => this.switchTheme() }, "◐ theme");
    const { summary } = data.processes[0]!;
    const { baseline } = data.processes[0]!;
    document.title = `${baseline && baseline.summary.trace !== summary.trace ? `${baseline.summary.trace} → ` : ""}${summary.trace} – heapline`;
    document.getElementById("app")!.replaceChildren(
      h("a", { class: "skip", href: "#main", click: (event: Event) => { event.preventDefault(); this.main.focus(); } }, "Skip to the view"),
      h("header", null, h("div", { class: "brand" }, h("span", { class: "logo", "aria-hidden": "true" }), h("b", null, "heapline")), h("div", { class: "title" }), this.figures, theme),
      this.notices, this.timeline.element, h("nav", { "aria-label": "Views" }, this.tabs), this.main, h("div", { id: "announcer", class: "visually-hidden", "aria-live": "polite" }),
      h("footer", null, `heapline ${data.version} · this page is complete in itself: nothing is loaded from anywhere`));
    window.addEventListener("hashchange", () => { this.state = readState(); this.noLine = ""; this.render(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolor());
    window.addEventListener("keydown", (event) => this.shortcut(event));
    window.addEventListener("beforeprint", () => this.print(true));
    window.addEventListener("afterprint", () => this.print(false));
    const stored = safely(() => localStorage.getItem("heapline-theme"));
    if (stored) document.documentElement.dataset.theme = stored;
    this.render();
    setTimeout(() => { if (this.model.process.lines_inclusive) tableRows(this.model, "line", -1, -1, true); }, 300); // at hand for the first click
  }

  get model(): Model {
    const { processes } = this.data;
    if (this.state.process < 0 && processes.length > 1) return (this.all ??= new Model(together(processes), processes.map((_, index) => this.modelOf(index))));
    return this.modelOf(processes[this.state.process] ? this.state.process : 0);
  }

  private modelOf(index: number): Model { return (this.models[index] ??= new Model(this.data.processes[index]!)); }

  private recolor(): void { this.timelineKey = ""; this.timeline.recolor(); this.render(); }

  private switchTheme(): void {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    safely(() => localStorage.setItem("heapline-theme", dark ? "light" : "dark"));
    this.recolor();
  }

  /** On paper, everything is open, light, and as wide as the paper. */
  private print(begins: boolean): void {
    const { dataset } = document.documentElement;
    if (begins) this.themeOnScreen = dataset.theme;
    const theme = begins ? "light" : this.themeOnScreen;
    if (theme) dataset.theme = theme; else delete dataset.theme;
    document.body.style.width = begins ? `${PAPER_WIDTH}px` : "";
    this.flame.rowLimit = begins ? PAPER_ROWS : Infinity;
    this.recolor();
    if (begins) document.querySelectorAll("details").forEach((d) => { d.open = true; });
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
    if ("process" in part) this.noLine = "";
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
    const { costs } = this.model, wanted = this.state.cost || (this.model.process.of ?? "peak");
    return costs.find((cost) => cost.key === wanted) ?? costs[0]!;
  }

  private get view(): View {
    const { cost, model, state } = this, last = model.windowCount - 1;
    const from = model.hasRanges && state.from >= 0 ? Math.min(state.from, last) : -1;
    return { cost, unit: cost.bytes ? state.unit : "count", from, to: from < 0 ? -1 : Math.min(Math.max(state.to, from), last) };
  }

  render(): void {
    const { state, model } = this;
    if (!model.hasRanges) state.from = state.to = -1;
    const { view } = this, shown = { ...state, from: view.from, to: view.to, cost: view.cost.key };
    this.renderHeader();
    const key = [state.process, state.from, state.to, document.documentElement.dataset.theme].join();
    if (key !== this.timelineKey) { this.timelineKey = key; this.timeline.show(model, view.from, view.to); }
    this.renderTabs();
    const content: Record<State["tab"], () => HTMLElement> = {
      flame: () => { this.renderFlame(); return this.flameBox; },
      lines: () => this.table.element,
      source: () => this.source.element,
      leaks: () => { const box = h("div", { class: "leaks-view" }); showLeaks(box, model, (path, line) => this.open(path, line)); return box; },
      copies: () => { const box = h("div", { class: "copies-view" }); showCopies(box, model, shown, (path, line) => this.open(path, line)); return box; },
      about: () => this.about(),
    };
    if (!(state.tab in content)) state.tab = "flame";
    if (state.tab === "flame" && this.main.firstChild !== this.flameBox) this.main.replaceChildren(this.flameBox);
    if (state.tab === "lines") this.table.show(model, shown);
    if (state.tab === "source") this.source.show(model, shown);
    const element = content[state.tab]();
    if (this.main.firstChild !== element) this.main.replaceChildren(element);
    this.main.setAttribute("aria-label", TABS.find(([tab]) => tab === state.tab)![1]);
    if (state.tab === "lines" || state.tab === "source") this.main.dataset.tab = state.tab; else delete this.main.dataset.tab;
  }

  private renderHeader(): void {
    const { process } = this.model, { summary, warnings, baseline } = process;
    const command = summary.command.replace(/^\S*\/(?=[^/\s]+(\s|$))/, "");
    const about = (of: typeof summary) => `${process.members ? "" : `pid ${of.pid} · `}${of.ending} · ${formatTime(of.duration_ns)} · ${formatCount(of.event_count)} events · ${new Date(of.start_realtime_ns / 1e6).toLocaleString()}`;
    const side = (name: string, of: typeof summary, moment: number) => h("p", { class: "dim" }, h("b", null, `${name} `), `${of.trace}${moment >= 0 ? ` at ${formatTime(moment)}` : ""} · ${about(of)}`);
    const title = document.querySelector("header .title")!;
    title.replaceChildren(h("h1", { title: summary.command }, command),
      ...(baseline ? [side("old", baseline.summary, baseline.moment_ns!), side("new", summary, process.moment_ns!)] : [h("p", { class: "dim" }, about(summary))]));
    const { processes } = this.data;
    if (processes.length > 1)
      title.append(select("Process", [["-1", `all ${processes.length} together`], ...processes.map((p, i): [string, string] => [String(i), `${p.summary.pid}  ${p.summary.command.slice(0, 60)} (${formatBytes(p.summary.peak_bytes)})`])],
        String(process.members ? -1 : processes.indexOf(process)), (value) => this.change({ ...DEFAULTS, tab: this.state.tab, process: Number(value) })));
    const figure = (name: string, key: keyof typeof summary, sub: string, format = formatBytes, value = summary[key] as number, old = baseline?.summary[key] as number | undefined) => {
      const delta = old === undefined ? 0 : value - old, change = old === undefined ? h("span", { class: "dim" }, sub)
        : h("span", { class: delta > 0 ? "grew" : delta < 0 ? "shrank" : "dim", title: `old: ${formatExact(old)}`, "data-delta": delta }, delta ? `${formatDelta(delta, format)}${old ? ` (${formatDelta(delta / old, formatShare)})` : ""}` : "as it was");
      return h("div", { class: "figure-box", title: `${formatExact(value)} bytes`, "data-key": key }, h("span", null, name), h("b", null, value > 0 || key !== "peak_rss_bytes" ? format(value) : "–"), change);
    };
    if (this.model.isMoment) {
      const sum = (of: Float64Array) => of.reduce((total, amount) => total + amount, 0), then = this.model.measure("live_bytes", process.old_nodes), now = this.model.measure("live_bytes");
      this.figures.replaceChildren(figure("live", "live_bytes_at_end", "", formatBytes, sum(now), sum(then)));
    } else this.figures.replaceChildren(
      figure(process.members ? "peaks, added" : "peak", "peak_bytes", process.members ? `${formatBytes(this.model.highest.bytes)} at once` : `at ${formatTime(summary.peak_time_ns)}`),
      figure("RSS peak", "peak_rss_bytes", process.members ? "added" : "resident"),
      figure("allocated", "allocated_bytes", `${formatCount(summary.allocations)} calls, ${formatShare(summary.allocations ? summary.temporary_allocations / summary.allocations : 0)} temporary`),
      figure("copied", "copied_bytes", `${formatCount(summary.copies)} copies`),
      figure("live at end", "live_bytes_at_end", `${formatCount(summary.live_allocations_at_end)} blocks`));
    const old = baseline?.warnings.map((text) => `Old: ${text}`) ?? [];
    this.notices.replaceChildren(...[...old, ...warnings].map((text) => h("p", { class: "warning" }, text)));
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
    const chosen = this.tabs.querySelector<HTMLElement>("[aria-selected=true]")!;
    if (hadFocus) chosen.focus();
    this.tabs.scrollLeft = chosen.offsetLeft + chosen.offsetWidth - this.tabs.offsetLeft - this.tabs.clientWidth; // where they don't fit
  }

  // ---- flame graph ----

  private currentTree(): { tree: Tree; total: number } {
    const { state, view, model } = this;
    const key = [state.process, view.cost.key, view.unit, view.from, view.to, state.split, state.width, state.invert, state.frames, state.imports, state.interpreter, state.tags].join();
    if (this.tree?.key !== key) {
      const tree = new Tree(model, makeGroups(model, view, state.split, state.width),
        { invert: state.invert, frames: state.frames, imports: state.imports, interpreter: state.interpreter, tags: state.tags && state.split !== "tag" }, this.costText());
      this.tree = { key, tree, total: tree.root.total };
    }
    return this.tree;
  }

  costText(): string {
    const { cost, from, to } = this.view, { model } = this;
    if (from < 0) return cost.ranged ? `allocated${model.listedText ? ` ${model.listedText}` : ""} and never freed` : cost.text;
    const range = `${formatTime(model.windowStart(from))} – ${formatTime(model.windowEnd(to))}`;
    const texts: Record<string, string> = {
      peak: model.members.length ? `live at each process's peak within ${range}` : `live at the peak of ${range} (${formatTime(model.windowStart(model.peakWindow(from, to)))} to ${formatTime(model.windowEnd(model.peakWindow(from, to)))})`, live: `live at ${formatTime(model.windowEnd(to))}`,
      allocated: `allocated within ${range}`, temporary: `temporary allocations within ${range}`, copied: `copied within ${range}`, leaks: `held at ${formatTime(model.windowEnd(to))} by lines that kept growing`,
      kept: `allocated within ${range} and not freed in it`,
    };
    return texts[cost.key]!;
  }

  private renderFlame(): void {
    const { state, view, model } = this, { tree, total } = this.currentTree();
    const costs = model.costs.map((c): [string, string] => [c.key, c.title]);
    const splits: [string, string][] = [["none", "merged"]];
    if (knowsThreads(model, view) && model.process.threads!.length > 1) splits.push(["thread", "thread"]);
    if (this.data.processes.length > 1) splits.push(["process", "process"]);
    if (hasTags(model)) splits.push(["tag", "tag"]);
    splits.push(["kind", "Python / native"], ["module", "module"]);
    const active = document.activeElement as HTMLElement | null, inSearch = active?.dataset.focus === "search", caret = inSearch ? (active as HTMLInputElement).selectionStart : null;
    const label = this.flameTools.contains(active) && active?.dataset.key ? [active.closest("[role=radiogroup]")?.getAttribute("aria-label"), active.dataset.key] : null;
    this.flameTools.replaceChildren(
      segments("Measure", costs, view.cost.key, (cost) => this.change({ cost, zoom: "" })),
      view.cost.bytes ? segments("Unit", [["bytes", "bytes"], ["count", view.cost.key === "copied" ? "copies" : "blocks"]], view.unit, (unit) => this.change({ unit: unit as State["unit"] })) : null as any,
      segments("Direction", [["icicle", "icicle"], ["flame", "flame"]], state.layout, (layout) => this.change({ layout: layout as State["layout"] })),
      select("Frames", [["line", "lines"], ["function", "functions"]], state.frames, (frames) => this.change({ frames: frames as State["frames"], zoom: "" })),
      model.isDiff ? select("Width", [["change", "change"], ["new", "new"], ["old", "old"]], state.width, (width) => this.change({ width: width as State["width"], zoom: "" })) : null as any,
      select("Split", splits, state.split, (split) => this.split(split as State["split"])),
      toggle("invert", state.invert, (invert) => this.change({ invert, zoom: "" }), "Innermost frames at the root, their callers on top"),
      toggle("imports", state.imports, (imports) => this.change({ imports, zoom: "" }), "Show the frames of the import system"),
      toggle("interpreter", state.interpreter, (interpreter) => this.change({ interpreter, zoom: "" }), "Show the interpreter's own native frames"),
      hasTags(model) && state.split !== "tag" ? toggle("tags", state.tags, (tags) => this.change({ tags, zoom: "" }), "Show tags as the outermost frames") : null as any,
      h("label", { class: "control grow" }, h("span", null, "Search"), h("input", { type: "search", value: state.search, placeholder: "function or file, /regex/", "data-focus": "search",
        input: (event: Event) => this.change({ search: (event.target as HTMLInputElement).value }) })));
    for (const child of [...this.flameTools.childNodes]) if (child.nodeType === 3) child.remove();
    if (inSearch) { const field = this.flameTools.querySelector<HTMLInputElement>("[data-focus=search]")!; field.focus(); field.setSelectionRange(caret, caret); }
    if (label) this.flameTools.querySelector<HTMLElement>(`[aria-label="${label[0]}"] [data-key="${label[1]}"]`)?.focus();
    if (this.main.firstChild !== this.flameBox) this.main.replaceChildren(this.flameBox);
    this.flame.show({
      tree, zoomPath: state.zoom, layout: state.layout, search: searchPattern(state.search), format: formatCost(view), total, unitTitle: this.costText(), diff: model.isDiff,
      onZoom: (zoom, item) => { this.change({ zoom, ...this.lineOf(tree, item) }); this.say(item, tree); },
      onPick: (item) => { Object.assign(this.state, this.lineOf(tree, item)); writeState(this.state); this.renderPeek(); this.say(item, tree); },
      onOpen: (item) => { const { file, line } = this.lineOf(tree, item); this.open(file, line); }, canOpen: (item) => this.hasSource(tree.lineOf(item).frame),
      bottom: () => (this.peek.element.hidden ? window.innerHeight : Math.min(window.innerHeight, this.peek.element.getBoundingClientRect().top)),
    });
    this.renderPeek();
    this.renderLegend(tree);
  }

  /** By process, of all of them; and back to one. */
  private split(split: State["split"]): void {
    const process = split === "process" ? -1 : this.state.split === "process" ? 0 : this.state.process;
    this.change({ split, process, zoom: "", from: process === this.state.process ? this.state.from : -1, to: process === this.state.process ? this.state.to : -1 });
  }

  // ---- the source of a frame ----

  private hasSource(frame: number): boolean {
    const { model } = this;
    return frame > 0 && model.process.frames.line[frame]! > 0 && !model.process.frames.gone?.[frame] && model.process.sources.some((s) => s.file === model.file(frame));
  }

  /** Where the source pane goes for an item; where it has no line, it says why. */
  private lineOf(tree: Tree, item: Item): { file: string; line: number } {
    const { model } = this, { frames } = model.process, { frame } = tree.lineOf(item);
    this.noLine = "";
    if (frame && this.hasSource(frame)) return { file: model.file(frame), line: frames.line[frame]! };
    if (frame) this.noLine = `${tree.title(item)}: ${this.whyNoLine(frame)}`;
    else if (item.parent && !item.label) this.noLine = "Folded small stacks: of them, only the sum is in this page.";
    return { file: "", line: 0 };
  }

  private whyNoLine(frame: number): string {
    const { frames } = this.model.process;
    if (explain(this.model.functionName(frame))) return explain(this.model.functionName(frame));
    if (frames.kind[frame] === TAG) return "a tag, which the program gave: it has no line";
    if (frames.gone?.[frame]) return "a line of the old source, which isn't in this page";
    if (frames.line[frame]! > 0) return "the text of this file isn't in this page";
    return KINDS[frames.kind[frame]!] === "native" ? "no line is known: its module has no debug information" : "no line is known";
  }

  private renderPeek(): void {
    const { state, view, model } = this;
    this.peek.show({ model, state: { ...state, from: view.from, to: view.to, cost: view.cost.key }, note: this.noLine,
      onOpen: () => this.open(this.state.file, this.state.line), onClose: () => { this.noLine = ""; this.change({ file: "", line: 0 }); this.flame.focus(); } });
  }

  private say(item: Item, tree: Tree): void { announceLine(`${tree.title(item)}, ${this.flame.amountText(item)}`, this.state.file, this.state.line, this.noLine); }

  private renderLegend(tree: Tree): void {
    const { model } = this, { folded } = model.process, legend = this.flameBox.querySelector(".legend")!;
    const key = (color: string, title: string) => h("span", { class: "key" }, h("i", { style: `background:var(--${color})` }), title);
    const keys = model.isDiff ? [key("diff-grow", "grew"), key("diff-none", "as it was"), key("diff-shrink", "shrank"),
      h("span", { class: "dim" }, this.state.width === "change" ? "The width is what changed: what grew and what shrank, added up." : `The width is what was there in the ${this.state.width} trace.`)]
      : [...ORIGINS.map((origin, i) => key(`flame-${origin}`, ORIGIN_TITLES[i]!)), ...(hasTags(model) ? [key("flame-tag", "tag")] : [])];
    const { cost, unit } = this.view, measure = unit === "bytes" && cost.bytes ? cost.bytes : cost.count;
    const share = model.isDiff ? "" : `: together ${formatCost(this.view)(folded[measure])}, ${formatShare(tree.root.total ? folded[measure] / tree.root.total : 0)} of this`;
    const foldedNote = folded.stacks ? `${formatExact(folded.stacks)} of ${formatExact(folded.stacks_in_all)} stacks are folded into their callers${share}.` : `All ${formatExact(folded.stacks_in_all)} stacks are here.`;
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
          ...(model.isDiff ? [row("compared", `${model.process.baseline!.summary.trace} (old) with ${summary.trace} (new); lines and files that stand for each other are matched, ${model.process.edited_files === 1 ? "1 source file was" : `${formatExact(model.process.edited_files ?? 0)} source files were`} edited in between`)] : []),
          row("lines", lines.more ? `${formatExact(lines.file.length)}, and the sums of ${formatExact(lines.more)} more are left out of the tables` : `all ${formatExact(lines.file.length)}`),
          row("sources", `${sources.filter((s) => s.text !== undefined).length} of ${sources.length} files`),
          row("ranges", model.hasRanges ? `${model.windowCount} steps of ${stepText(model)}: a range begins and ends at a step; within a range the peak is that of its highest moment${model.listedText ? `. Events are listed ${model.listedText} only, and ranges lie there; of the rest the trace holds sums` : ""}` : model.whyNoRanges)))),
      h("section", { class: "card" }, h("h2", null, "Words"), h("dl", null,
        ...[["peak", "What was live at the high-water mark: the moment at which the heap was at its highest."], ["live at end", "What had not been freed when the program ended."],
          ["allocated", "All that was ever allocated, freed or not: the churn."], ["temporary", "Allocations that were freed before the same thread's next one."],
          ["copied", "Bytes that memcpy, memmove and their kin moved."], ["kept", "What was allocated in the chosen range of time and not freed in it."],
          ["leaks", "What lines hold that keep growing; the Leaks tab says why they are thought to."], ["arena slack", "Free room that Python's object allocator keeps for its next small objects: it takes memory in arenas of 256 KiB or 1 MiB, and gives one back when no object in it is left."],
          ["tag", "What the program said that it was doing meanwhile (heapline.tag)."], ["folded", "Stacks with too small a share to be in the page one by one: counted in their nearest caller, so that sums are exact."]].flatMap(([a, b]) => [h("dt", null, a!), h("dd", null, b!)]))),
      h("section", { class: "card" }, h("h2", null, "Keys"), h("dl", null,
        ...[["1 – 6", "the tabs"], ["/", "search or filter"], ["arrows", "from frame to frame in the flame graph"], ["Enter, Esc", "zoom in, zoom out; the source pane below goes to the frame's line"], ["S", "the whole source file"]].flatMap(([a, b]) => [h("dt", null, h("kbd", null, a!)), h("dd", null, b!)]))));
  }

  /** For tests: what is shown, as numbers. */
  inspect() {
    return { state: { ...this.state }, drawn: this.flame.drawn, matched: this.flame.matchedTotal, total: this.tree?.total, rows: this.state.tab === "lines" ? this.table.rows({ ...this.state, cost: this.cost.key }).map((r) => ({ place: r.place, path: r.path, line: r.line, functionName: r.functionName, kept: r.kept, status: r.status, noise: r.noise, ...copy(r.figures), old: r.old && copy(r.old) })) : [] };
  }
}

function copy(figures: Record<Measure, number>): Record<Measure, number> {
  return Object.fromEntries(MEASURES.map((measure) => [measure, figures[measure]])) as Record<Measure, number>;
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
