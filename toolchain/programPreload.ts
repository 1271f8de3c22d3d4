/**
 * Loaded before the Pulumi program (nodeargs in Pulumi.yaml), so that an error of the program is
 * reported at once.
 *
 * Pulumi formats errors by util.inspect with colours and with stack frames moved by source maps to
 * paths such as `node_modules/@pulumi/resource.ts`. Node 20's inspect never ends on a scoped package
 * without a folder below it (it looks for the end of the package's name in a loop that then starts
 * over): it takes a minute and gigabytes before it gives up. Frames of packages under @pulumi
 * therefore stay where they are.
 */
import { createRequire } from "node:module";

interface SourceMapSupport {
  install(options: {
    retrieveSourceMap(source: string): { readonly url: string; readonly map: object } | null;
  }): void;
}

const here = createRequire(import.meta.url);
// The copy that Pulumi uses.
const pulumis = createRequire(here.resolve("@pulumi/pulumi/package.json"));
const sourceMapSupport = pulumis("source-map-support") as SourceMapSupport;
const noMappings = { version: 3, sources: [], names: [], mappings: "" };

sourceMapSupport.install({
  retrieveSourceMap: (source) =>
    source.includes("/node_modules/@pulumi/") ? { url: source, map: noMappings } : null,
});
