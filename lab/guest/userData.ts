/** The user's own cloud-config, `vexlab:userData`: read, checked, and merged over vexlab's. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseDocument } from "yaml";
import { ConfigurationError, type Fault } from "../config/errors.ts";

const key = "vexlab:userData";
const header = "#cloud-config";

type Mapping = Record<string, unknown>;

/** Why a key can't be the user's: each of these would lock vexlab out or leave it waiting. */
const reserved: Record<string, string> = {
  hostname: "the stack's name decides it",
  manage_etc_hosts: "sudo must be able to resolve the guest's own name",
  ssh_pwauth: "the guest takes keys only",
  ssh_deletekeys: "the guest makes its own host key",
  ssh_genkeytypes: "vexlab pins the guest's ed25519 host key",
  ssh_keys: "a private host key would be kept in the clear in Pulumi's state",
  power_state: "vexlab starts and stops the guest",
  cloud_init_modules: "vexlab relies on cloud-init's modules",
  cloud_config_modules: "vexlab relies on cloud-init's modules",
  cloud_final_modules: "vexlab relies on cloud-init's modules",
};

/**
 * The text of a cloud-config that is given inline or as a file.
 * @param folder what a relative path is relative to.
 * @throws ConfigurationError when there is no such file.
 */
export async function readUserData(value: string, folder: string): Promise<string> {
  if (value.includes("\n") || value.trimStart().startsWith("#")) return value;
  const file = resolve(folder, value);
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw mistakes([
      {
        key,
        value,
        problem: `can't be read as a file: ${(error as Error).message}`,
        allowed: `the path of a cloud-config, or its text beginning with ${header}`,
      },
    ]);
  }
}

/**
 * Our cloud-config with the user's over it: lists are appended to ours, mappings are merged, any
 * other value replaces ours.
 * @param user the name of the guest's user, which has to stay ours.
 * @throws ConfigurationError with every fault: no header, bad YAML, reserved keys.
 */
export function mergeUserData(ours: Mapping, text: string, user: string): Mapping {
  const theirs = parseCloudConfig(text);
  const faults = [
    ...reservedFaults(theirs),
    ...listFaults(ours, theirs),
    ...nameFaults(theirs, "users", "name", [user]),
    ...nameFaults(theirs, "write_files", "path", valuesOf(ours["write_files"], "path")),
  ];
  if (faults.length > 0) throw mistakes(faults);
  return merge(ours, theirs);
}

function parseCloudConfig(text: string): Mapping {
  if (text.split(/\r?\n/, 1)[0]?.trim() !== header) {
    throw mistakes([
      {
        key,
        value: text.slice(0, 40).split("\n")[0] ?? "",
        problem: `does not begin with the line ${header}`,
        allowed: "a cloud-config; scripts can be run by its runcmd",
      },
    ]);
  }
  // cloud-init reads YAML 1.1, in which 0644 is octal and `yes` is true.
  const document = parseDocument(text, { version: "1.1", prettyErrors: true });
  if (document.errors.length > 0) {
    throw mistakes(
      document.errors.map((error) => ({
        key,
        problem: error.message.split("\n")[0] ?? error.message,
        allowed: "YAML",
      })),
    );
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    throw mistakes([{ key, problem: (error as Error).message, allowed: "YAML" }]);
  }
  if (value === null) return {};
  if (!isMapping(value)) {
    throw mistakes([{ key, problem: "is not a mapping", allowed: "keys of cloud-init's modules" }]);
  }
  return value;
}

function reservedFaults(theirs: Mapping): Fault[] {
  return Object.entries(reserved)
    .filter(([name]) => Object.hasOwn(theirs, name))
    .map(([name, reason]) => ({
      key: `${key}: ${name}`,
      problem: `can't be set: ${reason}`,
      allowed: "leave it out",
    }));
}

function listFaults(ours: Mapping, theirs: Mapping): Fault[] {
  return Object.entries(ours)
    .filter(([name]) => Object.hasOwn(theirs, name) && !(name in reserved))
    .flatMap(([name, value]) => {
      const other = theirs[name];
      if (Array.isArray(value) && !Array.isArray(other)) {
        return [{ key: `${key}: ${name}`, problem: "is not a list", allowed: "a list" }];
      }
      if (isMapping(value) && !isMapping(other)) {
        return [{ key: `${key}: ${name}`, problem: "is not a mapping", allowed: "a mapping" }];
      }
      return [];
    });
}

function nameFaults(
  theirs: Mapping,
  list: string,
  property: string,
  taken: readonly string[],
): Fault[] {
  return valuesOf(theirs[list], property)
    .filter((value) => taken.includes(value))
    .map((value) => ({
      key: `${key}: ${list}`,
      value,
      problem: "is vexlab's own",
      allowed: `another ${property}`,
    }));
}

function valuesOf(list: unknown, property: string): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) => {
    const value = isMapping(item) ? item[property] : item;
    return typeof value === "string" ? [value] : [];
  });
}

function merge(ours: Mapping, theirs: Mapping): Mapping {
  const merged = { ...ours };
  for (const [name, value] of Object.entries(theirs)) {
    const own = Object.hasOwn(ours, name) ? ours[name] : undefined;
    if (Array.isArray(own) && Array.isArray(value)) {
      merged[name] = [...(own as unknown[]), ...(value as unknown[])];
    } else if (isMapping(own) && isMapping(value)) {
      merged[name] = merge(own, value);
    } else {
      merged[name] = value;
    }
  }
  return merged;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mistakes(faults: readonly Fault[]): ConfigurationError {
  return new ConfigurationError(key, faults);
}
