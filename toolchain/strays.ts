/**
 * What libvirt has under a stack's name without Pulumi knowing of it: a domain is defined before it
 * is started, so one whose start fails (a port that was taken meanwhile, a file that QEMU may not
 * read) stays defined though its creation failed, and the next `up` would find its name taken.
 */
import { domainNames, poolNames, virsh } from "../lab/hypervisor/virsh.ts";
import { latestState } from "./stateFile.ts";

/** The part of a stack's state that is asked here. */
export interface KnownResources {
  /** libvirt's UUIDs of the domains in the state. */
  readonly domains: readonly string[];
  /** libvirt's UUIDs of the pools in the state. */
  readonly pools: readonly string[];
  /** The paths of the volumes in the state. */
  readonly volumes: readonly string[];
}

/** What libvirt says of a stack's domain and pool: UUIDs and definitions. */
export interface FoundResources {
  readonly domain?: { readonly uuid: string; readonly xml: string } | undefined;
  readonly pool?:
    | { readonly uuid: string; readonly xml: string; readonly volumes: readonly string[] }
    | undefined;
}

/** The libvirt resources in a stack's state file, which may be absent (undefined). */
export function knownResources(text: string | undefined): KnownResources {
  const resources = latestState(text).resources ?? [];
  const idsOf = (kind: string): string[] =>
    resources
      .filter(({ type }) => type === `libvirt:index/${kind}`)
      .flatMap(({ id }) => (id === undefined ? [] : [id]));
  return {
    domains: idsOf("domain:Domain"),
    pools: idsOf("pool:Pool"),
    volumes: idsOf("volume:Volume"),
  };
}

/**
 * The virsh commands that remove what is there and not known, domains before the disks they use.
 * Only what lies in the stack's own folder: under one libvirt, another checkout's stack may have the
 * same name.
 */
export function removalOfStrays(
  found: FoundResources,
  known: KnownResources,
  stackFolder: string,
): readonly (readonly string[])[] {
  const { domain, pool } = found;
  const ours = (xml: string): boolean => isIn(stackFolder, xml);
  const removal: string[][] = [];
  if (domain && ours(domain.xml) && !known.domains.includes(domain.uuid))
    removal.push(
      // Fails when it isn't running.
      ["destroy", "--domain", domain.uuid],
      ["undefine", "--domain", domain.uuid, "--snapshots-metadata"],
    );
  if (pool && ours(pool.xml)) {
    const volumes = pool.volumes.filter((path) => !known.volumes.includes(path));
    removal.push(...volumes.map((path) => ["vol-delete", "--vol", path]));
    if (!known.pools.includes(pool.uuid))
      removal.push(["pool-destroy", "--pool", pool.uuid], ["pool-undefine", "--pool", pool.uuid]);
  }
  return removal;
}

/** Whether a definition is of something in the stack's own folder. */
const isIn = (stackFolder: string, xml: string): boolean => xml.includes(`${stackFolder}/`);

/**
 * Asks libvirt what it has under a stack's name, which is that of its domain and of its pool. The
 * stack's own pool is started if it isn't active: only then does it tell its volumes. One whose
 * removal failed, because of a volume that Pulumi doesn't know, is left inactive.
 */
export async function findResources(
  uri: string,
  name: string,
  stackFolder: string,
): Promise<FoundResources> {
  const [domains, pools] = await Promise.all([domainNames(uri), poolNames(uri)]);
  const domain = domains.includes(name)
    ? { uuid: await virsh(uri, ["domuuid", name]), xml: await virsh(uri, ["dumpxml", name]) }
    : undefined;
  if (!pools.includes(name)) return { domain };
  const xml = await virsh(uri, ["pool-dumpxml", name]);
  const list = (): Promise<string> => virsh(uri, ["vol-list", "--pool", name]);
  const table = await list().catch(async () => {
    if (!isIn(stackFolder, xml)) return "";
    return virsh(uri, ["pool-start", "--pool", name]).then(list, () => "");
  });
  const volumes = volumePaths(table);
  return { domain, pool: { uuid: await virsh(uri, ["pool-uuid", name]), xml, volumes } };
}

/** The paths in the table of `virsh vol-list`: a name and a path on each line, padded with blanks. */
export function volumePaths(table: string): string[] {
  return table.split("\n").flatMap((line) => /^\s*\S.*?\s+(\/.*?)\s*$/.exec(line)?.[1] ?? []);
}
