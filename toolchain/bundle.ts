/**
 * Makes one JavaScript file of the `vexlab` command, since loading its hundreds of modules one by one
 * takes most of a short command's time. scripts/vexlab runs this when a source is newer than the file:
 *
 *     node --import tsx/esm toolchain/bundle.ts FILE
 */
import { mkdir, readFile, rename, rm, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));

/** What packages written for CommonJS expect to be there. */
const banner = `import { createRequire as bundleRequire } from "node:module";
import { fileURLToPath as bundlePath } from "node:url";
const require = bundleRequire(import.meta.url);
const __filename = bundlePath(import.meta.url), __dirname = bundlePath(new URL(".", import.meta.url));`;

/** Modules find files of the checkout by where they are themselves: that stays the source's place. */
const ownPlaces: Plugin = {
  name: "own-places",
  setup(bundler) {
    bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const own = JSON.stringify(pathToFileURL(path).href);
      return { contents: source.replaceAll("import.meta.url", own), loader: "ts" };
    });
  },
};

/**
 * Bundles the command into a file, whole or not at all.
 * @throws esbuild's BuildFailure for a source that can't be compiled
 */
export async function bundle(file: string): Promise<void> {
  // What is changed from here on is newer than the file.
  const began = new Date();
  const partial = join(dirname(file), `.${process.pid}.mjs`);
  await mkdir(dirname(file), { recursive: true });
  try {
    await build({
      ...{ entryPoints: [join(checkout, "cli", "main.ts")], outfile: partial },
      ...{ bundle: true, platform: "node", format: "esm", target: "node20" },
      // Optional accelerators of ssh2, which does without them.
      external: ["*.node", "cpu-features"],
      ...{ banner: { js: banner }, plugins: [ownPlaces], logLevel: "error" },
    });
    await utimes(partial, began, began);
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
}

const [, , file] = process.argv;
if (file !== undefined) await bundle(file);
