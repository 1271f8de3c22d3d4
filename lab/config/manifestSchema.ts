/**
 * The schema of `vexlab.yaml`: how a module under test is built, loaded and tested.
 *
 * It is the only place for the manifest's keys, defaults and limits. `vexlab manifest --schema`
 * prints it, docs/manifest.md explains it.
 */
import { isAbsolute, normalize } from "node:path/posix";
import * as z from "zod";
import { allow } from "./allowed.ts";
import { durationForm, durationPattern, parseDuration } from "./quantity.ts";

const word = z.string().regex(/^[^\0]*$/, "holds a zero byte");

const argv = () =>
  allow(
    "a list: a program and its arguments, such as [cargo, build]",
    z
      .array(word)
      .min(1, "is empty")
      .refine((words) => words[0]?.trim() !== "", "names no program"),
  );

/** A path that stays inside the source folder. Normalised: `./a//b/` becomes `a/b`. */
const relativePath = () =>
  allow(
    "a path relative to the source folder, without ..",
    z
      .string()
      .refine((path) => path.trim() !== "", "is empty")
      .refine((path) => !/[\0\n\r]/.test(path), "holds a control character")
      .refine((path) => !isAbsolute(path), "is an absolute path")
      .refine((path) => !path.split("/").includes(".."), "leaves the source folder")
      .transform((path) => normalize(path).replace(/(?<=.)\/$/, "")),
  );

const artefact = () => relativePath().refine((path) => path !== ".", "is a folder, not a file");

const moduleFile = () =>
  allow(
    "a .ko file relative to module.folder",
    artefact().refine((path) => path.endsWith(".ko"), "is not a kernel module (.ko)"),
  );

/** Milliseconds, written as `60s`. */
const duration = (fallback: string) =>
  allow(
    durationForm,
    z
      .string()
      .regex(durationPattern, "is not a duration")
      .transform((text, context) => {
        const ms = parseDuration(text);
        if (ms !== undefined && ms <= maximumDuration) return ms;
        context.addIssue({ code: "custom", message: "is not between 1ms and 24h" });
        return z.NEVER;
      })
      .prefault(fallback),
  );
const maximumDuration = 24 * 3_600_000;

const name = () =>
  allow(
    "lower-case letters, digits, - and _, starting with a letter or digit",
    z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, "is not a name"),
  );

/** The file system type's and modules' names as the kernel knows them. */
const kernelName = () =>
  allow(
    "letters, digits, - _ and .",
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "is not a name that the kernel knows"),
  );

// Kbuild is run by vexlab in a copy of its own: these would send it elsewhere.
const redirectsMake =
  /^(M=|MO=|KBUILD_EXTMOD=|KBUILD_OUTPUT=|O=|-C|--directory|-f|--file|--makefile)/;

const module = z.strictObject({
  folder: relativePath().prefault(".").describe("Kbuild folder of the module"),
  make: allow(
    "a list of make arguments, such as [CONFIG_VEXFS_DEBUG=y]; not M=, O=, -C or -f",
    z.array(word.refine((text) => !redirectsMake.test(text), "would move the build elsewhere")),
  )
    .default([])
    .describe("extra arguments of make"),
  dkms: relativePath()
    .refine((path) => path !== ".", "is a folder, not a file")
    .optional()
    .describe(
      "a dkms.conf, relative to folder: it says for each kernel how to build, what is made, which patches are applied and whether the kernel is one of its own",
    ),
  artefacts: allow(
    "a list of the .ko files that the build makes, such as [vexfs.ko]",
    z.array(moduleFile()),
  )
    .default([])
    .describe(
      "modules that must exist after the build, relative to folder; with dkms: those that it names for the kernel",
    ),
});

