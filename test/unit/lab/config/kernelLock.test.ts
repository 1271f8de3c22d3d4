import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigurationError } from "../../../../lab/config/errors.ts";
import {
  formatLock,
  lockedRecipe,
  lockFile,
  parseLock,
  readLock,
  type KernelLock,
} from "../../../../lab/config/kernelLock.ts";

const lock: KernelLock = {
  "debian-13": {
    "7.x": {
      release: "7.3.4+deb13-amd64",
      version: "7.3.4-1~bpo13+1",
      suite: "trixie-backports",
      compiler: "gcc-14",
    },
    distro: {
      release: "6.12.118+deb13-amd64",
      version: "6.12.118-1",
      suite: "trixie-security",
      compiler: "gcc-14",
    },
  },
  "debian-12": {
    distro: {
      release: "6.1.0-56-amd64",
      version: "6.1.192-2",
      suite: "bookworm-security",
      compiler: "gcc-12",
    },
  },
};

describe("the lock file", () => {
  it("is sorted, a field a line", () => {
    expect(formatLock(lock)).toMatchInlineSnapshot(`
      "# The exact kernels that the stacks beside this file boot. \`vexlab kernels lock\` writes it from what the
      # archive has, \`vexlab kernels lock --check\` compares; without this file stacks follow the archive.
      kernels:
        debian-12:
          distro:
            release: 6.1.0-56-amd64
            version: 6.1.192-2
            suite: bookworm-security
            compiler: gcc-12
        debian-13:
          7.x:
            release: 7.3.4+deb13-amd64
            version: 7.3.4-1~bpo13+1
            suite: trixie-backports
            compiler: gcc-14
          distro:
            release: 6.12.118+deb13-amd64
            version: 6.12.118-1
            suite: trixie-security
            compiler: gcc-14
      "
    `);
  });

  it("reads back as it was written, a series such as 6.10 too", () => {
    expect(parseLock(formatLock(lock))).toEqual(lock);
    const kernel = { suite: "sid", compiler: "gcc-15" };
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 9 }),
        fc.integer({ min: 0, max: 30 }),
        (major, minor) => {
          const series = `${major}.${minor}`;
          const of = { ...kernel, release: `${series}.1+deb14-amd64`, version: `${series}.1-1` };
          const one: KernelLock = { "debian-sid": { [series]: of } };
          expect(parseLock(formatLock(one))).toEqual(one);
        },
      ),
    );
  });

  it("tells every fault, with its line", () => {
    const text = formatLock(lock)
      .replace("6.1.0-56-amd64", "nonsense")
      .replace("suite: trixie-backports", "sweet: x")
      .replace("6.12.118+deb13-amd64", "6.12.118+deb13-amd64; reboot");
    try {
      parseLock(text);
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      expect(error.faults.length).toBeGreaterThanOrEqual(3);
      expect(error.message).toContain("line ");
    }
  });

  it("does not take a kernel that is not of the series that it stands under", () => {
    expect(() => parseLock(formatLock(lock).replaceAll("7.3.4", "8.0.1"))).toThrow(/7\.x/);
  });
});

describe("readLock", () => {
  let checkout: string;
  beforeEach(async () => {
    checkout = await mkdtemp(join(tmpdir(), "vexlab-lock-"));
    await mkdir(join(checkout, "stacks"));
  });
  afterEach(() => rm(checkout, { recursive: true }));

  it("is nothing without the file", async () => {
    expect(await readLock(checkout)).toBeUndefined();
  });

  it("reads it", async () => {
    await writeFile(join(checkout, lockFile), formatLock(lock));
    expect(await readLock(checkout)).toEqual(lock);
  });
});

it("lockedRecipe names the very package", () => {
  expect(lockedRecipe(lock, "debian-12", undefined)).toBe(
    "debian-12-linux-6.1.0-56-amd64=6.1.192-2",
  );
  expect(lockedRecipe(lock, "debian-13", "7.x")).toBe(
    "debian-13-linux-7.3.4+deb13-amd64=7.3.4-1~bpo13+1",
  );
  expect(lockedRecipe(lock, "debian-13", "6.12")).toBeUndefined();
  expect(lockedRecipe(lock, "constructor", undefined)).toBeUndefined();
});
