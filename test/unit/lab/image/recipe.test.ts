import { appendFile, cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { recipeNames } from "../../../../lab/config/recipes.ts";
import { hashRecipe, imageId, imageSources, recipe } from "../../../../lab/image/recipe.ts";

describe("hashRecipe", () => {
  let copy: string;
  beforeEach(async () => {
    copy = await mkdtemp(join(tmpdir(), "vexlab-recipe-"));
    await cp(imageSources, copy, { recursive: true });
  });
  afterEach(() => rm(copy, { recursive: true }));

  it("does not depend on where the checkout is", async () => {
    expect(await hashRecipe(recipe("debian-12"), copy)).toBe(await hashRecipe(recipe("debian-12")));
  });

  it("differs from recipe to recipe", async () => {
    const hashes = await Promise.all(recipeNames.map((name) => hashRecipe(recipe(name))));
    expect(new Set(hashes).size).toBe(recipeNames.length);
  });

  it.each([
    "root-disk.sh",
    "initrd/init.c",
    "hooks/trimmed/customize20-units.sh",
    "rootfs/etc/fstab",
    "rootfs/usr/lib/vexlab/cloud-init-stages",
  ])("changes with %s", async (file) => {
    const before = await hashRecipe(recipe("debian-12"), copy);
    await appendFile(join(copy, file), "\n");
    expect(await hashRecipe(recipe("debian-12"), copy)).not.toBe(before);
  });

  it("does not change with what the recipe does not use", async () => {
    const before = await hashRecipe(recipe("debian-12"), copy);
    await appendFile(join(copy, "hooks/stock/customize10-stock.sh"), "\n");
    await appendFile(join(copy, "build.ts"), "\n");
    expect(await hashRecipe(recipe("debian-12"), copy)).toBe(before);
  });

  it("changes with the packages", async () => {
    const one = recipe("debian-12");
    expect(await hashRecipe({ ...one, packages: [...one.packages, "hello"] })).not.toBe(
      await hashRecipe(one),
    );
  });
});

describe("imageId", () => {
  const packages = fc.dictionary(fc.stringMatching(/^[a-z0-9+.-]{1,8}$/), fc.string());

  it("does not depend on the order of the packages", () => {
    fc.assert(
      fc.property(packages, (one) => {
        const reversed = Object.fromEntries(Object.entries(one).reverse());
        expect(imageId("debian-12", "hash", reversed)).toBe(imageId("debian-12", "hash", one));
      }),
    );
  });

  it("changes with a version, a package and the recipe", () => {
    const id = imageId("debian-12", "hash", { gcc: "12", make: "4" });
    expect(id).toMatch(/^debian-12-[0-9a-f]{12}$/);
    expect(imageId("debian-12", "hash", { gcc: "13", make: "4" })).not.toBe(id);
    expect(imageId("debian-12", "hash", { gcc: "12" })).not.toBe(id);
    expect(imageId("debian-12", "other", { gcc: "12", make: "4" })).not.toBe(id);
  });
});
