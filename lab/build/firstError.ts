/** The one line of a build's output that says what is wrong with the source. */

// Most telling first. A later line of a better kind wins over an earlier line of a worse one: make's
// own "Error 2" comes last and says nothing.
const kinds: readonly RegExp[] = [
  // guest/lib/vexlab_guest/dkms.sh: the package does not want this kernel.
  /^\S+: the package is not for kernel /,
  // gcc and clang: file:line:col: error: …
  /^\S.*:\d+(?::\d+)?: (?:fatal )?error: /,
  // rustc: error[E0425]: …, cargo: error: …
  /^error(?:\[E\d+\])?: (?!could not compile|aborting due)/,
  // modpost
  /^ERROR: modpost: /,
  // the linker
  /undefined reference to |^\S*ld: /,
  // make, but not its "[…] Error 2"
  /\*\*\* (?!\[)/,
  // shells and bubblewrap
  /: (?:command )?not found$|: No such file or directory$|: Permission denied$|^bwrap: /,
  /\berror\b/i,
];

/**
 * The first line of the most telling kind, or the last line when none is; undefined for no output.
 * @param prefix removed wherever it stands, so that paths are those of the source folder.
 */
export function firstError(output: string, prefix = ""): string | undefined {
  const lines = output.split(/\r?\n/).filter((line) => line.trim() !== "");
  const shorten = (line: string): string =>
    (prefix === "" ? line : line.replaceAll(prefix, "")).trim().slice(0, 300);
  for (const kind of kinds) {
    const index = lines.findIndex((line) => kind.test(line));
    const line = lines[index];
    if (line === undefined) continue;
    // rustc says where on the next line.
    const place = /^\s*--> (\S+)/.exec(lines[index + 1] ?? "")?.[1];
    const used = shorten(line).startsWith("/")
      ? ownUse(lines.slice(index + 1), shorten)
      : undefined;
    if (used !== undefined) return shorten(line.replace(/^\S+?:\d+(?::\d+)?: /, `${used}: `));
    return shorten(place === undefined ? line : `${place}: ${line}`);
  }
  const last = lines.at(-1);
  return last === undefined ? undefined : shorten(last);
}

/**
 * The place in the sources where a macro of a header is used that does not compile there: gcc names
 * the header first, and then each file on the way to the use.
 */
function ownUse(after: readonly string[], shorten: (line: string) => string): string | undefined {
  let use: string | undefined;
  for (const line of after.map(shorten)) {
    const [, place, kind] = /^(\S+?:\d+(?::\d+)?): (error|warning|note): /.exec(line) ?? [];
    if (kind === undefined) continue;
    if (place === undefined || !line.includes(": note: in expansion of macro ")) break;
    if (!place.startsWith("/")) use = place;
  }
  return use;
}
