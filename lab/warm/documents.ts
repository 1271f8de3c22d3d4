/**
 * The NoCloud documents of a guest, taken apart for warm images: what customises a guest belongs to
 * the image that is saved, what identifies it is given to each fork.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { ExitCode, LabError } from "../config/errors.ts";
import type { CloudInitDocuments } from "../guest/cloudInit.ts";

const deadlineMs = 20_000;
const names = {
  userData: "user-data",
  metaData: "meta-data",
  networkConfig: "network-config",
} as const;

/** What makes a guest this one and no other, as far as its cloud-init disk says. */
export interface DocumentIdentity {
  readonly hostname: string;
  readonly instanceId: string;
  /** Lines of authorized_keys of the user. */
  readonly authorizedKeys: readonly string[];
}

interface CloudConfig {
  hostname?: unknown;
  users?: ({ name?: unknown; ssh_authorized_keys?: unknown } | string)[];
  [key: string]: unknown;
}

const neutral = { hostname: "vexlab", instanceId: "vexlab-warm" };

/** Takes the documents apart. @throws LabError when they are not as vexlab writes them */
export function splitDocuments(
  documents: CloudInitDocuments,
  user: string,
): { readonly neutral: CloudInitDocuments; readonly identity: DocumentIdentity } {
  // In the version that they are written in: "1e3" is a text in 1.1 and a number in 1.2.
  const config = (parse(documents.userData, { version: "1.1" }) ?? {}) as CloudConfig;
  const meta = (parse(documents.metaData, { version: "1.1" }) ?? {}) as Record<string, unknown>;
  const users = Array.isArray(config.users) ? config.users : [];
  const own = users.find((entry) => typeof entry === "object" && entry.name === user);
  const instanceId = meta["instance-id"];
  const hostname = config.hostname ?? meta["local-hostname"];
  if (typeof own !== "object" || typeof instanceId !== "string" || typeof hostname !== "string")
    throw new LabError(
      `the cloud-init disk names no user ${user}, instance or host name`,
      ExitCode.infrastructureFailed,
    );
  const keys = own.ssh_authorized_keys;
  const identity = {
    hostname,
    instanceId,
    authorizedKeys: Array.isArray(keys) ? keys.map(String) : [],
  };
  own.ssh_authorized_keys = [];
  config.hostname = neutral.hostname;
  return {
    identity,
    neutral: {
      userData: `#cloud-config\n${stringify(config, { version: "1.1", lineWidth: 0 })}`,
      metaData: stringify({
        "instance-id": neutral.instanceId,
        "local-hostname": neutral.hostname,
      }),
      networkConfig: documents.networkConfig,
    },
  };
}

/** Reads the documents of a cloud-init disk. @throws LabError when it is none */
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

/** Writes a cloud-init disk; cloud-init finds it by its label. @throws ExecaError */
export async function writeDisk(
  documents: CloudInitDocuments,
  disk: string,
  work: string,
): Promise<void> {
  await mkdir(work, { recursive: true });
  const files = (Object.keys(names) as (keyof typeof names)[]).map((key) => ({
    file: join(work, names[key]),
    text: documents[key],
  }));
  for (const { file, text } of files) await writeFile(file, text);
  const argv = ["-quiet", "-output", disk, "-volid", "cidata", "-joliet", "-rock"];
  await execa("genisoimage", [...argv, ...files.map(({ file }) => file)], {
    stdin: "ignore",
    timeout: deadlineMs,
  });
}
