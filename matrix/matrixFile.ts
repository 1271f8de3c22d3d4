/**
 * What a matrix is asked for: matrix.yaml, whose keys the command line's options override. Every mistake
 * is told at once.
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { LineCounter, isNode, parseDocument, type Document } from "yaml";
import * as z from "zod";
import { allow, allowedAt } from "../lab/config/allowed.ts";
import { ConfigurationError } from "../lab/config/errors.ts";
import { faultsOf } from "../lab/config/faults.ts";
import { parseSize, sizeForm } from "../lab/config/quantity.ts";
import { stackName } from "../lab/config/stackName.ts";
import { stackKeys } from "../lab/config/stackSchema.ts";

const words = (allowed: string) =>
  allow(allowed, z.array(z.coerce.string<string>().trim().min(1, "is empty")));

/** MiB of a size. */
const size = allow(
  sizeForm,
  z.string().transform((text, context) => {
    const mib = parseSize(text);
    if (mib !== undefined) return mib;
    context.addIssue({ code: "custom", message: "is not a size" });
    return z.NEVER;
  }),
);

const configurationKeys = stackKeys.filter(
  (key) => !["image", "kernel", "source", "suites", "sshPort", "gdbPort", "mode"].includes(key),
);
const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const configuration = allow(
  `a mapping of ${configurationKeys.join(", ")}`,
  z.strictObject(Object.fromEntries(configurationKeys.map((key) => [key, scalar.optional()]))),
);

export const matrixSchema = z.strictObject({
  stack: stackName()
    .default("ci")
    .describe("The stack whose configuration the cells have, but for what they say themselves."),
  source: allow("a folder with a vexlab.yaml", z.string().min(1, "is empty"))
    .optional()
    .describe("The module under test."),
  images: words("images, as in vexlab:image").default([]).describe("The images of the guests."),
  kernels: words("kernels as in vexlab:kernel, IMAGE/KERNEL, or all")
    .default([])
    .describe("The kernels; `all`: each that there is, with its image."),
  configurations: allow(
    "a mapping of names to configurations",
    z.record(allow("letters, digits, - and _", z.string().regex(/^[\w-]{1,32}$/)), configuration),
  )
    .default({})
    .describe("Each is a column of cells: keys of a stack's configuration, without `vexlab:`."),
  suites: words("names of suites of the manifest; * stands for any text")
    .default([])
    .describe("The suites; all by default."),
  jobs: allow("a whole number from 1 to 64", z.coerce.number().int().min(1).max(64))
    .optional()
    .describe("How many cells run at once; by default as many as the host has processors."),
  memory: size.optional().describe("What the guests may take of the host's memory together."),
});

export type MatrixRequest = z.output<typeof matrixSchema>;
/** The same as options, each as it was given. */
export type MatrixFlags = Readonly<Partial<Record<keyof MatrixRequest, unknown>>>;

/**
 * What is asked for by a file, or none, and by options.
 * @throws ConfigurationError naming every fault
 */
export async function readMatrix(
  file: string | undefined,
  flags: MatrixFlags,
): Promise<MatrixRequest> {
  const lines = new LineCounter();
  const document = file === undefined ? undefined : await readYaml(file, lines);
  const content: unknown = document?.toJS() ?? {};
  const given = Object.fromEntries(
    Object.entries(flags).filter(([, value]) => value !== undefined),
  );
  const isMapping = typeof content === "object" && content !== null && !Array.isArray(content);
  const all: unknown = isMapping ? { ...content, ...given } : content;
  const result = matrixSchema.safeParse(all);
  if (!result.success) {
    throw new ConfigurationError(
      file ?? "matrix",
      faultsOf(
        result.error.issues,
        all,
        (path) => allowedAt(matrixSchema, path),
        (path) => (String(path[0]) in given ? undefined : lineOf(document, path, lines)),
      ),
    );
  }
  const { source, ...rest } = result.data;
  if (source === undefined) return rest;
  // What a file says is relative to it.
  const base = "source" in given || file === undefined ? process.cwd() : dirname(resolve(file));
  return { ...rest, source: resolve(base, source) };
}

async function readYaml(file: string, lines: LineCounter): Promise<Document> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const problem = `cannot be read: ${(error as Error).message}`;
    throw new ConfigurationError("matrix", [{ key: file, problem, allowed: "a YAML file" }]);
  }
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings].map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { key: `${line}:${col}`, problem: error.message, allowed: "valid YAML" };
  });
  if (faults.length > 0) throw new ConfigurationError(file, faults);
  return document;
}

function lineOf(
  document: Document | undefined,
  path: readonly PropertyKey[],
  lines: LineCounter,
): string | undefined {
  const node = document?.getIn(path, true);
  const start = isNode(node) ? node.range?.[0] : undefined;
  return start === undefined ? undefined : `line ${lines.linePos(start).line}`;
}