const load = z.strictObject({
  modules: allow("a list of .ko files of module.artefacts", z.array(moduleFile()))
    .optional()
    .describe(
      "order of insmod; default: module.artefacts as they stand. Modules that others depend on come before them by themselves",
    ),
  parameters: allow(
    "a mapping of .ko files to their parameters, such as {vexfs.ko: {debug: 1}}",
    z.record(
      moduleFile(),
      z.record(
        allow(
          "a parameter's name: letters, digits, _ and .",
          z.string().regex(/^[A-Za-z_][\w.]*$/, "is not a parameter's name"),
        ),
        allow(
          "text, a number, true or false",
          // The kernel's own spelling of a bool parameter is Y or N.
          z
            .union([z.string(), z.number(), z.boolean()])
            .transform((value) =>
              typeof value === "boolean" ? (value ? "Y" : "N") : String(value),
            )
            .refine((text) => !/["\0\n\r]/.test(text), "holds a quote or a line break"),
        ),
      ),
    ),
  )
    .default({})
    .describe("module parameters, by .ko file"),
  requires: allow("a list of module names, such as [videodev]", z.array(kernelName()))
    .default([])
    .describe(
      "modules of the kernel itself to modprobe first, beside those that the built ones say they depend on",
    ),
});

const filesystem = z.strictObject({
  type: kernelName().describe("file system type that the module registers"),
  mkfs: argv()
    .refine((words) => words.some((text) => text.includes("{device}")), "does not hold {device}")
    .optional()
    .describe("makes a file system; {device} stands for the test disk"),
});

const tool = z.strictObject({
  name: name().describe("what the tool is called in messages"),
  folder: relativePath().prefault(".").describe("where its command runs"),
  command: argv().describe("builds it, without network"),
  artefacts: allow(
    "a list of the files that the command makes, such as [target/release/vexctl]",
    z.array(artefact()).min(1, "is empty"),
  ).describe("files that must exist after the command, relative to folder"),
  suites: allow(
    "a list of names of suites, such as [build-system]",
    z.array(name()).min(1, "is empty"),
  )
    .optional()
    .describe("the suites that need it; built when one of them runs. Default: all"),
});

const pattern = () =>
  allow(
    "a gitignore pattern, such as target/ or *.o",
    z.string().refine((text) => text.trim() !== "" && !/[\0\n\r]/.test(text), "is not a pattern"),
  );

const suite = z.strictObject({
  name: name().describe("name of the suite in results"),
  command: argv().describe(
    "runs in the guest as root, in a copy of the source folder; prints KTAP",
  ),
  caseTimeout: duration("60s").describe("longest time between two results"),
  timeout: duration("10m").describe("longest time for the whole suite"),
  load: allow("true or false", z.boolean())
    .default(true)
    .describe("whether the module is loaded before the suite"),
});

export const manifestSchema = z
  .strictObject({
    name: name().describe("name of the module under test"),
    module: module.describe("the kernel module and how to build it"),
    load: load.prefault({}).describe("how to load the module before a suite"),
    filesystem: filesystem.optional().describe("for file systems: type and mkfs"),
    tools: allow("a list of tools", z.array(tool))
      .default([])
      .describe("user-space programs, built after the module"),
    sources: z
      .strictObject({
        include: allow("a list of gitignore patterns", z.array(pattern()))
          .default([])
          .describe("if not empty, only these files are sources"),
        exclude: allow("a list of gitignore patterns", z.array(pattern()))
          .default([])
          .describe("files that are no sources; build outputs never are"),
      })
      .prefault({})
      .describe("what belongs to the sources"),
    suites: allow("a list of test suites", z.array(suite))
      .default([])
      .describe("test suites, in this order"),
  })
  .superRefine((manifest, context) => {
    const fault = (path: PropertyKey[], message: string): void => {
      context.addIssue({ code: "custom", path, message });
    };
    for (const list of ["tools", "suites"] as const) {
      manifest[list].forEach(({ name }, index) => {
        if (manifest[list].findIndex((other) => other.name === name) < index) {
          fault([list, index, "name"], "is used twice");
        }
      });
    }
    manifest.tools.forEach(({ suites = [] }, index) =>
      suites.forEach((suite, place) => {
        if (!manifest.suites.some(({ name }) => name === suite))
          fault(["tools", index, "suites", place], "is no suite of the manifest");
      }),
    );
    const { artefacts: made, dkms, make } = manifest.module;
    if (dkms === undefined && made.length === 0) fault(["module", "artefacts"], "is empty");
    if (dkms !== undefined && make.length > 0)
      fault(["module", "make"], "goes with Kbuild's own command, but module.dkms has a command");
    // What a dkms.conf makes is known when it is run for a kernel.
    if (dkms !== undefined && made.length === 0) return;
    manifest.load.modules?.forEach((file, index) => {
      if (!made.includes(file)) fault(["load", "modules", index], "is not in module.artefacts");
    });
    for (const file of Object.keys(manifest.load.parameters)) {
      if (!(manifest.load.modules ?? made).includes(file)) {
        fault(["load", "parameters", file], "is parameters of a module that is not loaded");
      }
    }
  })
  .transform((manifest) => ({
    ...manifest,
    load: { ...manifest.load, modules: manifest.load.modules ?? manifest.module.artefacts },
  }));

/** A manifest with its defaults filled in; durations are milliseconds. */
export type Manifest = z.output<typeof manifestSchema>;
export type Suite = Manifest["suites"][number];
export type Tool = Manifest["tools"][number];

/** The JSON schema of what a person writes, for editors (draft 2020-12). */
export function manifestJsonSchema(): Record<string, unknown> {
  return { title: "vexlab.yaml", ...z.toJSONSchema(manifestSchema, { io: "input" }) };
}
