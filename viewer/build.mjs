// Bundles the viewer into one HTML file:  node build.mjs SOURCE_FOLDER OUTPUT.html
// The page has no link to anything: script and style stand in it, and heapline puts the data where @HEAPLINE_DATA@ is.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const source = resolve(process.argv[2] ?? ".");
const output = resolve(process.argv[3] ?? "viewer.html");
const modules = resolve("node_modules"); // where npm installed: the build folder
const esbuild = createRequire(join(modules, "x.js"))("esbuild");

const built = await esbuild.build({
  entryPoints: [join(source, "src/main.ts")],
  bundle: true,
  write: false,
  outdir: "out",
  minify: true,
  target: ["chrome90", "firefox113"],
  format: "iife",
  charset: "utf8",
  legalComments: "inline",
  nodePaths: [modules],
  logLevel: "warning",
});
const text = (ending) => built.outputFiles.find((file) => file.path.endsWith(ending)).text;
const page = readFileSync(join(source, "page.html"), "utf8")
  .replace("@STYLE@", () => text(".css").trim())
  .replace("@SCRIPT@", () => text(".js").trim());
writeFileSync(output, page);
