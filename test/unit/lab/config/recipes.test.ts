import { describe, expect, it } from "vitest";
import {
  imageNames,
  isRecipeName,
  kernelsOf,
  recipeEntries,
  recipeFor,
  recipeNames,
  recipeSlug,
  kernelOfRecipe,
  type RecipeEntry,
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
      const entry: RecipeEntry = recipeEntries[name];
      if (entry.internal === true) continue;
      expect(recipeFor(entry.image, entry.kernel)).toBe(name);
    }
  });

  it("takes distro for the image's own kernel", () => {
    for (const image of imageNames) expect(recipeFor(image, "distro")).toBe(recipeFor(image));
  });

  it("has a recipe for any kernel that an image may have", () => {
    expect(recipeFor("debian-13", "7.3")).toBe("debian-13-linux-7.3");
    expect(recipeFor("debian-12", "6.12.95+deb12-amd64")).toBe(
      "debian-12-linux-6.12.95+deb12-amd64",
    );
  });

  it("names the image that no recipe makes and the ones that there are", () => {
    expect(recipeFor("debian-99")).toEqual({
      key: "vexlab:image",
      value: "debian-99",
      problem: "no recipe makes this image",
      allowed: "debian-11, debian-12, debian-13, debian-sid",
    });
  });

  it.each(["six", "6", "6.1.0", "v6.1", "6.1-cloud-amd64", "6.1.0-1-cloud-amd64", "../6.1-amd64"])(
    "says what a kernel looks like: %s",
    (kernel) => {
      expect(recipeFor("debian-12", kernel)).toMatchObject({
        key: "vexlab:kernel",
        value: kernel,
        problem: "is no kernel",
      });
    },
  );

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

describe("kernelOfRecipe", () => {
  it("is what the configuration asked for", () => {
    for (const image of imageNames)
      for (const kernel of ["6.12", "7.x", "6.1.0-56-amd64", "6.1.0-56-amd64=6.1.192-2"]) {
        const name = recipeFor(image, kernel);
        if (typeof name !== "string") throw new Error(name.problem);
        expect(isRecipeName(name)).toBe(true);
        expect(kernelOfRecipe(name)).toMatchObject({ image, text: kernel });
      }
  });

  it("is nothing for a name that no recipe has", () => {
    for (const name of [
      "debian-12-linux-",
      "debian-12-linux-distro",
      "debian-99-linux-6.1",
      "linux",
    ]) {
      expect(kernelOfRecipe(name)).toBeUndefined();
      expect(isRecipeName(name)).toBe(false);
    }
  });
});

it("recipeSlug leaves the names of the list as they are, and no dot or slash in any", () => {
  for (const name of recipeNames) expect(recipeSlug(name)).toBe(name);
  expect(recipeSlug("debian-12-linux-6.12.95+deb12-amd64=6.12.95-1~bpo12+1")).toMatch(
    /^[a-z0-9-]+$/,
  );
});
