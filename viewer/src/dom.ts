// Building elements without a framework.

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | ((event: any) => void)>;

function fill<T extends Element>(element: T, attributes: Attributes | null, children: Child[]): T {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(child instanceof Node ? child : String(child));
  return element;
}

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes | null = null, ...children: Child[]): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag: string, attributes: Attributes | null = null, ...children: Child[]): SVGElement {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag) as SVGElement, attributes, children);
}

export function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** What a screen reader hears when something that can't be focused has changed. */
export function announce(text: string): void {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}

export function select(label: string, options: [string, string][], value: string, change: (value: string) => void): HTMLElement {
  const list = h("select", { change: (event: Event) => change((event.target as HTMLSelectElement).value) });
  for (const [key, title] of options) list.append(h("option", { value: key, selected: key === value }, title));
  return h("label", { class: "control" }, h("span", null, label), list);
}

export function toggle(label: string, on: boolean, change: (on: boolean) => void, title = ""): HTMLElement {
  return h("label", { class: "toggle", title },
    h("input", { type: "checkbox", checked: on, change: (event: Event) => change((event.target as HTMLInputElement).checked) }), h("span", null, label));
}

/** One of a few: buttons side by side. */
export function segments(label: string, options: [string, string][], value: string, change: (value: string) => void): HTMLElement {
  const group = h("div", { class: "segments", role: "radiogroup", "aria-label": label });
  options.forEach(([key, title], index) => {
    const on = key === value;
    group.append(h("button", {
      type: "button", role: "radio", "aria-checked": on ? "true" : "false", tabindex: on ? 0 : -1, "data-key": key,
      click: () => change(key),
      keydown: (event: KeyboardEvent) => {
        const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 0;
        if (!step) return;
        event.preventDefault();
        event.stopPropagation();
        const next = options[(index + step + options.length) % options.length]![0];
        const name = group.getAttribute("aria-label");
        change(next);
        const again = document.querySelector<HTMLElement>(`[role=radiogroup][aria-label="${name}"] [data-key="${next}"]`);
        again?.focus();
      },
    }, title));
  });
  return group;
}

export function sparkline(values: ArrayLike<number>, width: number, height: number, label: string, top?: number): SVGElement {
  const count = values.length;
  let highest = top ?? 0;
  if (top === undefined) for (let i = 0; i < count; i++) highest = Math.max(highest, values[i]!);
  const x = (i: number) => (count > 1 ? (i / (count - 1)) * width : width);
  const y = (v: number) => height - 1 - (highest > 0 ? (v / highest) * (height - 2) : 0);
  let path = "";
  for (let i = 0; i < count; i++) path += `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(values[i]!).toFixed(1)}`;
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label, preserveAspectRatio: "none" },
    svg("path", { class: "spark-fill", d: `${path}L${width} ${height}L0 ${height}Z` }), svg("path", { class: "spark-line", d: path }));
}

/** Of two colours #rrggbb: the second's part is `share`. */
export function mixColors(first: string, second: string, share: number): string {
  const part = (color: string, at: number) => parseInt(color.slice(at, at + 2), 16);
  return `rgb(${[1, 3, 5].map((at) => Math.round(part(first, at) * (1 - share) + part(second, at) * share)).join(" ")})`;
}

/** Cuts texts to a width. Asking the canvas for each is what would cost most of a drawing: it is asked for each character once. */
export class TextFitter {
  private readonly context = document.createElement("canvas").getContext("2d")!;
  private readonly widths = new Map<string, number>();
  private readonly dots: number;

  constructor(font: string) {
    this.context.font = font;
    this.dots = this.widthOf("…");
  }

  private widthOf(character: string): number {
    let width = this.widths.get(character);
    if (width === undefined) this.widths.set(character, (width = this.context.measureText(character).width));
    return width;
  }

  width(text: string): number {
    let sum = 0;
    for (const character of text) sum += this.widthOf(character);
    return sum;
  }

  fit(text: string, room: number): string {
    let sum = 0, fits = 0, at = 0;
    for (const character of text) {
      sum += this.widthOf(character);
      at += character.length;
      if (sum + this.dots <= room) fits = at;
      if (sum > room) return fits > 1 ? `${text.slice(0, fits)}…` : "";
    }
    return text;
  }
}
