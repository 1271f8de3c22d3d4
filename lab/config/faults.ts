/**
 * What zod finds wrong with a document, as faults a person can act on: where, what was found, what
 * is allowed, and the likely spelling of a mistyped key.
 */
import type * as z from "zod";
import type { Fault } from "./errors.ts";
import { nearest } from "./nearest.ts";

type Issue = z.core.$ZodIssue;

/** `["suites", 1, "timeout"]` → `suites[1].timeout`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${String(part)}`,
    )
    .join("");
}

/** The value at a path of a parsed document; undefined where there is none. */
export function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, part)
        ? (value as Record<PropertyKey, unknown>)[part]
        : undefined,
    document,
  );
}

/** A found value for a message: short, one line. */
export function formatValue(value: unknown): string {
  const text =
    typeof value === "string"
      ? value
      : ((JSON.stringify(value) as string | undefined) ?? String(value));
  const line = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return line.length > 60 ? `${line.slice(0, 57)}...` : line === "" ? '""' : line;
}

/**
 * One fault per wrong key.
 * @param allowedAt what is allowed at a path: for a mapping, the names of its keys.
 * @param locate where a path is in the file ("line 4"), when that is known.
 */
export function faultsOf(
  issues: readonly Issue[],
  document: unknown,
  allowedAt: (path: readonly PropertyKey[]) => { text: string; keys: readonly string[] },
  locate: (path: readonly PropertyKey[]) => string | undefined = () => undefined,
): Fault[] {
  return issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      const known = allowedAt(issue.path).keys;
      return issue.keys.map((name) => {
        const guess = nearest(name, known);
        const problem = `unknown key${guess === undefined ? "" : `, did you mean ${guess}?`}`;
        return fault([...issue.path, name], problem, known.join(", ") || "no keys here");
      });
    }
    const missing = issue.code === "invalid_type" && valueAt(document, issue.path) === undefined;
    const allowed = allowedAt(issue.path).text;
    return [
      fault(
        issue.path,
        missing ? "is required" : issue.message.replace(/^Invalid input: /, ""),
        allowed,
      ),
    ];
  });

  function fault(path: readonly PropertyKey[], problem: string, allowed: string): Fault {
    const value = valueAt(document, path);
    const line = locate(path);
    return {
      key: formatPath(path) || "(the whole file)",
      ...(value === undefined ? {} : { value: formatValue(value) }),
      problem: line === undefined ? problem : `${problem} (${line})`,
      allowed,
    };
  }
}
