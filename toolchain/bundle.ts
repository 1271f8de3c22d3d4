/**
 * Makes one JavaScript file of the `vexlab` command and one of the Pulumi program, since loading their
 * hundreds of modules one by one takes most of a short command's time. scripts/vexlab runs this when a
 * source is newer than the files:
 *
 *     node --import tsx/esm toolchain/bundle.ts FOLDER
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, utimes } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));

/** What packages written for CommonJS expect to be there. */
const banner = `import { createRequire as bundleRequire } from "node:module";
import { fileURLToPath as bundlePath } from "node:url";
const require = bundleRequire(import.meta.url);
const __filename = bundlePath(import.meta.url), __dirname = bundlePath(new URL(".", import.meta.url));`;

/** Modules find files of the checkout by where they are themselves: that stays the source's place. */
const ownPlaces = (folder: string): Plugin => ({
  name: "own-places",
  setup(bundler) {
    bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      // From the bundle, so that the checkout can be moved.
      const own = `new URL(${JSON.stringify(encodeURI(relative(folder, path)))}, import.meta.url).href`;
      return { contents: source.replaceAll("import.meta.url", own), loader: "ts" };
    });
  },
});

/**
 * Bundles a program into a file, whole or not at all.
 * @param entry its first module, from the checkout's folder
 * @throws esbuild's BuildFailure for a source that can't be compiled
 */
async function bundle(entry: string, file: string): Promise<void> {
  // What is changed from here on is newer than the file.
  const began = new Date();
  const folder = dirname(file);
  const partial = join(folder, `.${process.pid}.mjs`);
  await mkdir(folder, { recursive: true });
  try {
    await build({
      ...{ entryPoints: [join(checkout, entry)], outfile: partial },
      ...{ bundle: true, platform: "node", format: "esm", target: "node20" },
      // Pulumi's runtime has to be the one that runs the program; the others are optional accelerators
      // of ssh2, which does without them.
      external: ["@pulumi/pulumi", "*.node", "cpu-features"],
      ...{ banner: { js: banner }, plugins: [ownPlaces(folder)], logLevel: "error" },
    });
    await utimes(partial, began, began);
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
}

const [, , folder] = process.argv;
if (folder !== undefined) {
  await bundle("cli/main.ts", join(folder, "main.mjs"));
  // Before the first set-up there is no package to be had for the provider.
  if (existsSync(join(checkout, "sdks", "libvirt")))
    await bundle("index.ts", join(folder, "pulumi.mjs"));
}
