import { execa } from "execa";
import { expect, it } from "vitest";

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

it("keeps Pulumi's stack frames in their package, which Node can format", async () => {
  const preloads = ["--import=tsx/esm", "--import=./toolchain/programPreload.ts"];
  const { stdout } = await execa(process.execPath, [
    ...preloads,
    "--input-type=module",
    "--eval",
    program,
  ]);
  expect(stdout).toMatch(/node_modules\/@pulumi\/pulumi\/resource\.js:/);
  expect(stdout).not.toMatch(/node_modules\/@pulumi\/resource\.ts/);
}, 30_000);
