import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  buildImage,
  checkDiskSpace,
  goneFrom,
  parseDpkgStatus,
  withPackagesOf,
} from "../../../../lab/image/build.ts";
import { unfinishedBuilds } from "../../../../lab/image/cache.ts";
import { recipe } from "../../../../lab/image/recipe.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "vexlab-build-"));
});
afterEach(() => rm(cache, { recursive: true }));

describe("checkDiskSpace", () => {
  it("says how much is needed and how much there is", async () => {
    await expect(checkDiskSpace(cache, 2 ** 60, "image x")).rejects.toThrow(
      /^image x needs 1073741824\.0 GiB of disk while it is built, and .* has [\d.]+ [GM]iB free$/,
    );
  });

  it("passes where there is enough", async () => {
    await expect(checkDiskSpace(cache, 1, "image x")).resolves.toBeUndefined();
  });

  it("comes before anything is downloaded or written", async () => {
    const huge = { ...recipe("debian-12"), diskNeeded: 2 ** 60 };
    await expect(buildImage(huge, "hash", { progress: silentProgress, cache })).rejects.toThrow(
      /of disk while it is built/,
    );
    expect(await unfinishedBuilds(undefined, cache)).toEqual([]);
  });
});

it("a build that fails leaves nothing", async () => {
  const impossible = { ...recipe("debian-12"), release: "no-such-release", packages: ["x"] };
  await expect(
    buildImage(impossible, "hash", { progress: silentProgress, cache }),
  ).rejects.toMatchObject({ exitCode: 3 });
  expect(await unfinishedBuilds(undefined, cache)).toEqual([]);
});

it("a build that is cancelled leaves nothing", async () => {
  const signal = AbortSignal.timeout(400);
  await expect(
    buildImage(recipe("debian-12"), "hash", { progress: silentProgress, cache, signal }),
  ).rejects.toMatchObject({ exitCode: 130 });
  expect(await unfinishedBuilds(undefined, cache)).toEqual([]);
});

describe("parseDpkgStatus", () => {
  it("lists what is installed, not what was removed", () => {
    const text = [
      "Package: gcc",
      "Status: install ok installed",
      "Depends: cpp (>= 4:12)",
      "Version: 4:12.2.0-3",
      "",
      "Package: gone",
      "Status: deinstall ok config-files",
      "Version: 1",
      "",
    ].join("\n");
    expect(parseDpkgStatus(text)).toEqual({ gcc: "4:12.2.0-3" });
  });
});

describe("goneFrom", () => {
  // As apt 2.6 says it.
  it.each([
    [
      "E: The repository 'http://archive.test/debian bullseye-backports Release' does not have a Release file.",
      "suite bullseye-backports",
    ],
    [
      "E: Failed to fetch http://archive.test/debian-security/pool/updates/main/r/rustc-web/rustc-web_1.96.0%2bdfsg1-1%7edeb11u2_amd64.deb  404  Not Found [IP: 192.0.2.1 80]",
      "rustc-web_1.96.0+dfsg1-1~deb11u2_amd64.deb",
    ],
    ["E: Unable to locate package linux-image-6.1.0-1-amd64", "package linux-image-6.1.0-1-amd64"],
    ["E: Version '6.1.1-1' for 'linux-image-amd64' was not found", "linux-image-amd64 6.1.1-1"],
  ])("%s", (line, gone) => {
    expect(goneFrom(line)).toEqual([gone]);
  });

  it("takes a failed download for nothing but that", () => {
    const line = "E: Failed to fetch http://archive.test/x_1_amd64.deb  Could not connect";
    expect(goneFrom(line)).toEqual([]);
  });
});

describe("withPackagesOf", () => {
  const kernel = (suite: string, release: string, version: string) => ({
    ...{ suite, release, version, series: "", compiler: "gcc-14", current: false },
    ...{ image: `linux-image-${release}`, headers: `linux-headers-${release}` },
  });

  it("asks for the very version of a suite of the release", () => {
    const one = recipe("debian-13-linux-6.12.117+deb13-amd64");
    const found = kernel("trixie-security", "6.12.117+deb13-amd64", "6.12.117-1");
    const complete = withPackagesOf(one, found);
    expect(complete.suites).toBeUndefined();
    expect(complete.packages).toEqual([
      ...one.packages,
      "linux-image-6.12.117+deb13-amd64=6.12.117-1",
      "linux-headers-6.12.117+deb13-amd64=6.12.117-1",
    ]);
  });

  it("takes what a kernel of backports depends on from there, too", () => {
    const one = recipe("debian-13-linux-7.2");
    const found = kernel("trixie-backports", "7.2.12+deb13-amd64", "7.2.12-1~bpo13+1");
    expect(withPackagesOf(one, found)).toMatchObject({
      hooks: ["trimmed", "suites"],
      suites: ["trixie-backports"],
      packages: [
        ...one.packages,
        "linux-image-7.2.12+deb13-amd64/trixie-backports",
        "linux-headers-7.2.12+deb13-amd64/trixie-backports",
      ],
    });
  });
});
