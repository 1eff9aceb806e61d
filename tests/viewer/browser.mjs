// Drives a headless Chromium for the tests: reads one JSON request a line from stdin, answers each with one on stdout.
// Requests: {"page": path, "hash": …, "scheme": …}, {"evaluate": expression}, {"click": selector}, {"type": [selector, text]}, {"press": key},
// {"drag": [selector, from, to]} (shares of its width), {"screenshot": path}. Answers: {"value": …} or {"error": …}; what the console said is
// in {"evaluate": "console"}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/x.js`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
let page, messages = [];

const actions = {
  async page({ page: path, hash = "", scheme = "light", width = 1400, height = 900 }) {
    await page?.close();
    messages = [];
    page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme });
    page.on("console", (message) => messages.push(message.text()));
    page.on("pageerror", (error) => messages.push(String(error)));
    page.on("request", (request) => { if (!/^(file|data|blob):/.test(request.url())) messages.push(`request: ${request.url()}`); });
    await page.goto(`file://${path}${hash ? `#${hash}` : ""}`);
    await page.waitForSelector("html[data-ready]", { timeout: 60000 });
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
  screenshot: ({ screenshot }) => page.screenshot({ path: screenshot }).then(() => null),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const name = Object.keys(actions).find((key) => key in request);
  let answer;
  try { answer = { value: (await actions[name](request)) ?? null }; } catch (error) { answer = { error: String(error) }; }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
