import { describe, expect, it } from "vitest";
import { imageLabel } from "../../../lab/stackImage.ts";

const recipe = { imageSource: { recipe: "debian-12" } } as const;
const config = (...fragments: string[]) =>
  ({ ...recipe, customKernel: { kind: "config", fragments, files: [] } }) as const;
const tree = (folder: string) => ({ ...recipe, customKernel: { kind: "tree", folder } }) as const;

describe("what stands for an image", () => {
  it("is the recipe's name where nothing else is wanted", () => {
    expect(imageLabel(recipe)).toBe("debian-12");
  });

  it("tells kernels apart: none of its own, other fragments, other trees of the same name", () => {
    const wanted = [recipe, config("kasan"), config("kasan", "lockdep"), tree("/a/linux")];
    const labels = [...wanted, tree("/b/linux")].map(imageLabel);
    expect(new Set(labels).size).toBe(labels.length);
    expect(labels[2]).toMatch(/^debian-12-kasan-lockdep@[0-9a-f]{8}$/);
  });

  it("is the same for the same kernel", () => {
    expect(imageLabel(tree("/a/linux"))).toBe(imageLabel(tree("/a/linux")));
  });
});
