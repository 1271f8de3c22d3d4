/** What a build of the module under test gives back, and the schema that reads it from JSON. */
import * as z from "zod";
import { kernelPackageSchema } from "../image/kernelPackage.ts";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const artefactSchema = z.strictObject({
  /** Relative to the source's root (and to {@link BuildResult.folder}). */
  path: z.string(),
  sha256,
  bytes: z.int().nonnegative(),
  /** Of a kernel module: the modules that it needs, by the kernel's names for them. */
  depends: z.array(z.string()).readonly().optional(),
});

export const buildResultSchema = z.strictObject({
  /** Hash of the very copy that was built (design: the verdict carries it). */
  sourceHash: sha256,
  /** Hash over paths and contents of all artefacts, tools included. */
  artefactHash: sha256,
  imageId: z.string(),
  kernelRelease: z.string(),
  /** Where that kernel is from; absent where it is no package of a distribution. */
  kernelPackage: kernelPackageSchema.exactOptional(),
  builtOn: z.enum(["host", "guest"]),
  /** The built tree: the sources (tests included) and the artefacts at their own paths in it. */
  folder: z.string(),
  artefacts: z.array(artefactSchema),
  /** How long the build took when it was really done; a reused result keeps its first figure. */
  seconds: z.number(),
  logFile: z.string(),
});

export type Artefact = Readonly<z.infer<typeof artefactSchema>>;
export type BuildResult = Readonly<z.infer<typeof buildResultSchema>>;
