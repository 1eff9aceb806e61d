// Clicks through a page in headless Chromium and prints what each kind of click took, from the input event to the end of the frame that shows the
// answer:  clicks.mjs NODE_MODULES CHROMIUM PAGE.html ROUNDS
import { createRequire } from "node:module";

const [modules, executablePath, path, roundsText] = process.argv.slice(2), rounds = Number(roundsText);
const { chromium } = createRequire(`${modules}/x.js`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
const complaints = [];
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("console", (message) => complaints.push(message.text()));

// Behind the frame's layout and painting, which come after its callbacks, the message is the first task.
await page.addInitScript(() => {
  window.answers = [];
  let began = 0;
  const note = (event) => {
    if (began) return;
    began = event.timeStamp;
    requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel(); port1.onmessage = () => { window.answers.push(performance.now() - began); began = 0; }; port2.postMessage(0); });
  };
  for (const type of ["click", "dblclick", "change", "input", "keydown", "mouseup"]) addEventListener(type, note, true);
});
const started = performance.now();
await page.goto(`file://${path}`);
await page.waitForSelector("html[data-ready]", { timeout: 120000 });
const figures = await page.evaluate(() => ({ nodes: heapline.model.nodeCount, frames: heapline.model.frameCount, ...heapline.model.process.folded }));
console.log(`opened in ${((performance.now() - started) / 1000).toFixed(2)} s: ${figures.nodes.toLocaleString("en")} nodes, ${figures.frames.toLocaleString("en")} frames; `
  + `${figures.stacks.toLocaleString("en")} of ${figures.stacks_in_all.toLocaleString("en")} stacks folded\n`);

const protocol = await page.context().newCDPSession(page); // the page's own processor time, which other programs don't lengthen
await protocol.send("Performance.enable", { timeDomain: "threadTicks" });
const processorTime = async () => (await protocol.send("Performance.getMetrics")).metrics.find((metric) => metric.name === "TaskDuration").value * 1000;

const rows = [];
/** Does `act` in each round; `before` prepares, and isn't counted. */
async function measure(kind, act, before) {
  const times = [];
  let processor = 0;
  for (let round = 0; round < rounds; round++) {
    if (before) await before(round);
    await page.waitForTimeout(250); // what a click before set off is over
    await page.evaluate(() => { window.answers = []; });
    const used = await processorTime();
    await act(round);
    await page.waitForFunction(() => window.answers.length > 0);
    processor += await processorTime() - used;
    await page.waitForTimeout(80);
    times.push(...await page.evaluate(() => window.answers));
  }
  times.sort((a, b) => a - b);
  rows.push({ kind, median: times[times.length >> 1], slowest: times[times.length - 1], count: times.length, processor: processor / times.length });
}
const go = (hash) => page.evaluate((text) => { location.hash = text; }, hash);
const button = (label, key) => page.click(`[role=radiogroup][aria-label="${label}"] [data-key="${key}"]`);
const choose = async (label, value) => page.locator(`label.control:has(span:text-is("${label}")) select`).selectOption(value);
const clickBox = async (round, double = false) => {
  const spot = await page.evaluate((n) => {
    const canvas = document.querySelector(".flame canvas"), bounds = canvas.getBoundingClientRect();
    const boxes = heapline.inspect().drawn.filter((box) => box.depth > 1 && box.width > 4 && box.width < 1000), box = boxes[(n * 7) % boxes.length];
    return { x: bounds.left + box.x + box.width / 2, y: bounds.top + box.depth * 21 + 10 };
  }, round);
  await (double ? page.mouse.dblclick(spot.x, spot.y) : page.mouse.click(spot.x, spot.y));
};
const drag = async (from, to) => {
  const box = await page.locator(".uplot .u-over").boundingBox();
  await page.mouse.move(box.x + from * box.width, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + ((from + to) / 2) * box.width, box.y + 50);
  await page.mouse.move(box.x + to * box.width, box.y + 50);
  await page.evaluate(() => { window.answers = []; });
  await page.mouse.up();
};
const type = async (selector, round) => { await page.fill(selector, ""); await page.focus(selector); await page.evaluate(() => { window.answers = []; }); await page.keyboard.type(["step_0", "part_1", "finis", "0123", "main"][round % 5], { delay: 150 }); };

