import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fragmentNames } from "../../../../lab/config/customKernel.ts";
import { parseKernelConfig } from "../../../../lab/config/kernelTree.ts";
import { fragmentFile } from "../../../../lab/kernel/kernelRecipe.ts";
import { patienceFor, sanitizersIn, sanitizersOf } from "../../../../lab/kernel/sanitizers.ts";
import { readFileSync } from "node:fs";

describe("sanitizers", () => {
  it.each(fragmentNames)("of fragment %s is one", (name) => {
    const config = parseKernelConfig(readFileSync(fragmentFile(name), "utf8"));
    expect(sanitizersIn(config)).toEqual([name]);
    expect(patienceFor(sanitizersIn(config))).toBeGreaterThan(1);
  });

  it("are none of a stock kernel, whose deadlines stay", () => {
    const stock = parseKernelConfig(
      "CONFIG_MODULES=y\n# CONFIG_KASAN is not set\nCONFIG_UBSAN=m\n",
    );
    expect(sanitizersIn(stock)).toEqual([]);
    expect(patienceFor([])).toBe(1);
  });

  it("are read from the image's own configuration", async () => {
    const sysroot = await mkdtemp(join(tmpdir(), "sysroot-"));
    const image = { sysroot, kernelRelease: "6.1.1" };
    expect(await sanitizersOf(image)).toEqual([]);
    await mkdir(join(sysroot, "boot"));
    await writeFile(
      join(sysroot, "boot/config-6.1.1"),
      "CONFIG_DEBUG_KMEMLEAK=y\nCONFIG_KASAN=y\n",
    );
    expect(await sanitizersOf(image)).toEqual(["kasan", "kmemleak"]);
  });
});
