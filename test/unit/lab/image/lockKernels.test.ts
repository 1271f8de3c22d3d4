import { describe, expect, it } from "vitest";
import { formatLock, parseLock } from "../../../../lab/config/kernelLock.ts";
import type { StackFile } from "../../../../lab/config/stackFiles.ts";
import type { CatalogueKernel } from "../../../../lab/image/kernelCatalogue.ts";
import { kernelTable, listKernels, suiteNotes } from "../../../../lab/image/kernelList.ts";
import { lockChanges, lockFor, wantedKernels } from "../../../../lab/image/lockKernels.ts";

const kernel = (
  suite: string,
  release: string,
  version: string,
  current = true,
): CatalogueKernel => ({
  suite,
  series: /^\d+\.\d+/.exec(release)?.[0] ?? "",
  release,
  version,
  image: `linux-image-${release}`,
  headers: `linux-headers-${release}`,
  compiler: "gcc-12",
  current,
});

const kernels = [
  kernel("bookworm", "6.1.0-50-amd64", "6.1.176-1"),
  kernel("bookworm-security", "6.1.0-56-amd64", "6.1.192-2"),
  kernel("bookworm-security", "6.1.0-50-amd64", "6.1.176-1", false),
  kernel("bookworm-security", "6.12.117+deb12-amd64", "6.12.117-1~deb12u1", false),
  kernel("bookworm-backports", "6.12.95+deb12-amd64", "6.12.95-1~bpo12+1"),
  kernel("trixie-backports", "7.3.4+deb13-amd64", "7.3.4-1~bpo13+1"),
  kernel("trixie", "6.12.117+deb13-amd64", "6.12.117-1"),
];

const stack = (name: string, raw: Record<string, string>): StackFile => ({ stack: name, raw });
const stacks = [
  stack("ci", { "vexlab:cpus": "2" }),
  stack("dev", {}),
  stack("linux-6.12", { "vexlab:kernel": "6.12" }),
  stack("linux-7", { "vexlab:image": "debian-13", "vexlab:kernel": "7.x" }),
  stack("trixie", { image: "debian-13" }),
];

describe("lockFor", () => {
  it("has what the stacks mean, each once, and reads back", () => {
    expect(wantedKernels(stacks)).toHaveLength(4);
    const lock = lockFor(stacks, kernels);
    expect(lock).toEqual({
      "debian-12": {
        distro: {
          release: "6.1.0-56-amd64",
          version: "6.1.192-2",
          suite: "bookworm-security",
          compiler: "gcc-12",
        },
        // Of the recipe's suite, though another has a newer one of the series.
        "6.12": {
          release: "6.12.95+deb12-amd64",
          version: "6.12.95-1~bpo12+1",
          suite: "bookworm-backports",
          compiler: "gcc-12",
        },
      },
      "debian-13": {
        "7.x": expect.objectContaining({ release: "7.3.4+deb13-amd64" }) as unknown,
        distro: expect.objectContaining({ release: "6.12.117+deb13-amd64" }) as unknown,
      },
    });
    expect(parseLock(formatLock(lock))).toEqual(lock);
  });

  it("tells every stack whose kernel is not there, and what is", () => {
    const gone = [
      stack("old", { "vexlab:kernel": "5.19" }),
      stack("odd", { "vexlab:kernel": "new" }),
      ...stacks,
    ];
    expect(() => lockFor(gone, kernels)).toThrow(
      /2 mistakes\n.*stack old: vexlab:kernel = 5\.19: .*6\.1 \(6\.1\.0-56-amd64\), 6\.12 \(6\.12\.117\+deb12-amd64\)\n.*stack odd/,
    );
  });
});

it("lockChanges is a line for each kernel that is another now", () => {
  const before = lockFor(stacks, kernels);
  expect(lockChanges(before, before)).toEqual([]);
  const newer = [...kernels, kernel("bookworm-security", "6.1.0-57-amd64", "6.1.195-1")];
  const after = lockFor(stacks.slice(0, 4), newer);
  expect(lockChanges(before, after)).toEqual([
    "debian-12 distro: 6.1.0-56-amd64 (6.1.192-2, bookworm-security, gcc-12) → 6.1.0-57-amd64 (6.1.195-1, bookworm-security, gcc-12)",
    "debian-13 distro: no stack uses it",
  ]);
  expect(lockChanges({}, after)[0]).toMatch(/, new$/);
});

it("listKernels says by which value each kernel is meant; what two suites have is there once", () => {
  const suites = [{ suite: "all", gone: false, kernels }];
  const listed = listKernels(["debian-12", "debian-13", "debian-11"], suites);
  expect(listed.map(({ vexlabImage, vexlabKernel }) => [vexlabImage, vexlabKernel])).toEqual([
    ["debian-12", "6.12.117+deb12-amd64"],
    ["debian-12", "6.12"],
    ["debian-12", "distro"],
    ["debian-12", "6.1.0-50-amd64"],
    ["debian-13", "7.3"],
    ["debian-13", "distro"],
  ]);
  const lines = kernelTable(listed).split("\n");
  expect(lines).toHaveLength(8);
  expect(lines[1]).toMatch(/^debian-12 +6\.12\.117\+deb12-amd64 .* none$/);
});

it("suiteNotes tells how old what is known is", () => {
  const now = new Date("2026-11-27T12:00:00Z");
  const ago = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000);
  expect(
    suiteNotes(
      [
        { suite: "a", gone: false, kernels, asked: ago(1) },
        { suite: "b", gone: true, kernels: [], asked: ago(200) },
        { suite: "c", gone: false, kernels, asked: ago(60 * 72), problem: "no route" },
        { suite: "d", gone: false, kernels: [], problem: "no route" },
      ],
      now,
    ),
  ).toEqual([
    "b is not in the archive, or not any more",
    "c could not be asked (no route); known is what it had 3 days ago",
    "d could not be asked (no route); nothing is known of it",
    "the archive was asked 3 h ago",
  ]);
});
