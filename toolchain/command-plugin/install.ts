/**
 * Puts the stand-in for the official command plugin where Pulumi looks for it: bundled into one
 * file of JavaScript, so that it starts fast and needs nothing of the checkout.
 */
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { quote } from "shell-quote";

const sources = dirname(fileURLToPath(import.meta.url));
const program = "pulumi-resource-command";

/**
 * Installs the stand-in as `plugins/resource-command-v<version>` of a PULUMI_HOME. Only for
 * vexlab's own: in a user's it would pass for the official plugin in every project.
 *
 * The folder appears complete or not at all. One that is there already is left alone when it is
 * the same, and replaced otherwise.
 *
 * @param pluginVersion The version to stand in for, such as `1.2.1` (a leading `v` is allowed).
 */
export async function installStandIn(pulumiHome: string, pluginVersion: string): Promise<void> {
  const version = pluginVersion.replace(/^v/, "");
  const plugins = join(pulumiHome, "plugins");
  const installed = join(plugins, `resource-command-v${version}`);
  await mkdir(plugins, { recursive: true, mode: 0o700 });
  const made = await mkdtemp(join(plugins, ".stand-in-"));
  try {
    await writePlugin(made, version);
    if (await sameFiles(made, installed)) return;
    await rm(installed, { recursive: true, force: true });
    await rename(made, installed);
    // Pulumi's mark of an installation that was cut short; a complete one has none.
    await rm(`${installed}.partial`, { force: true });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** Writes the plugin's files into an existing folder. */
export async function writePlugin(folder: string, version: string): Promise<void> {
  await build({
    entryPoints: [join(sources, "main.ts")],
    outfile: join(folder, "plugin.cjs"),
    bundle: true,
    minify: true,
    legalComments: "none",
    platform: "node",
    target: "node20",
    format: "cjs",
    define: { STAND_IN_VERSION: JSON.stringify(version) },
    logLevel: "silent",
  });
  await copyFile(join(sources, "watchdog.sh"), join(folder, "watchdog.sh"));
  await writeFile(join(folder, program), launcher());
  await chmod(join(folder, program), 0o755);
}

/**
 * The Node that installs it runs it, while it is there: `pulumi destroy` needs no Node on PATH.
 * An executable of its own, because Node takes a file without a suffix for what the nearest
 * package.json says.
 */
function launcher(): string {
  return `#!/bin/sh
# vexlab's stand-in for pulumi-resource-command; see docs/command-plugin.md there.
node=${quote([process.execPath])}
[ -x "$node" ] || node=node
exec "$node" "\${0%/*}/plugin.cjs" "$@"
`;
}

async function sameFiles(left: string, right: string): Promise<boolean> {
  const names = (await readdir(left)).sort();
  const others = await readdir(right).catch(() => []);
  if (names.join("/") !== others.sort().join("/")) return false;
  for (const name of names) {
    const [one, other] = await Promise.all([
      readFile(join(left, name)),
      readFile(join(right, name)),
    ]);
    if (!one.equals(other)) return false;
  }
  return true;
}
