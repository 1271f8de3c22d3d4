import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";

const lazyPackage = pathToFileURL("toolchain/lazyPackage.js").href;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-lazy-"));
  await mkdir(join(folder, "node_modules/slow"), { recursive: true });
  await writeFile(
    join(folder, "node_modules/slow/index.js"),
    'console.log("loaded"); exports.answer = 42; Object.freeze(exports);',
  );
});
afterEach(() => rm(folder, { recursive: true }));

/** What is printed by a program that has put off loading the package `slow`. */
async function printed(program: string, name = "slow"): Promise<string[]> {
  const by = JSON.stringify(join(folder, "by.js"));
  const before = `import { createRequire } from "node:module";
    import { loadLazily } from ${JSON.stringify(lazyPackage)};
    loadLazily(${by}, ${JSON.stringify(name)});
    const require = createRequire(${by});`;
  const argv = ["--input-type=module", "--eval", `${before}${program}`];
  return (await execa(process.execPath, argv)).stdout.split("\n");
}

it("loads the package once, when something of it is first used", async () => {
  const program = `const slow = require("slow"); console.log("required");
    console.log(slow.answer, "answer" in slow, Object.keys(slow).join(), slow.none);
    console.log(require("slow").answer);`;
  expect(await printed(program)).toEqual(["required", "loaded", "42 true answer undefined", "42"]);
});

it("does not load it for TypeScript's namespace of it", async () => {
  const program = `const module = require("slow"); const copy = module.__esModule ? module : { ...module };
    console.log("imported"); console.log(copy.answer);`;
  expect(await printed(program)).toEqual(["imported", "loaded", "42"]);
});

it("changes nothing where the package is not installed or loaded already", async () => {
  expect(await printed('console.log("went on")', "none")).toEqual(["went on"]);
  const again = `require("slow"); loadLazily(${JSON.stringify(join(folder, "by.js"))}, "slow");
    console.log("again"); console.log(require("slow").answer);`;
  expect(await printed(again, "none")).toEqual(["loaded", "again", "42"]);
});

it("answers what is known of it without loading it", async () => {
  const by = JSON.stringify(join(folder, "by.js"));
  const program = `loadLazily(${by}, "slow", { ready: () => "at once" }); const slow = require("slow");
    console.log(slow.ready()); console.log(slow.toString === undefined, slow.answer);`;
  expect(await printed(program, "none")).toEqual(["at once", "loaded", "false 42"]);
});
