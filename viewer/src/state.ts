// What is shown, kept in the URL's fragment so that a link shows the same view.

export interface State {
  process: number;      // -1: all together
  tab: "flame" | "lines" | "source" | "leaks" | "copies" | "about";
  cost: string;         // "": the page's own, the peak or what was compared
  unit: "bytes" | "count";
  layout: "icicle" | "flame";
  frames: "line" | "function";
  split: "none" | "thread" | "tag" | "kind" | "module" | "process";
  width: "change" | "new" | "old"; // of a comparison: what the width of a frame says
  invert: boolean;
  imports: boolean;     // shown
  interpreter: boolean; // shown
  tags: boolean;        // shown
  search: string;
  zoom: string;         // path of frame keys
  from: number;         // windows; -1: all of the run
  to: number;
  group: string;        // of the table
  sort: string;
  down: boolean;
  filter: string;
  inclusive: boolean;
  file: string;
  line: number;
}

export const DEFAULTS: State = {
  process: 0, tab: "flame", cost: "", unit: "bytes", layout: "icicle", frames: "line", split: "none", width: "change", invert: false, imports: true,
  interpreter: false, tags: true, search: "", zoom: "", from: -1, to: -1, group: "line", sort: "", down: true, filter: "", inclusive: false, file: "", line: 0,
};

export function readState(): State {
  const state = { ...DEFAULTS } as Record<string, unknown>;
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    if (!(key in DEFAULTS)) continue;
    const model = DEFAULTS[key as keyof State];
    if (typeof model === "number") state[key] = Number.isFinite(Number(value)) ? Math.trunc(Number(value)) : model;
    else if (typeof model === "boolean") state[key] = value === "1";
    else state[key] = value;
  }
  return state as unknown as State;
}

export function writeState(state: State): void {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(state))
    if (value !== DEFAULTS[key as keyof State]) parameters.set(key, typeof value === "boolean" ? (value ? "1" : "0") : String(value));
  const text = parameters.toString();
  if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}