await measure("flame graph: zoom", clickBox, () => go("cost=allocated"));
await measure("flame graph: another measure", (n) => button("Measure", ["allocated", "live", "temporary", "copied", "kept"][n % 5]), () => go("cost=peak"));
await measure("flame graph: icicle to flame", (n) => button("Direction", n % 2 ? "icicle" : "flame"), (n) => go(n % 2 ? "layout=flame" : ""));
await measure("flame graph: invert", () => page.click("label.toggle:has-text('invert')"), () => go("cost=allocated"));
await measure("flame graph: lines to functions", () => choose("Frames", "function"), () => go("cost=allocated"));
await measure("flame graph: split by module", () => choose("Split", "module"), () => go("cost=allocated"));
await measure("flame graph: split by Python and native", () => choose("Split", "kind"), () => go("cost=allocated"));
await measure("flame graph: search, a letter", (n) => type("[data-focus=search]", n), () => go("cost=allocated"));
await measure("flame graph: search inverted, a letter", (n) => type("[data-focus=search]", n), () => go("cost=allocated&invert=1"));
await measure("flame graph: key to the next frame", () => page.keyboard.press("ArrowDown"), async () => { await go("cost=allocated"); await page.focus(".flame canvas"); });
await measure("flame graph: double click to the source", (n) => clickBox(n, true), () => go("cost=allocated"));
await measure("brush, flame graph", (n) => drag(0.1 + 0.05 * n, 0.5 + 0.05 * n), () => go("cost=peak"));
await measure("brush, table of lines", (n) => drag(0.1 + 0.05 * n, 0.5 + 0.05 * n), () => go("tab=lines"));
await measure("brush, table of stacks", (n) => drag(0.1 + 0.05 * n, 0.5 + 0.05 * n), () => go("tab=lines&group=stack"));
await measure("brush, source", (n) => drag(0.1 + 0.05 * n, 0.5 + 0.05 * n), () => go("tab=source"));
await measure("brush, copies", (n) => drag(0.1 + 0.05 * n, 0.5 + 0.05 * n), () => go("tab=copies"));
for (const tab of ["lines", "source", "leaks", "copies", "about"]) await measure(`view: ${tab}`, () => page.click(`#tab-${tab}`), () => go("cost=peak"));
await measure("view: flame graph", () => page.click("#tab-flame"), () => go("tab=lines"));
for (const group of ["function", "file", "module", "stack"]) await measure(`table: rows are ${group}s`, () => button("Rows", group), () => go("tab=lines"));
await measure("table of lines: sort", (n) => page.click(`[data-focus=sort-${["allocated_bytes", "live_bytes", "place", "functionName", "copies"][n % 5]}]`), () => go("tab=lines"));
await measure("table of stacks: sort", (n) => page.click(`[data-focus=sort-${["allocated_bytes", "live_bytes", "place", "functionName", "copies"][n % 5]}]`), () => go("tab=lines&group=stack"));
await measure("table of lines: filter, a letter", (n) => type("[data-focus=filter]", n), () => go("tab=lines"));
await measure("table of stacks: filter, a letter", (n) => type("[data-focus=filter]", n), () => go("tab=lines&group=stack"));
await measure("table: a line's source", (n) => page.locator(".table-box tbody button.link").nth(n).click(), () => go("tab=lines"));
await measure("source: another file", (n) => page.locator(".files button").nth(n + 1).click(), () => go("tab=source"));
await measure("light and dark", () => page.click(".theme"), () => go("cost=peak"));

const width = Math.max(...rows.map((row) => row.kind.length));
console.log(`${"click".padEnd(width)}  median  slowest   of  processor`);
for (const { kind, median, slowest, count, processor } of rows) console.log(`${kind.padEnd(width)}  ${median.toFixed(0).padStart(3)} ms  ${slowest.toFixed(0).padStart(4)} ms  ${String(count).padStart(3)}  ${processor.toFixed(0).padStart(6)} ms`);
if (complaints.length) console.log(`\nthe console said: ${complaints.join("\n")}`);
await browser.close();
process.exit(complaints.length ? 1 : 0);
