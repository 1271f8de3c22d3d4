import { describe, expect, it } from "vitest";
import {
  imageNames,
  isRecipeName,
  kernelsOf,
  recipeEntries,
  recipeFor,
  recipeNames,
} from "../../../../lab/config/recipes.ts";

describe("recipeFor", () => {
  it("takes the image's own kernel when none is named", () => {
    expect(recipeFor("debian-12")).toBe("debian-12");
  });

  it("maps image and kernel to a recipe", () => {
    expect(recipeFor("debian-12", "6.1")).toBe("debian-12");
    expect(recipeFor("debian-12", "6.12")).toBe("debian-12-backports");
  });

  it("finds every recipe that is offered by its own image and kernel", () => {
    for (const name of recipeNames) {
      const entry = recipeEntries[name];
      if ("internal" in entry) continue;
      expect(recipeFor(entry.image, entry.kernel)).toBe(name);
    }
  });

  it("names the image that no recipe makes and the ones that there are", () => {
    expect(recipeFor("debian-99")).toEqual({
      key: "vexlab:image",
      value: "debian-99",
      problem: "no recipe makes this image",
      allowed: "debian-12",
    });
  });

  it("names the kernel that no recipe makes and the ones that there are", () => {
    expect(recipeFor("debian-12", "6.9")).toEqual({
      key: "vexlab:kernel",
      value: "6.9",
      problem: "no recipe makes debian-12 with this kernel",
      allowed: "6.1, 6.12",
    });
  });

  it("keeps the baseline for measurements out of stacks", () => {
    expect(imageNames).not.toContain("debian-12-stock");
    expect(recipeFor("debian-12-stock")).toMatchObject({ key: "vexlab:image" });
    expect(isRecipeName("debian-12-stock")).toBe(true);
  });
});

describe("kernelsOf", () => {
  it("lists the image's own kernel first", () => {
    expect(kernelsOf("debian-12")[0]).toBe("6.1");
  });

  it("is empty for an unknown image", () => {
    expect(kernelsOf("toString")).toEqual([]);
  });
});

it("isRecipeName does not take the names of object members", () => {
  expect(isRecipeName("constructor")).toBe(false);
});
