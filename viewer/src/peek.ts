// The source pane below the flame graph: the lines around that of the frame which was clicked, or which the keys are on. It stays in sight
// while the flame graph scrolls, so that a click zooms and goes to the line at once.
import { announce, h } from "./dom";
import type { Model } from "./model";
import { tableRows } from "./rows";
import { FileTable, hasLevels, levelsOf } from "./source_lines";
import type { State } from "./state";

const AROUND = 14; // lines above and below
const FINISH_MS = 150; // then come a large file's colours, and the curves: when the click has been answered

export interface PeekOptions {
  model: Model; state: State;   // file and line: what is shown; line 0: nothing, or a note
  note: string;                 // why there is no line
  onOpen: () => void; onClose: () => void;
}

export class PeekView {
  readonly element = h("section", { class: "peek", "aria-label": "Source of the frame", hidden: true });
  private finishing = 0;

  show({ model, state, note, onOpen, onClose }: PeekOptions): void {
    clearTimeout(this.finishing);
    const { file, line } = state, hasLine = line > 0;
    this.element.hidden = !hasLine && !note;
    if (this.element.hidden) { this.element.replaceChildren(); return; }
    const source = model.process.sources.find((s) => s.file === file);
    const close = h("button", { type: "button", class: "small", "aria-label": "Close the source pane", click: onClose }, "✕");
    if (!hasLine) { this.element.replaceChildren(h("div", { class: "peek-head" }, h("span", { class: "dim", "data-note": "" }, note), close)); return; }
    const isInclusive = state.from < 0 && !!model.process.lines_inclusive;
    const rows = tableRows(model, "line", state.from, state.to, isInclusive).filter((row) => row.path === file && row.line > 0);
    const isWhole = hasLevels(model, file), table = new FileTable(model, state, file, source, rows, isWhole ? levelsOf(model, file) : new Map(), line, true);
    const head = h("div", { class: "peek-head" }, h("strong", { class: "path" }, `${file}:${line}`),
      h("span", { class: "dim" }, source?.text === undefined ? `no text: ${source?.absent ?? "not in the page"}` : source.newer ? "changed since the program was recorded" : model.isDiff ? "" : isInclusive ? "figures of lines with all they call" : "figures of the lines themselves"),
      source ? h("button", { type: "button", class: "link", click: onOpen }, "whole file (S)") : null, close);
    const box = h("div", { class: "code", tabindex: 0, role: "region", "aria-label": `Source around line ${line}` });
    const from = Math.max(0, table.indexOf(line) - AROUND), to = Math.min(table.lines.length, from + 2 * AROUND + 1);
    if (table.lines.length) box.append(h("table", null, table.header(), h("tbody", null, ...Array.from({ length: to - from }, (_, i) => table.row(from + i)))));
    this.element.replaceChildren(head, ...(table.lines.length ? [box] : []));
    const target = box.querySelector<HTMLElement>("tr.target");
    if (target) box.scrollTop = target.offsetTop - box.clientHeight / 2;
    if (table.isPlain || !isWhole)
      this.finishing = window.setTimeout(() => {
        const full = new FileTable(model, state, file, source, rows, levelsOf(model, file), line), top = box.scrollTop;
        box.querySelector("tbody")?.replaceChildren(...Array.from({ length: to - from }, (_, i) => full.row(from + i)));
        box.scrollTop = top;
      }, FINISH_MS);
  }
}

/** For who doesn't see the pane. */
export const announceLine = (title: string, file: string, line: number, note: string): void =>
  announce(line > 0 ? `${title}, line ${line} of ${file.slice(file.lastIndexOf("/") + 1)}` : note ? `${title}, ${note}` : title);
