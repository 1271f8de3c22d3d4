/** What a tree's dkms.conf says, for each kernel that can be asked about. */
import { dkmsCommand, parseDkmsConf, type DkmsConf } from "../build/dkms.ts";
import { runOnTree, type ReadingPlace } from "./treeSandbox.ts";

export interface DkmsSurvey {
  /** Path of the dkms.conf, relative to `folder`. */
  readonly conf: string;
  /** The package's folder, relative to the tree. */
  readonly folder: string;
  readonly byKernel: ReadonlyMap<string, DkmsConf>;
  /** Why it could not be read for a kernel. */
  readonly problems: readonly string[];
}

/** Reads a dkms.conf once for each kernel. */
export async function surveyDkms(
  tree: string,
  folder: string,
  conf: string,
  places: readonly ReadingPlace[],
): Promise<DkmsSurvey> {
  const byKernel = new Map<string, DkmsConf>();
  const problems: string[] = [];
  for (const place of places) {
    const argv = dkmsCommand("show", conf, place.kernelRelease);
    const { output, problem } = await runOnTree(tree, place, folder, argv);
    if (output === undefined) problems.push(`${place.kernelRelease}: ${problem ?? "no output"}`);
    else byKernel.set(place.kernelRelease, parseDkmsConf(output));
  }
  return { conf, folder, byKernel, problems };
}

/** Findings for a person: a sentence each. */
export function dkmsFindings({ byKernel }: DkmsSurvey): string[] {
  const all = [...byKernel];
  const [first] = all;
  if (first === undefined) return [];
  const { name, version, scripts } = first[1];
  const lines = [`DKMS package ${name} ${version}`];
  const groups = new Map<string, string[]>();
  for (const [kernel, { modules, patches, excluded }] of all) {
    const patched = patches.length > 0 ? `, patches ${patches.join(", ")}` : "";
    const says =
      excluded === undefined ? `${listed(modules)}${patched}` : `not for it: ${excluded}`;
    groups.set(says, [...(groups.get(says) ?? []), kernel]);
  }
  for (const [says, kernels] of groups) lines.push(`${kernels.join(", ")}: ${says}`);
  if (scripts.length > 0) lines.push(`programs around its build: ${scripts.join("; ")}`);
  return lines;
}

/** At most a dozen names. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 12).join(", ");
  return names.length > 12 ? `${shown} and ${names.length - 12} more` : shown;
}
