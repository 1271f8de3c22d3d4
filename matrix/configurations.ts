/** Configurations of the command line: `--config NAME=FILE`, a YAML mapping of a stack's keys. */
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { ConfigurationError, type Fault } from "../lab/config/errors.ts";

/**
 * By their names, each as its file has it; undefined when none is given. A stack's file will do: its
 * keys then are those below `config:`, with `vexlab:` before them.
 * @throws ConfigurationError naming every option that is no such thing, and every file that can't be read
 */
export async function configurationsOf(
  options: readonly string[] | undefined,
): Promise<Record<string, unknown> | undefined> {
  if (options === undefined) return undefined;
  const faults: Fault[] = [];
  const found: Record<string, unknown> = {};
  for (const option of options) {
    const [, name, file] = /^([^=]+)=(.+)$/.exec(option) ?? [];
    if (name === undefined || file === undefined) {
      const problem = "names no file";
      faults.push({ key: "--config", value: option, problem, allowed: "NAME=FILE" });
      continue;
    }
    try {
      found[name] = keysOf(parse(await readFile(file, "utf8")));
    } catch (error) {
      const problem = `cannot be read: ${(error as Error).message.split("\n")[0] ?? ""}`;
      faults.push({ key: "--config", value: option, problem, allowed: "a YAML file" });
    }
  }
  if (faults.length > 0) throw new ConfigurationError("matrix", faults);
  return found;
}

// A cell's own.
const notTaken = ["sshPort", "gdbPort", "mode"];

function keysOf(content: unknown): unknown {
  if (typeof content !== "object" || content === null) return content ?? {};
  if (!("config" in content)) return content;
  const keys = content.config ?? {};
  if (typeof keys !== "object" || Array.isArray(keys)) return keys;
  return Object.fromEntries(
    Object.entries(keys)
      .map(([key, value]) => [key.replace(/^vexlab:/, ""), value as unknown] as const)
      .filter(([key]) => !notTaken.includes(key)),
  );
}
