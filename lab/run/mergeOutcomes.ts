/** One outcome of several runs that were parts of one: suites in guests of their own. Pure. */
import { distinct } from "../console/crashReport.ts";
import { judge } from "./judge.ts";
import type { Selection } from "./selection.ts";
import type { RunOutcome } from "./runSuites.ts";
import type { VerdictKind } from "./verdict.ts";

/** The gravest first, as judge has them within a run. */
export const gravity: readonly VerdictKind[] = [
  "crashed",
  "cancelled",
  "build-failed",
  "load-failed",
  "infrastructure-failed",
  "hung",
  "failed",
  "passed",
];

/**
 * The outcome of all parts, in the order in which they are given: the gravest verdict with its
 * reason. When the cases decide, they are judged all together, as in a run of one part: a suite that
 * skips everything is no failure beside suites that pass.
 */
export function mergeOutcomes(parts: readonly RunOutcome[], selection?: Selection): RunOutcome {
  const suites = parts.flatMap((part) => part.suites);
  const moduleProblems = parts.flatMap((part) => part.moduleProblems);
  const crashes = distinct(parts.flatMap((part) => part.crashes));
  const hangs = parts.flatMap((part) => part.hangs ?? []);
  const retried = parts.flatMap((part) => part.retried ?? []);
  const dumps = parts.flatMap((part) => part.dumps ?? []);
  const [gravest] = parts
    .map(({ verdict }) => verdict)
    .sort((a, b) => gravity.indexOf(a.kind) - gravity.indexOf(b.kind));
  const decided = gravest !== undefined && gravest.kind !== "passed" && gravest.kind !== "failed";
  const facts = { suites, moduleProblems, crashes, cancelled: false };
  return {
    verdict: decided ? gravest : judge({ ...facts, ...(selection && { selection }) }),
    suites,
    moduleProblems,
    crashes,
    ...(hangs.length > 0 && { hangs }),
    ...(retried.length > 0 && { retried }),
    ...(dumps.length > 0 && { dumps }),
    kernelRelease: parts.find((part) => part.kernelRelease !== "")?.kernelRelease ?? "",
  };
}
