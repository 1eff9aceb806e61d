// Drives a headless Chromium for the tests: reads one JSON request a line from stdin, answers each with one on stdout.
// Requests: {"page": path, "hash": …, "scheme": …}, {"evaluate": expression}, {"click": selector}, {"type": [selector, text]}, {"press": key},
// {"drag": [selector, from, to]} (shares of its width), {"clickAt": [selector, x, y]} (pixels; with "times": so many clicks), {"screenshot": path},
// {"media": "print"}, {"pdf": path}, {"tree": 1} (Chromium's accessibility tree: role, name and properties of each node that isn't ignored), {"axe": 1} (what axe-core
// finds), {"vision": deficiency}. Answers: {"value": …} or {"error": …}; what the console said is
// in {"evaluate": "console"}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/x.js`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
let page, messages = [];

const actions = {
  async page({ page: path, hash = "", scheme = "light", width = 1400, height = 900, wait = true }) {
    await page?.close();
    messages = [];
    page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme });
    page.on("console", (message) => messages.push(message.text()));
    page.on("pageerror", (error) => messages.push(String(error)));
    page.on("request", (request) => { if (!/^(file|data|blob):/.test(request.url())) messages.push(`request: ${request.url()}`); });
    await page.goto(`file://${path}${hash ? `#${hash}` : ""}`);
    if (wait) await page.waitForSelector("html[data-ready]", { timeout: 60000 });
  },
  evaluate: ({ evaluate }) => (evaluate === "console" ? messages : page.evaluate(evaluate)),
  click: ({ click }) => page.click(click),
  type: ({ type: [selector, text] }) => page.fill(selector, text),
  press: ({ press }) => page.keyboard.press(press),
  async drag({ drag: [selector, from, to] }) {
    const box = await (await page.$(selector)).boundingBox();
    await page.mouse.move(box.x + from * box.width, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + ((from + to) / 2) * box.width, box.y + box.height / 2);
    await page.mouse.move(box.x + to * box.width, box.y + box.height / 2);
    await page.mouse.up();
  },
  async clickAt({ clickAt: [selector, x, y], times = 1 }) {
    await page.evaluate(([s, down]) => { const at = document.querySelector(s).getBoundingClientRect().top + down; if (at < 0 || at > innerHeight - 20) scrollBy(0, at - innerHeight / 3); }, [selector, y]);
    const box = await (await page.$(selector)).boundingBox();
    await page.mouse.click(box.x + x, box.y + y, { clickCount: times });
  },
  media: ({ media }) => page.emulateMedia({ media }),
  pdf: ({ pdf }) => page.pdf({ path: pdf, format: "A4" }).then(() => null),
  async tree() {
    const session = await page.context().newCDPSession(page), { nodes } = await session.send("Accessibility.getFullAXTree");
    await session.detach();
    return nodes.filter((node) => !node.ignored).map(({ role, name, properties = [] }) => ({ role: role?.value, name: name?.value ?? "", ...Object.fromEntries(properties.map((p) => [p.name, p.value.value])) }));
  },
  async axe() {
    if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(readFileSync(`${modules}/axe-core/axe.min.js`, "utf8"));
    const found = await page.evaluate("axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })");
    return { passed: found.passes.length, violations: found.violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((node) => node.html.slice(0, 160))]) };
  },
  async vision({ vision }) {
    const session = await page.context().newCDPSession(page);
    await session.send("Emulation.setEmulatedVisionDeficiency", { type: vision });
  },
  screenshot: ({ screenshot, full = false }) => page.screenshot({ path: screenshot, fullPage: full }).then(() => null),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const name = Object.keys(actions).find((key) => key in request);
  let answer;
  try { answer = { value: (await actions[name](request)) ?? null }; } catch (error) { answer = { error: String(error) }; }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
