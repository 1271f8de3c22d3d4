/**
 * Where vexlab keeps what it makes: one ignored folder of the checkout, one results folder, one
 * cache folder of the user. Each can be moved by an environment variable.
 */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export interface Places {
  /** The checkout's root. */
  readonly checkout: string;
  /** State of this checkout's stacks (`VEXLAB_STATE_DIR`, default `.vexlab`). */
  readonly state: string;
  /** Test results (`VEXLAB_RESULTS_DIR`, default `test_results`). */
  readonly results: string;
  /** The user's cache (`VEXLAB_CACHE_DIR`, default `$XDG_CACHE_HOME/vexlab` or `~/.cache/vexlab`). */
  readonly cache: string;
}

const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The places in force; relative paths in the environment are relative to the checkout. */
export function places(environment: NodeJS.ProcessEnv = process.env): Places {
  const at = (variable: string, fallback: string): string =>
    resolve(checkout, environment[variable] || fallback);
  const cacheHome = environment["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return {
    checkout,
    state: at("VEXLAB_STATE_DIR", ".vexlab"),
    results: at("VEXLAB_RESULTS_DIR", "test_results"),
    cache: at("VEXLAB_CACHE_DIR", join(cacheHome, "vexlab")),
  };
}

/** The folder of one stack: keys, console, pool, markers. Removed by `destroy`. */
export function stackFolder(stack: string, where: Places = places()): string {
  return join(where.state, "stacks", stack);
}

/** The name of a stack's domain in libvirt, and of its pool. */
export function domainNameOf(stack: string): string {
  return `vexlab-${stack}`;
}

/**
 * The run folder of the libvirt daemon of this checkout. It holds sockets, whose paths may have at
 * most 107 bytes (unix(7)), so it is in the cache under a short hash instead of in the checkout.
 */
export function daemonFolder(where: Places = places()): string {
  const hash = createHash("sha256").update(where.state).digest("hex").slice(0, 8);
  return join(where.cache, "run", hash);
}

/** The host's end of the channel to the agent in a domain's guest: a socket, so in the run folder. */
export function controlSocket(domainName: string, where: Places = places()): string {
  return join(daemonFolder(where), `${domainName}.sock`);
}
