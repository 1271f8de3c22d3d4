/**
 * Loaded before the Pulumi program (nodeargs in Pulumi.yaml). JavaScript, since it decides whether the
 * loader for TypeScript is needed: index.ts as one file of all its modules, which scripts/vexlab makes,
 * starts in half the time. Where that file is missing or older than a source, the sources run.
 *
 * It also keeps an error of the program from taking minutes: Pulumi formats errors by util.inspect with
 * colours and with stack frames moved by source maps to paths such as `node_modules/@pulumi/resource.ts`.
 * Node 20's inspect never ends on a scoped package without a folder below it (it looks for the end of the
 * package's name in a loop that then starts over). Frames of packages under @pulumi therefore stay where
 * they are.
 *
 * And it leaves unloaded what Pulumi's runtime needs only for functions that run in a cloud, for its
 * Automation API and for tracing: of the time that @pulumi/pulumi takes to load they are four fifths.
 */
import { readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { loadLazily } from "./lazyPackage.js";

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const bundle = join(checkout, ".vexlab", "program", "pulumi.mjs");
const sources = ["components", "lab", "toolchain"].flatMap((folder) => [
  folder,
  ...readdirSync(join(checkout, folder), { recursive: true }).map((name) => join(folder, name)),
]);

/** Milliseconds since 1970; -Infinity for a file that isn't there. */
const changed = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;

const made = changed(bundle);
const isCurrent = ["index.ts", "package-lock.json", "sdks/libvirt", ...sources].every(
  (name) => changed(join(checkout, name)) < made,
);
const here = createRequire(import.meta.url);
// The copy that Pulumi uses: the first to install decides.
const pulumi = here.resolve("@pulumi/pulumi/package.json");
const pulumis = createRequire(pulumi);
for (const name of ["@npmcli/arborist", "typescript", "./automation"]) loadLazily(pulumi, name);
for (const part of [
  ...["exporter-zipkin", "instrumentation", "instrumentation-grpc", "resources"],
  ...["sdk-trace-base", "sdk-trace-node"],
])
  loadLazily(pulumi, `@opentelemetry/${part}`);
// It has V8's debugger follow each script that is loaded, to find the sources of such functions.
loadLazily(pulumi, "./runtime/closure/v8Hooks", { isInitializedAsync: () => Promise.resolve() });
const sourceMapSupport = pulumis("source-map-support");
// The language host's last word is the program's file.
if (isCurrent && !process.env.VEXLAB_DEBUG && process.argv.at(-1) === "index.ts") {
  process.argv[process.argv.length - 1] = bundle;
  sourceMapSupport.install();
  // Pulumi takes a stack trace for every resource, and most are never shown.
  Error.prepareStackTrace = undefined;
} else {
  await import("tsx/esm");
  const noMappings = { version: 3, sources: [], names: [], mappings: "" };
  sourceMapSupport.install({
    retrieveSourceMap: (source) =>
      source.includes("/node_modules/@pulumi/") ? { url: source, map: noMappings } : null,
  });
}
