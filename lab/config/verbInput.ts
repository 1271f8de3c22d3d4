/**
 * The input of a verb that Pulumi calls as well as a person: one JSON object (`--input` or the
 * environment's VEXLAB_INPUT), or flags.
 */
import type * as z from "zod";
import { allowedAt } from "./allowed.ts";
import { ConfigurationError } from "./errors.ts";
import { faultsOf } from "./faults.ts";

/**
 * The checked input; a flag that was given wins over the same key of the JSON object.
 * @param verb for messages, such as `vm wait`.
 * @throws ConfigurationError naming every fault.
 */
export function verbInput<Schema extends z.ZodType>(
  verb: string,
  schema: Schema,
  json: string | undefined,
  flags: Readonly<Record<string, unknown>> = {},
): z.output<Schema> {
  const given = Object.fromEntries(
    Object.entries(flags).filter(([, value]) => value !== undefined),
  );
  const document = { ...(json === undefined ? {} : parseObject(verb, json)), ...given };
  const result = schema.safeParse(document);
  if (result.success) return result.data;
  throw new ConfigurationError(
    verb,
    faultsOf(result.error.issues, document, (path) => allowedAt(schema, path)),
  );
}

function parseObject(verb: string, json: string): object {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Reported below, with what was found.
  }
  throw new ConfigurationError(verb, [
    { key: "--input", value: json.slice(0, 60), problem: "is not JSON", allowed: "a JSON object" },
  ]);
}
