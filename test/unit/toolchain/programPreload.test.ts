import {
  copyFile,
  mkdir,
  mkdtemp,
  realpath,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

// Throws inside Pulumi's own code and formats the error as Pulumi's runtime does.
const program = `
import { createRequire } from "node:module";
import { inspect } from "node:util";
const require = createRequire(process.cwd() + "/index.ts");
require("source-map-support/register");
const pulumi = require("@pulumi/pulumi");
try {
  new pulumi.CustomResource(undefined, "name");
} catch (error) {
  if (!/@pulumi\\/[a-z]+\\.ts/.test(error.stack)) inspect(error, { colors: true });
  console.log(error.stack);
}`;

/** What a program prints that runs as Pulumi's does, with the preload. */
async function printed(text: string): Promise<string> {
  const preload = "--import=./toolchain/programPreload.js";
  const argv = [preload, "--input-type=module", "--eval", text];
  return (await execa(process.execPath, argv)).stdout;
}

it("keeps Pulumi's stack frames in their package, which Node can format", async () => {
  const stdout = await printed(program);
  expect(stdout).toMatch(/node_modules\/@pulumi\/pulumi\/resource\.js:/);
  expect(stdout).not.toMatch(/node_modules\/@pulumi\/resource\.ts/);
}, 30_000);

it("leaves unloaded what Pulumi needs for functions that run in a cloud", async () => {
  const stdout = await printed(
    `import { createRequire } from "node:module";
     const require = createRequire(process.cwd() + "/index.ts");
     const pulumi = require("@pulumi/pulumi");
     const loaded = () => Object.keys(require.cache).filter((file) => /\\/(typescript|arborist|automation)\\//.test(file)
       && require.cache[file].children.length > 0).length;
     console.log(loaded());
     console.log(typeof pulumi.automation.LocalWorkspace, loaded() > 0);
     console.log(await pulumi.runtime.serializeFunction(() => 42).then(({ text }) => text.includes("42")));`,
  );
  expect(stdout.split("\n")).toEqual(["0", "function true", "true"]);
}, 30_000);

it("leaves unloaded what Pulumi needs for tracing, until something is traced", async () => {
  const stdout = await printed(
    `import { createRequire } from "node:module";
     const require = createRequire(process.cwd() + "/index.ts");
     const loaded = () => Object.keys(require.cache).some((file) => /(sdk-trace-node|v8Hooks)/.test(file)
       && require.cache[file].children.length > 0);
     const hooks = require("@pulumi/pulumi/runtime/closure/v8Hooks");
     await hooks.isInitializedAsync();
     const tracing = require("@pulumi/pulumi/cmd/run/tracing");
     console.log(loaded());
     tracing.start("http://127.0.0.1:1/api/v2/spans");
     console.log(typeof tracing.newSpan("a span").spanContext().traceId, loaded());
     process.exit();`,
  );
  expect(stdout.split("\n")).toEqual(["false", "string true"]);
}, 30_000);

describe("the program's file", () => {
  let checkout: string;
  const bundle = (): string => join(checkout, ".vexlab/program/pulumi.mjs");
  const runIndex = async (env: Record<string, string> = {}): Promise<string> => {
    const preload = "--import=./toolchain/programPreload.js";
    // As Pulumi's runtime does: the program is the last word.
    await writeFile(join(checkout, "run.mjs"), "console.log(process.argv.at(-1))");
    const options = { cwd: checkout, env };
    return (await execa(process.execPath, [preload, "run.mjs", "index.ts"], options)).stdout;
  };

  beforeEach(async () => {
    checkout = await realpath(await mkdtemp(join(tmpdir(), "vexlab-preload-")));
    for (const folder of ["components", "lab/deep", "toolchain", ".vexlab/program"])
      await mkdir(join(checkout, folder), { recursive: true });
    for (const file of ["index.ts", "package-lock.json", "lab/deep/one.ts"])
      await writeFile(join(checkout, file), "");
    for (const file of ["toolchain/programPreload.js", "toolchain/lazyPackage.js"])
      await copyFile(file, join(checkout, file));
    await symlink(join(process.cwd(), "node_modules"), join(checkout, "node_modules"));
    await writeFile(bundle(), "");
    const later = Date.now() / 1000 + 10;
    await utimes(bundle(), later, later);
  });

  afterEach(async () => rm(checkout, { recursive: true }));

  it("is the one file of all modules", async () => {
    expect(await runIndex()).toBe(bundle());
  });

  it("is index.ts where that is older than a source, or missing, or a fault is looked for", async () => {
    expect(await runIndex({ VEXLAB_DEBUG: "1" })).toBe("index.ts");
    const latest = Date.now() / 1000 + 20;
    await utimes(join(checkout, "lab/deep/one.ts"), latest, latest);
    expect(await runIndex()).toBe("index.ts");
    await rm(bundle());
    expect(await runIndex()).toBe("index.ts");
  });
});
