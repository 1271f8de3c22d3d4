/**
 * What a schema allows at a path, in words. The words are kept with the schema itself, so that an
 * error, the JSON schema and the documentation cannot disagree.
 */
import * as z from "zod";

const registry = z.registry<{ allowed: string }>();

/** The same schema, with words for "allowed: …". */
export function allow<S extends z.ZodType>(allowed: string, schema: S): S {
  // Looked up by identity, so the words are put on the outermost schema given here.
  registry.add(schema, { allowed });
  return schema;
}

/** What is allowed at a path of a document: words, and for a mapping the names of its keys. */
export function allowedAt(
  schema: z.ZodType,
  path: readonly PropertyKey[],
): { text: string; keys: readonly string[] } {
  let at: z.core.$ZodType = schema;
  let words = wordsOf(at);
  for (const part of path) {
    const next = step(unwrap(at), part);
    if (next === undefined) break;
    at = next;
    words = wordsOf(at) ?? words;
  }
  const inner = unwrap(at);
  const keys = inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
  const ofKind =
    inner instanceof z.ZodEnum
      ? inner.options.join(", ")
      : keys.length > 0
        ? `a mapping of ${keys.join(", ")}`
        : "see the documentation";
  return { text: words ?? ofKind, keys };
}

function step(schema: z.core.$ZodType, part: PropertyKey): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodObject) return schema.shape[String(part)] as z.ZodType | undefined;
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return undefined;
}

/** Through defaults, optionals and transforms to what a person writes. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unwrap(schema.unwrap());
  if (schema instanceof z.ZodOptional) return unwrap(schema.unwrap());
  if (schema instanceof z.ZodPipe) return unwrap(schema.in);
  return schema;
}

/** The words of a schema or of what it wraps, the outermost first. */
function wordsOf(schema: z.core.$ZodType): string | undefined {
  for (let at = schema; ;) {
    const words = registry.get(at)?.allowed;
    if (words !== undefined) return words;
    if (at instanceof z.ZodDefault || at instanceof z.ZodPrefault || at instanceof z.ZodOptional) {
      at = at.unwrap();
    } else if (at instanceof z.ZodPipe) at = at.in;
    else return undefined;
  }
}
