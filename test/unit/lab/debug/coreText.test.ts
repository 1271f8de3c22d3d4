import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { textAt } from "../../../../lab/debug/coreText.ts";
import { addVirtualAddresses } from "../../../../lab/hypervisor/virtualCore.ts";
import { kernelBase, qemuCore } from "../hypervisor/core.ts";

let folder: string;
let core: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-core-text-"));
  core = join(folder, "core");
  await writeFile(core, qemuCore());
  await addVirtualAddresses(core);
});
afterEach(() => rm(folder, { recursive: true }));

it("reads a text at an address of the kernel, to its end or as far as is wanted", async () => {
  expect(await textAt(core, kernelBase, 100)).toBe("code");
  expect(await textAt(core, kernelBase + 4096n, 100)).toBe("data");
  expect(await textAt(core, kernelBase + 4097n, 2)).toBe("at");
});

it("finds nothing where nothing is", async () => {
  expect(await textAt(core, kernelBase + 4n * 4096n, 100)).toBeUndefined();
  expect(await textAt(core, 4096n, 100)).toBeUndefined();
});

it("finds nothing in what is no core", async () => {
  await writeFile(core, "no core");
  expect(await textAt(core, kernelBase, 100)).toBeUndefined();
});
