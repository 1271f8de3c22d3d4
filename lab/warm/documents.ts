/**
 * The NoCloud documents of a guest, taken apart for warm images: what customises a guest belongs to
 * the image that is saved, what identifies it is given to each fork.
 */
import { parse, stringify } from "yaml";
import { ExitCode, LabError } from "../config/errors.ts";
import type { CloudInitDocuments } from "../guest/cloudInit.ts";

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
