/**
 * Reads an archive's list of binary packages (deb-control(5); the format of `Packages` in
 * https://wiki.debian.org/DebianRepository/Format), of which only some stanzas are wanted. A list has
 * sixty thousand of them, so the others are passed over without being taken apart.
 */

/** The fields that are asked of a stanza. Continued lines are left out: none of these has any. */
export interface PackageStanza {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Groups of alternatives, each a package's name without version, architecture and qualifiers. */
  readonly depends: readonly (readonly string[])[];
}

/** Collects the stanzas of packages whose name begins with `prefix`; feed it text, cut anywhere. */
export class StanzaReader {
  readonly stanzas: PackageStanza[] = [];
  private rest = "";

  constructor(private readonly prefix: string) {}

  push(chunk: string): void {
    const parts = `${this.rest}${chunk}`.split(/\n\n+/);
    this.rest = parts.pop() ?? "";
    for (const part of parts) this.take(part);
  }

  /** To be called once, after all text. */
  end(): PackageStanza[] {
    this.take(this.rest);
    this.rest = "";
    return this.stanzas;
  }

  private take(text: string): void {
    // apt and dak write the name first.
    if (!text.replace(/^\n+/, "").startsWith(`Package: ${this.prefix}`)) return;
    const field = (name: string): string =>
      new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(text)?.[1]?.trim() ?? "";
    const [name, version] = [field("Package"), field("Version")];
    if (name === "" || version === "") return;
    const architecture = field("Architecture");
    this.stanzas.push({ name, version, architecture, depends: dependencies(field("Depends")) });
  }
}

/** The names in a dependency field: `a (>= 1) | b:any, c` is [[a, b], [c]]. */
export function dependencies(field: string): string[][] {
  return field
    .split(",")
    .map((group) =>
      group
        .split("|")
        .map((each) => /^[a-z0-9][a-z0-9+.-]*/.exec(each.trim())?.[0] ?? "")
        .filter((name) => name !== ""),
    )
    .filter((group) => group.length > 0);
}
