/**
 * The disk that brings a guest its NoCloud documents: an ISO 9660 image, which cloud-init finds by its
 * label. Format: cloud-init's documentation, "NoCloud", source 2.
 *
 * vexlab makes it, not the provider: the provider reads back what it has made, at each refresh as well,
 * and its library for libvirt hangs when the data comes before the answer to the call.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { cannotWrite } from "../config/diskSpace.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { writeThrough } from "../report/wholeFile.ts";
import type { CloudInitDocuments } from "./cloudInit.ts";

const deadlineMs = 20_000;
const names = {
  userData: "user-data",
  metaData: "meta-data",
  networkConfig: "network-config",
} as const;
const keys = Object.keys(names) as (keyof typeof names)[];
const prefix = "cloud-init-";

/** The file of a folder for the disk with these documents: other documents, another file. */
export function diskFile(folder: string, documents: CloudInitDocuments): string {
  const content = JSON.stringify(keys.map((key) => documents[key]));
  const hash = createHash("sha256").update(content).digest("hex");
  return join(folder, `${prefix}${hash.slice(0, 16)}.iso`);
}

/**
 * Makes the file of `diskFile` where there is none, and removes those of other documents.
 * @throws LabError (infrastructure failed), naming the file; there is none then
 */
export async function ensureDisk(documents: CloudInitDocuments, file: string): Promise<void> {
  const folder = dirname(file);
  if (!existsSync(file)) {
    let work: string | undefined;
    try {
      await mkdir(folder, { recursive: true });
      work = await mkdtemp(join(folder, `${prefix}unfinished-`));
      const disk = join(work, "disk.iso");
      await writeDisk(documents, disk, join(work, "documents"));
      await writeThrough(disk);
      await rename(disk, file);
    } catch (error) {
      throw await cannotWrite(file, error);
    } finally {
      if (work !== undefined) await rm(work, { recursive: true, force: true });
    }
  }
  // Also what a killed run has left.
  for (const entry of await readdir(folder))
    if (entry.startsWith(prefix) && entry !== basename(file))
      await rm(join(folder, entry), { recursive: true, force: true });
}

/**
 * Writes a disk that no other run looks for.
 * @param work a folder for its documents
 * @throws ExecaError
 */
export async function writeDisk(
  documents: CloudInitDocuments,
  disk: string,
  work: string,
): Promise<void> {
  await mkdir(work, { recursive: true });
  const files = keys.map((key) => ({ file: join(work, names[key]), text: documents[key] }));
  for (const { file, text } of files) await writeFile(file, text);
  const argv = ["-quiet", "-output", disk, "-volid", "cidata", "-joliet", "-rock"];
  await execa("genisoimage", [...argv, ...files.map(({ file }) => file)], {
    stdin: "ignore",
    timeout: deadlineMs,
  });
}

/** Reads the documents of a disk. @throws LabError when it is none */
export async function readDocuments(disk: string): Promise<CloudInitDocuments> {
  const read = async (name: string): Promise<string> => {
    const run = await execa("isoinfo", ["-R", "-i", disk, "-x", `/${name}`], {
      stdin: "ignore",
      timeout: deadlineMs,
      reject: false,
      stripFinalNewline: false,
    });
    if (run.exitCode === 0 && run.stdout !== "") return run.stdout;
    throw new LabError(
      `${disk} can't be read as a cloud-init disk: ${run.stderr || (run.shortMessage ?? "")}`,
      ExitCode.infrastructureFailed,
    );
  };
  const [userData, metaData, networkConfig] = await Promise.all([
    read(names.userData),
    read(names.metaData),
    read(names.networkConfig),
  ]);
  return { userData, metaData, networkConfig };
}
