/** A YAML document checked by a schema: every fault at once, each with its place in the file. */
import { LineCounter, isNode, parseDocument, type Document } from "yaml";
import type * as z from "zod";
import { allowedAt } from "./allowed.ts";
import { ConfigurationError, type Fault } from "./errors.ts";
import { faultsOf } from "./faults.ts";

// What people write by hand is a page or two; anything near this is something else.
const largest = 256 * 1024;

/**
 * What a text holds.
 *
 * @param name the document's name, for faults that are about all of it
 * @param where the file, for the message
 * @throws ConfigurationError naming every fault
 */
export function parseYamlText<S extends z.ZodType>(
  text: string,
  schema: S,
  name: string,
  where: string,
): z.output<S> {
  if (text.length > largest) {
    throw new ConfigurationError(where, [
      { key: name, problem: "is too long", allowed: `${largest} characters` },
    ]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const unreadable = [...document.errors, ...document.warnings].map((error): Fault => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { key: `${line}:${col}`, problem: error.message, allowed: "valid YAML" };
  });
  if (unreadable.length > 0) throw new ConfigurationError(where, unreadable);

  const value = plain(document, name, where);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ConfigurationError(
    where,
    faultsOf(
      result.error.issues,
      value,
      (path) => allowedAt(schema, path),
      (path) => lineOf(document, path, lines),
    ),
  );
}

function plain(document: Document, name: string, where: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Too many aliases, or an alias of nothing.
    throw new ConfigurationError(where, [
      { key: name, problem: (error as Error).message, allowed: "valid YAML" },
    ]);
  }
}

function lineOf(
  document: Document,
  path: readonly PropertyKey[],
  lines: LineCounter,
): string | undefined {
  const node = document.getIn(path, true);
  const start = isNode(node) ? node.range?.[0] : undefined;
  return start === undefined ? undefined : `line ${lines.linePos(start).line}`;
}
