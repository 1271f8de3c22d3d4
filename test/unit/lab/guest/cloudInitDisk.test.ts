import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  diskFile,
  ensureDisk,
  readDocuments,
  writeDisk,
} from "../../../../lab/guest/cloudInitDisk.ts";

const documents = {
  userData: "#cloud-config\nhostname: vexlab-ci\n",
  metaData: "é: 1\n\n\n",
  networkConfig: "version: 2\n",
};
const others = { ...documents, userData: "#cloud-config\nhostname: vexlab-dev\n" };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-disk-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  return rm(folder, { recursive: true });
});

describe("a cloud-init disk", () => {
  it("holds what was written to it, to the byte", async () => {
    const disk = join(folder, "disk.iso");
    await writeDisk(documents, disk, join(folder, "work"));
    expect(await readDocuments(disk)).toEqual(documents);
    expect((await readdir(join(folder, "work"))).sort()).toEqual([
      ...["meta-data", "network-config", "user-data"],
    ]);
  });

  it("is not a file of anything else, nor none", async () => {
    const disk = join(folder, "disk");
    await expect(readDocuments(disk)).rejects.toThrow(`${disk} can't be read as a cloud-init disk`);
    await writeFile(disk, "no disk");
    await expect(readDocuments(disk)).rejects.toMatchObject({ exitCode: 3 });
  });

  it("without one of its documents is refused", async () => {
    const disk = join(folder, "disk");
    await writeDisk({ ...documents, networkConfig: "" }, disk, join(folder, "work"));
    await expect(readDocuments(disk)).rejects.toThrow("can't be read as a cloud-init disk");
  });
});

describe("the disk of a stack", () => {
  it("has a name that each of its documents changes", () => {
    const names = [
      documents,
      ...(["userData", "metaData", "networkConfig"] as const).map((key) => ({
        ...documents,
        [key]: `${documents[key]}#`,
      })),
      { ...documents, userData: documents.metaData, metaData: documents.userData },
    ].map((each) => diskFile(folder, each));
    expect(new Set(names).size).toBe(names.length);
    expect(diskFile(folder, { ...documents })).toBe(names[0]);
  });

  it("is made once, in a folder that may be missing", async () => {
    const file = diskFile(join(folder, "stack"), documents);
    await ensureDisk(documents, file);
    expect(await readDocuments(file)).toEqual(documents);
    const { ino } = await stat(file);
    await ensureDisk(documents, file);
    expect((await stat(file)).ino).toBe(ino);
  });

  it("takes the place of those of other documents, and of unfinished ones, but of nothing else", async () => {
    await ensureDisk(others, diskFile(folder, others));
    await mkdir(join(folder, "cloud-init-unfinished-aBcDeF", "documents"), { recursive: true });
    await writeFile(join(folder, "known_hosts"), "");
    const file = diskFile(folder, documents);
    await ensureDisk(documents, file);
    expect((await readdir(folder)).sort()).toEqual([basename(file), "known_hosts"]);
  });

  it("that can't be made is told with its name, and nothing of it is left", async () => {
    const file = diskFile(folder, documents);
    vi.stubEnv("PATH", folder);
    await expect(ensureDisk(documents, file)).rejects.toThrow(
      new RegExp(`^${file} can't be written: .*genisoimage`, "s"),
    );
    vi.unstubAllEnvs();
    expect(await readdir(folder)).toEqual([]);
    await writeFile(join(folder, "file"), "");
    const below = diskFile(join(folder, "file", "stack"), documents);
    await expect(ensureDisk(documents, below)).rejects.toThrow(`${below} can't be written: `);
  });
});
