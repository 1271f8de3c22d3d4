/**
 * Reads apt's list of package archives in both of its formats (sources.list(5)) and finds Debian's
 * own archive among them, so that images come from the mirror that the host uses.
 */

/** One archive: an entry of either format; deb822 entries with several URIs become several. */
export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Key file or fingerprint; undefined when apt's trusted keys decide, or for an inline key. */
  readonly signedBy?: string;
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

/** The one-line format. Lines that are not of type `deb` or not complete are left out. */
export function parseOneLine(text: string): AptSource[] {
  return text.split("\n").flatMap((line): AptSource[] => {
    const match = /^\s*deb(?:\s+\[([^\]]*)\])?\s+([^#]*)/.exec(line);
    const [uri, suite, ...components] = words(match?.[2] ?? "");
    if (uri === undefined || suite === undefined) return [];
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(match?.[1] ?? "")?.[1];
    return [{ uri, suites: [suite], components, ...(signedBy === undefined ? {} : { signedBy }) }];
  });
}

/** The deb822 format. Stanzas that are disabled, or have no `deb` among their types, are left out. */
export function parseDeb822(text: string): AptSource[] {
  const stanzas = text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n")
    .split(/\n\s*\n/);
  return stanzas.flatMap((stanza): AptSource[] => {
    // A line that begins with a blank continues the field before it.
    const fields = new Map(
      stanza
        .replace(/\n[ \t]+/g, " ")
        .split("\n")
        .flatMap((line): [string, string][] => {
          const colon = line.indexOf(":");
          return colon < 0
            ? []
            : [[line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]];
        }),
    );
    if (/^(no|false|0)$/i.test(fields.get("enabled") ?? "yes")) return [];
    if (!words(fields.get("types") ?? "").includes("deb")) return [];
    const suites = words(fields.get("suites") ?? "");
    if (suites.length === 0) return [];
    const key = fields.get("signed-by");
    const signedBy = key === undefined || key.includes("BEGIN PGP") ? {} : { signedBy: key };
    const components = words(fields.get("components") ?? "");
    return words(fields.get("uris") ?? "").map((uri) => ({ uri, suites, components, ...signedBy }));
  });
}

/** Debian's archive and its security archive as a host is configured for them. */
export interface DebianArchive {
  readonly main: string;
  readonly security?: string;
}

const suiteOfDebian =
  /^(bullseye|bookworm|trixie|forky|duke|sid|stable|oldstable|oldoldstable|testing|unstable)(-[a-z]+)?(\/updates)?$/;

/**
 * Debian's archive among the sources of a host, of whatever release of Debian; undefined when there
 * is none (another distribution, or media only).
 *
 * Third parties use Debian's suite names too. What tells them apart: a key of their own, no `main`
 * component, or no `-updates` suite beside the release; so an archive with such a suite wins.
 */
export function findDebianArchive(sources: readonly AptSource[]): DebianArchive | undefined {
  const candidates = sources.filter(
    (source) =>
      /^https?:\/\//.test(source.uri) &&
      source.components.includes("main") &&
      source.suites.every((suite) => suiteOfDebian.test(suite)) &&
      (source.signedBy === undefined || source.signedBy.includes("debian-archive")),
  );
  const isSecurity = (suite: string): boolean => /-security$|\/updates$/.test(suite);
  const archives = candidates.filter((source) => !source.suites.some(isSecurity));
  const main =
    archives.find((source) => source.suites.some((suite) => suite.endsWith("-updates"))) ??
    archives[0];
  const security = candidates.find((source) => source.suites.some(isSecurity));
  if (main === undefined) return undefined;
  return { main: main.uri, ...(security === undefined ? {} : { security: security.uri }) };
}

/** The one-line entries for mmdebstrap; suites of the release named, component main. */
export function sourceLines(archive: DebianArchive, release: string): string[] {
  // Updates and security updates of sid go straight into it.
  if (release === "sid") return [`deb ${archive.main} ${release} main`];
  return [
    `deb ${archive.main} ${release} main`,
    `deb ${archive.main} ${release}-updates main`,
    ...(archive.security === undefined ? [] : [`deb ${archive.security} ${release}-security main`]),
  ];
}
