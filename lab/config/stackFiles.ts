/** The stacks' configuration files, as far as they can be read without Pulumi. */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parse } from "yaml";

export interface StackFile {
  readonly stack: string;
  /** As Pulumi hands them over: key with its namespace, value as text. */
  readonly raw: Readonly<Record<string, string>>;
}

/** The configuration in a stack's file; no keys when there is no file. */
export async function readStackFile(checkout: string, stack: string): Promise<StackFile> {
  const file = join(checkout, "stacks", `Pulumi.${stack}.yaml`);
  const text = await readFile(file, "utf8").catch(() => "");
  const content = parse(text) as { config?: Record<string, unknown> } | null;
  const raw = Object.fromEntries(
    Object.entries(content?.config ?? {}).map(([key, value]) => [
      key,
      Array.isArray(value) ? JSON.stringify(value) : String(value),
    ]),
  );
  return { stack, raw };
}

/** All of them, by name. */
export async function stackFiles(checkout: string): Promise<StackFile[]> {
  // Most commands end without it.
  const { default: fastGlob } = await import("fast-glob");
  const names = await fastGlob("Pulumi.*.yaml", { cwd: join(checkout, "stacks") });
  const stacks = names.map((name) => basename(name, ".yaml").slice("Pulumi.".length)).sort();
  return Promise.all(stacks.map((stack) => readStackFile(checkout, stack)));
}
