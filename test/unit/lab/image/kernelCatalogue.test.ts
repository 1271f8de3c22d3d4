import { describe, expect, it } from "vitest";
import { parseKernelChoice } from "../../../../lab/config/kernelChoice.ts";
import {
  chooseKernel,
  kernelsIn,
  offeredKernels,
  type CatalogueKernel,
} from "../../../../lab/image/kernelCatalogue.ts";
import type { PackageStanza } from "../../../../lab/image/packageStanzas.ts";

const stanza = (name: string, version: string, ...depends: string[]): PackageStanza => ({
  name,
  version,
  architecture: "amd64",
  depends: depends.map((each) => [each]),
});

/** The packages of one kernel as Debian names them. */
export const packagesOf = (
  release: string,
  version: string,
  compiler = "gcc-12",
): PackageStanza[] => [
  stanza(`linux-image-${release}`, version, "kmod"),
  stanza(`linux-headers-${release}`, version, "linux-kbuild-6.1", compiler),
  stanza(`linux-image-${release}-dbg`, version),
];

const metapackage = (release: string, version: string): PackageStanza =>
  stanza("linux-image-amd64", version, `linux-image-${release}`);

const security = kernelsIn("bookworm-security", [
  ...packagesOf("6.1.0-55-amd64", "6.1.192-1", "linux-compiler-gcc-12-x86"),
  ...packagesOf("6.1.0-56-amd64", "6.1.192-2", "linux-compiler-gcc-12-x86"),
  ...packagesOf("6.12.117+deb12-amd64", "6.12.117-1~deb12u1"),
  metapackage("6.1.0-56-amd64", "6.1.192-2"),
]);
const backports = kernelsIn("bookworm-backports", [
  ...packagesOf("6.12.95+deb12-amd64", "6.12.95-1~bpo12+1"),
  metapackage("6.12.95+deb12-amd64", "6.12.95-1~bpo12+1"),
]);
const release = kernelsIn("bookworm", [
  ...packagesOf("6.1.0-50-amd64", "6.1.176-1", "linux-compiler-gcc-12-x86"),
  metapackage("6.1.0-50-amd64", "6.1.176-1"),
]);
const all = [...release, ...backports, ...security];

const choose = (text: string, kernels: readonly CatalogueKernel[] = all) => {
  const choice = parseKernelChoice(text);
  return choice === undefined ? undefined : chooseKernel("debian-12", choice, kernels)?.release;
};

describe("kernelsIn", () => {
  it("has what belongs to each kernel, the newest first", () => {
    expect(security.map((kernel) => kernel.release)).toEqual([
      "6.12.117+deb12-amd64",
      "6.1.0-56-amd64",
      "6.1.0-55-amd64",
    ]);
    expect(security[1]).toEqual({
      suite: "bookworm-security",
      series: "6.1",
      release: "6.1.0-56-amd64",
      version: "6.1.192-2",
      image: "linux-image-6.1.0-56-amd64",
      headers: "linux-headers-6.1.0-56-amd64",
      compiler: "gcc-12",
      debugSymbols: "linux-image-6.1.0-56-amd64-dbg",
      current: true,
    });
  });

  it("reads the compiler in each of the ways in which headers ask for it", () => {
    for (const [asked, compiler] of [
      ["linux-compiler-gcc-10-x86", "gcc-10"],
      ["gcc-14", "gcc-14"],
      ["gcc-14-for-host", "gcc-14"],
    ])
      expect(kernelsIn("s", packagesOf("7.3.4+deb13-amd64", "7.3.4-1", asked))).toMatchObject([
        { compiler },
      ]);
  });

  it("leaves out kernels that no module can be built for, and other flavours", () => {
    const [image, headers] = packagesOf("6.1.0-1-amd64", "6.1.1-1");
    expect(kernelsIn("s", image ? [image] : [])).toEqual([]);
    const older = { ...(headers as PackageStanza), version: "6.1.0-1" };
    expect(kernelsIn("s", image ? [image, older] : [])).toEqual([]);
    expect(
      kernelsIn("s", [
        ...packagesOf("6.1.0-1-cloud-amd64", "6.1.1-1"),
        ...packagesOf("6.1.0-1-rt-amd64", "6.1.1-1"),
        stanza("linux-image-6.1.0-1-amd64-unsigned", "6.1.1-1"),
        stanza("linux-image-amd64-signed-template", "6.1.1-1"),
      ]),
    ).toEqual([]);
  });
});

describe("chooseKernel", () => {
  it("takes the newest of what is asked for", () => {
    expect(choose("distro")).toBe("6.1.0-56-amd64");
    expect(choose("6.1")).toBe("6.1.0-56-amd64");
    expect(choose("6.12")).toBe("6.12.117+deb12-amd64");
    expect(choose("6.x")).toBe("6.12.117+deb12-amd64");
    expect(choose("6.1.0-55-amd64")).toBe("6.1.0-55-amd64");
    expect(choose("6.12.95+deb12-amd64=6.12.95-1~bpo12+1")).toBe("6.12.95+deb12-amd64");
  });

  it("does not take backports for the image's own, even when there is nothing else", () => {
    expect(choose("distro", backports)).toBeUndefined();
  });

  it("has nothing for what is not there", () => {
    for (const text of ["6.9", "7.x", "6.1.0-49-amd64", "6.1.0-56-amd64=6.1.192-1"])
      expect(choose(text)).toBeUndefined();
    expect(chooseKernel("debian-13", { kind: "distro" }, all)).toBeUndefined();
  });
});

it("offeredKernels names each series with its newest release", () => {
  expect(offeredKernels("debian-12", all)).toBe(
    "6.1 (6.1.0-56-amd64), 6.12 (6.12.117+deb12-amd64)",
  );
  expect(offeredKernels("debian-11", all)).toBe("");
});
