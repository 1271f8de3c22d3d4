/** The table of docs/configuration.md, made of the schema so that it cannot go stale. */
import { allowedAt } from "./allowed.ts";
import { stackDefaults, stackKeys, stackSchema, stackVariables } from "./stackSchema.ts";

// Defaults that are not the same everywhere, in words.
const inWords: Readonly<Record<string, string>> = {
  memory: "`4G`, or three quarters of the host's if that is less",
  cpus: "`4`, or the host's if fewer",
  kernel: "the image's own",
  buildOn: "`host`; `guest` for a downloaded image",
  imageVersion: "the newest",
  imageDigest: "none",
  imageKeyring: "the distribution's",
  kernelConfig: "none",
  kernelTree: "none",
  kernelParameters: "none",
  panicOnOops: "`forks`; with mode `test` `always`",
  userData: "none",
  suites: "all",
};

/** A Markdown table: a row per key, in the schema's order. */
export function configurationTable(): string {
  const defaults = stackDefaults({ cpus: 4, memoryMiB: 16 * 1024 });
  const rows = stackKeys.map((key) => {
    const variable = stackVariables[key];
    const about = stackSchema.shape[key].description ?? "";
    return [
      `\`vexlab:${key}\``,
      inWords[key] ?? `\`${defaults[key] ?? ""}\``,
      allowedAt(stackSchema, [key]).text,
      variable === undefined ? about : `${about} \`${variable}\` overrides it.`,
    ];
  });
  const table = [
    ["Key", "Default", "Allowed", "What it does"],
    ["---", "---", "---", "---"],
    ...rows,
  ];
  return table.map((cells) => `| ${cells.map(escape).join(" | ")} |`).join("\n");
}

function escape(cell: string): string {
  return cell.replaceAll("|", "\\|");
}
