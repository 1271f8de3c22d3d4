/** Which suites and cases of a run are wanted. Pure. */
import { ConfigurationError, type Fault } from "../config/errors.ts";
import type { Manifest, Suite } from "../config/manifest.ts";
import { nearest } from "../config/nearest.ts";
import { matches } from "./shellPattern.ts";
import type { CaseResult, SuiteResult } from "./verdict.ts";

/** Of each kind, one has to fit; a kind without any leaves out nothing. */
export interface Selection {
  /** Patterns of suites' names. */
  readonly suites: readonly string[];
  /** Patterns of cases' names. */
  readonly cases: readonly string[];
  readonly tags: readonly string[];
}

export const everything: Selection = { suites: [], cases: [], tags: [] };

/** In a line for people. */
export function describeSelection({ suites, cases, tags }: Selection): string {
  const kinds = [
    ["suites", suites],
    ["cases", cases],
    ["tags", tags],
  ] as const;
  return kinds
    .filter(([, patterns]) => patterns.length > 0)
    .map(([kind, patterns]) => `${kind} ${patterns.map((each) => `'${each}'`).join(", ")}`)
    .join("; ");
}

/** Whether some cases of a suite may be left out. */
export const selectsCases = ({ cases, tags }: Selection): boolean =>
  cases.length > 0 || tags.length > 0;

/**
 * The suites of a manifest that are wanted, in its order.
 * @throws ConfigurationError for every pattern that no suite's name matches.
 */
export function selectedSuites(manifest: Manifest, { suites }: Selection): Suite[] {
  const known = manifest.suites.map(({ name }) => name);
  const faults = suites
    .filter((pattern) => !known.some((name) => matches(pattern, name)))
    .map((pattern): Fault => {
      const guess = nearest(pattern, known);
      const problem = `matches no suite${guess === undefined ? "" : `, did you mean ${guess}?`}`;
      const allowed = known.join(", ") || "none: the manifest has no suites";
      return { key: "suite", value: pattern, problem, allowed };
    });
  if (faults.length > 0) throw new ConfigurationError(`suites of ${manifest.name}`, faults);
  return manifest.suites.filter(
    ({ name }) => suites.length === 0 || suites.some((pattern) => matches(pattern, name)),
  );
}

/** Whether a case is wanted. A subtest is when its parent is, whose name its own begins with. */
export function selectsCase(
  { cases, tags }: Selection,
  { name, tags: own = [] }: Pick<CaseResult, "name" | "tags">,
): boolean {
  return (
    (cases.length === 0 || cases.some((pattern) => matchesCase(pattern, name))) &&
    (tags.length === 0 || tags.some((tag) => own.includes(tag)))
  );
}

function matchesCase(pattern: string, name: string): boolean {
  const path = name.split(" / ");
  return path.some((_, depth) => matches(pattern, path.slice(0, depth + 1).join(" / ")));
}

/** What a suite finds in its environment, so that it can leave out the others itself. */
export function selectionEnvironment({ cases, tags }: Selection): Record<string, string> {
  return {
    ...(cases.length > 0 && { VEXLAB_CASES: cases.join("\n") }),
    ...(tags.length > 0 && { VEXLAB_TAGS: tags.join(" ") }),
  };
}

/** One sentence for each pattern and tag that fits none of these suites' cases. */
export function unmatched(selection: Selection, suites: readonly SuiteResult[]): string[] {
  const cases = suites.flatMap((suite) => suite.cases);
  const patterns = selection.cases.map((pattern) => `a name like '${pattern}'`);
  const tags = selection.tags.map((tag) => `the tag ${tag}`);
  const no = (what: string): string => `no case of ${plural(suites.length)} has ${what}`;
  if (cases.length === 0)
    return [no([patterns.join(" or "), tags.join(" or ")].filter(Boolean).join(" and "))];
  const used = (pattern: string): boolean => cases.some(({ name }) => matchesCase(pattern, name));
  const carried = (tag: string): boolean => cases.some(({ tags: own = [] }) => own.includes(tag));
  // Of what the other kind leaves.
  const and = (other: readonly string[]): string =>
    other.length === 0 ? "" : ` and ${other.join(" or ")}`;
  return [
    ...patterns
      .filter((_, index) => !used(selection.cases[index] ?? ""))
      .map((each) => no(each + and(tags))),
    ...tags
      .filter((_, index) => !carried(selection.tags[index] ?? ""))
      .map((each) => no(each + and(patterns))),
  ];
}

const plural = (suites: number): string => (suites === 1 ? "1 suite" : `${suites} suites`);
