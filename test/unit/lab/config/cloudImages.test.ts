import { describe, expect, it } from "vitest";
import {
  checkText,
  cloudImageNames,
  cloudImageOf,
  isCloudImage,
  reviewedDigests,
  type CloudImageKeys,
  type CloudImageSource,
} from "../../../../lab/config/cloudImages.ts";
import { digestInList, parseDigest } from "../../../../lab/config/digest.ts";
import type { Fault } from "../../../../lab/config/errors.ts";
import { imageNames, recipeNames } from "../../../../lab/config/recipes.ts";

const sum = "ab".repeat(32);
const source = (keys: CloudImageKeys): CloudImageSource => {
  const found = cloudImageOf(keys);
  if (!("check" in found)) throw new Error(JSON.stringify(found));
  return found;
};
const faults = (keys: CloudImageKeys): readonly Fault[] => {
  const found = cloudImageOf(keys);
  return "check" in found ? [] : found;
};

describe("images by name", () => {
  it("are no images that vexlab builds", () => {
    expect(
      cloudImageNames.filter((name) => [...imageNames, ...recipeNames].includes(name)),
    ).toEqual([]);
    expect(cloudImageNames.every(isCloudImage)).toBe(true);
    expect(isCloudImage("debian-12")).toBe(false);
  });

  it("of Ubuntu are checked by what Ubuntu signs", () => {
    expect(source({ image: "ubuntu-22.04" })).toEqual({
      name: "ubuntu-22.04",
      urls: [
        "https://cloud-images.ubuntu.com/releases/jammy/release/ubuntu-22.04-server-cloudimg-amd64.img",
      ],
      mirrored: "releases/jammy/release/ubuntu-22.04-server-cloudimg-amd64.img",
      check: { by: "signature", keyring: { shipped: "ubuntu-cloudimage-keyring.gpg" } },
    });
  });

  it("of Debian need a digest: nobody signs their sums", () => {
    expect(faults({ image: "debian-13-generic" })).toMatchObject([
      { key: "vexlab:imageDigest", problem: expect.stringContaining("no signed sums") as string },
    ]);
    const one = source({
      image: "debian-12-generic",
      imageVersion: "20240211-1654",
      imageDigest: "CD".repeat(64),
    });
    expect(one.urls[0]).toMatch(
      /bookworm\/20240211-1654\/debian-12-generic-amd64-20240211-1654\.qcow2$/,
    );
    expect(one.check).toEqual({ by: "digest", digest: `sha512:${"cd".repeat(64)}` });
  });

  it("have builds with numbers of their own", () => {
    const ubuntu = source({ image: "ubuntu-24.04", imageVersion: "20240423" });
    expect(ubuntu.urls[0]).toContain("/noble/release-20240423/");
    expect(faults({ image: "ubuntu-24.04", imageVersion: "../.." })).toMatchObject([
      { key: "vexlab:imageVersion", allowed: "a number such as 20240207" },
    ]);
  });

  it("have a kernel of their own", () => {
    expect(faults({ image: "ubuntu-22.04", kernel: "6.12" })).toMatchObject([
      { key: "vexlab:kernel" },
    ]);
  });

  it("have reviewed digests that are some", () => {
    for (const [build, digest] of Object.entries(reviewedDigests)) {
      expect(cloudImageNames).toContain(build.split(" ")[0]);
      expect(parseDigest(digest), build).toBeDefined();
    }
  });
});

describe("images by address", () => {
  const image = "https://one.example/x.qcow2  https://two.example/x.qcow2";

  it("may be at several places", () => {
    expect(source({ image, imageDigest: sum })).toEqual({
      urls: ["https://one.example/x.qcow2", "https://two.example/x.qcow2"],
      check: { by: "digest", digest: `sha256:${sum}` },
    });
  });

  it("may be checked by keys of the user's", () => {
    const { check } = source({ image, imageKeyring: "/keys/ours.gpg" });
    expect(check).toEqual({ by: "signature", keyring: { file: "/keys/ours.gpg" } });
    expect(checkText(check)).toBe("SHA256SUMS signed by /keys/ours.gpg");
  });

  it("are not booted without a check, unless that is asked for, and then it is told", () => {
    expect(faults({ image })).toMatchObject([{ key: "vexlab:imageDigest" }]);
    expect(faults({ image, allowUnverified: false })).toHaveLength(1);
    const { check } = source({ image, allowUnverified: true });
    expect(checkText(check)).toMatch(/NOT VERIFIED/);
  });

  it("are compared with a digest even where that need not be", () => {
    expect(source({ image, imageDigest: sum, allowUnverified: true }).check.by).toBe("digest");
    expect(faults({ image, imageDigest: "abc", allowUnverified: true })).toHaveLength(1);
  });

  it.each([
    ["http://host/x", /neither https nor file/],
    ["ftp://host/x", /neither https nor file/],
    ["https://me:secret@host/x", /password/],
    ["https://", /no address/],
    ["file://otherhost/x", /another host/],
    ["file:///x https://host/x", /no mirrors/],
  ])("%s is none", (address, problem) => {
    const [fault] = faults({ image: address, imageDigest: sum });
    expect(fault?.problem).toMatch(problem);
    expect(JSON.stringify(fault)).not.toContain("secret");
  });

  it("of files have no signed sums", () => {
    expect(faults({ image: "file:///x", imageKeyring: "/k" })).toMatchObject([
      { key: "vexlab:imageKeyring" },
    ]);
  });

  it("tell every mistake at once", () => {
    const keys = { image: "http://x/", kernel: "6.1", imageVersion: "1", imageDigest: "no" };
    expect(
      faults(keys)
        .map(({ key }) => key)
        .sort(),
    ).toEqual(["vexlab:image", "vexlab:imageDigest", "vexlab:imageVersion", "vexlab:kernel"]);
  });
});

describe("digests", () => {
  it("are read as people write them", () => {
    expect(parseDigest(` SHA256:${sum.toUpperCase()}\n`)).toEqual({
      algorithm: "sha256",
      hex: sum,
    });
    expect(parseDigest(`sha512:${sum}`)).toBeUndefined();
    expect(parseDigest(sum.slice(1))).toBeUndefined();
    expect(parseDigest(`md5:${"a".repeat(32)}`)).toBeUndefined();
  });

  it("are found in lists", () => {
    const other = "cd".repeat(32);
    const list = `${other}  y.img\n${sum} *x.img\r\n${other}  x.img.manifest\n`;
    expect(digestInList(list, "x.img")?.hex).toBe(sum);
    expect(digestInList(list, "img")).toBeUndefined();
    expect(digestInList(`${list}${other}  x.img\n`, "x.img")).toBeUndefined();
  });
});
