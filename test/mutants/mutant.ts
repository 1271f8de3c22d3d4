/** A mutant: a patch with one bug for the example, and a header that says what should come of it. */
import { matches } from "../../lab/run/shellPattern.ts";

/** A case of a suite, or a shell's pattern for names of cases. */
export interface CaseName {
  readonly suite: string;
  readonly name: string;
}

export interface Mutant {
  readonly name: string;
  /** What kind of bug it is. */
  readonly kind: string;
  /** The happy path of what is changed: passes all the same. */
  readonly smoke: CaseName;
  /** Patterns of the cases that name the right thing when they fail. */
  readonly caughtBy: readonly CaseName[];
  /** What the bug does. */
  readonly effect: string;
  /** The file that is changed. */
  readonly file: string;
  readonly patch: string;
}

/** Where bugs are put: what is tested, not what tests it. */
const changeable = /^examples\/vexfs\/(?:kernel|rust)\/(?!.*\btests?\/)/;

/**
 * Reads a patch: lines `kind:`, `smoke: SUITE/CASE` and `caught-by: SUITE/PATTERN`, some sentences,
 * and a unified diff of one file.
 * @throws Error with all that is wrong.
 */
export function parseMutant(name: string, patch: string): Mutant {
  const start = patch.search(/^--- /m);
  const header = start === -1 ? patch : patch.slice(0, start);
  const values = (key: string): string[] =>
    [...header.matchAll(new RegExp(`^${key}:(.*)$`, "gm"))].map(([, value = ""]) => value.trim());
  const faults: string[] = [];
  const only = (key: string): string => {
    const [value = "", ...more] = values(key);
    if (value === "" || more.length > 0) faults.push(`one line "${key}: …" is wanted`);
    return value;
  };
  const caseName = (text: string): CaseName => {
    const [, suite = "", rest = ""] = /^([\w-]+)\/(.+)$/.exec(text) ?? [];
    if (suite === "") faults.push(`"${text}" is not SUITE/CASE`);
    return { suite, name: rest };
  };
  const kind = only("kind");
  const smoke = caseName(only("smoke"));
  const caughtBy = values("caught-by").map(caseName);
  if (caughtBy.length === 0) faults.push('a line "caught-by: …" is wanted');
  if (caughtBy.some((pattern) => fits(pattern, smoke)))
    faults.push("what must pass under the mutant can't be what catches it");
  const effect = header
    .replace(/^(?:kind|smoke|caught-by):.*$/gm, "")
    .trim()
    .replace(/\s+/g, " ");
  if (effect === "") faults.push("no sentence says what the bug does");
  const files = [...patch.matchAll(/^\+\+\+ b\/(\S+)/gm)].map(([, file = ""]) => file);
  const [file = ""] = files;
  if (files.length !== 1 || !changeable.test(file))
    faults.push("the diff is not of one file of the example's kernel or rust folder");
  if (faults.length > 0) throw new Error(`mutant ${name}: ${faults.join("; ")}`);
  return { name, kind, smoke, caughtBy, effect, file, patch };
}

/** Whether a case is one of those that a pattern is for. */
export function fits(pattern: CaseName, { suite, name }: CaseName): boolean {
  return pattern.suite === suite && matches(pattern.name, name);
}
