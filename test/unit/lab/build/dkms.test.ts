import fc from "fast-check";
import { expect, it } from "vitest";
import { modulesIn } from "../../../../lab/build/dkms.ts";
import { buildSteps } from "../../../../lab/build/steps.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";

it("a dkms.conf can't name modules outside of its folder", () => {
  const path = fc.array(fc.constantFrom("..", ".", "a", "b.ko", ""), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(path), (paths) => {
      const text = paths.map((parts) => `module=${parts.join("/")}.ko\0`).join("");
      for (const file of modulesIn(text)) expect(file).toMatch(/^(?!\/|\.\.(\/|$)).*\.ko$/);
    }),
  );
  expect(modulesIn("module=a/./b.ko\0module=../c.ko\0module=/d.ko\0module=a/b.ko\0")).toEqual([
    "a/b.ko",
  ]);
});

it("a package's step runs its dkms.conf in its folder, for the image's kernel", () => {
  const manifest = parseManifest("{name: a, module: {folder: src, dkms: debian/a.dkms}}");
  const [step] = buildSteps(manifest, "6.1.0-1-amd64", 3);
  expect(step).toMatchObject({
    name: "module",
    folder: "/mnt/vexlab-build/src",
    program: "debian/a.dkms",
    failsCleanly: false,
  });
  expect(step?.argv.slice(3)).toEqual([
    "dkms.sh",
    "build",
    "debian/a.dkms",
    "6.1.0-1-amd64",
    "/lib/modules/6.1.0-1-amd64/build",
    "3",
  ]);
});
