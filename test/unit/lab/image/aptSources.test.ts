import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  findDebianArchive,
  parseDeb822,
  parseOneLine,
  sourceLines,
  type AptSource,
} from "../../../../lab/image/aptSources.ts";

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
const uri = fc.tuple(word, word).map(([host, path]) => `http://${host}.test/${path}`);
const source = (suites: { minLength: number; maxLength: number }): fc.Arbitrary<AptSource> =>
  fc.record(
    {
      uri,
      suites: fc.array(word, suites),
      components: fc.array(word, { minLength: 1, maxLength: 4 }),
      signedBy: word.map((name) => `/usr/share/keyrings/${name}.gpg`),
    },
    { requiredKeys: ["uri", "suites", "components"] },
  );
const blanks = fc.constantFrom(" ", "  ", "\t");

describe("parseOneLine", () => {
  it("reads back what was written, whatever blanks and comments are between", () => {
    fc.assert(
      fc.property(fc.array(source({ minLength: 1, maxLength: 1 })), blanks, (sources, blank) => {
        const text = sources
          .map(({ uri, suites, components, signedBy }) =>
            [
              "# deb http://comment.test/x y z\n",
              "deb",
              ...(signedBy === undefined ? [] : [`[arch=amd64 signed-by=${signedBy}]`]),
              uri,
              ...suites,
              ...components,
              "# why",
            ].join(blank),
          )
          .join("\n");
        expect(parseOneLine(text)).toEqual(sources);
      }),
    );
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseOneLine(text)));
  });

  it("leaves out source packages and incomplete lines", () => {
    expect(parseOneLine("deb-src http://a.test/debian bookworm main\ndeb http://a.test")).toEqual(
      [],
    );
  });
});

describe("parseDeb822", () => {
  it("reads back what was written, one source for each address", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            source({ minLength: 1, maxLength: 3 }),
            fc.array(uri, { minLength: 1, maxLength: 3 }),
          ),
        ),
        fc.constantFrom(" ", "\n  ", "\n\t"),
        (stanzas, separator) => {
          const text = stanzas
            .map(([{ suites, components, signedBy }, uris]) =>
              [
                "# Types: deb-src",
                "Types: deb deb-src",
                `URIs: ${uris.join(separator)}`,
                `Suites:${separator}${suites.join(separator)}`,
                `COMPONENTS: ${components.join(" ")}`,
                ...(signedBy === undefined ? [] : [`Signed-By: ${signedBy}`]),
              ].join("\n"),
            )
            .join("\n\n");
          const expected = stanzas.flatMap(([one, uris]) =>
            uris.map((each) => ({ ...one, uri: each })),
          );
          expect(parseDeb822(text)).toEqual(expected);
        },
      ),
    );
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseDeb822(text)));
  });

  it("leaves out disabled stanzas and source packages", () => {
    const stanza = (extra: string): string =>
      `${extra}\nURIs: http://a.test/debian\nSuites: bookworm\nComponents: main`;
    expect(parseDeb822(stanza("Types: deb\nEnabled: no"))).toEqual([]);
    expect(parseDeb822(stanza("Types: deb-src"))).toEqual([]);
    expect(parseDeb822(stanza("Types: deb\nEnabled: yes"))).toHaveLength(1);
  });
});

describe("findDebianArchive", () => {
  const debian = { uri: "http://a.test/debian", suites: ["bookworm", "bookworm-updates"] };
  const security = { uri: "http://a.test/debian-security", suites: ["bookworm-security"] };
  const main = { components: ["main", "contrib"] };

  it("finds the archive and its security archive in any order", () => {
    const found = { main: debian.uri, security: security.uri };
    expect(
      findDebianArchive([
        { ...debian, ...main },
        { ...security, ...main },
      ]),
    ).toEqual(found);
    expect(
      findDebianArchive([
        { ...security, ...main },
        { ...debian, ...main },
      ]),
    ).toEqual(found);
  });

  it("takes the archive of another release of Debian", () => {
    expect(findDebianArchive([{ ...main, uri: debian.uri, suites: ["trixie"] }])).toEqual({
      main: debian.uri,
    });
  });

  it("does not take a third party that uses Debian's suite names", () => {
    const thirdParty = {
      uri: "http://vendor.test/apt",
      suites: ["bookworm"],
      components: ["main"],
    };
    expect(findDebianArchive([thirdParty, { ...debian, ...main }])?.main).toBe(debian.uri);
    expect(
      findDebianArchive([{ ...thirdParty, signedBy: "/usr/share/keyrings/vendor.gpg" }]),
    ).toBeUndefined();
    expect(findDebianArchive([{ ...thirdParty, components: ["stable"] }])).toBeUndefined();
  });

  it("finds nothing on another distribution or on media", () => {
    expect(
      findDebianArchive([{ uri: "http://u.test/ubuntu", suites: ["jammy"], components: ["main"] }]),
    ).toBeUndefined();
    expect(
      findDebianArchive([{ uri: "cdrom:[Debian]/", suites: ["bookworm"], components: ["main"] }]),
    ).toBeUndefined();
  });
});

it("sourceLines names the wanted release and leaves out a security archive that is not known", () => {
  expect(sourceLines({ main: "http://a.test/debian" }, "bookworm")).toEqual([
    "deb http://a.test/debian bookworm main",
    "deb http://a.test/debian bookworm-updates main",
  ]);
  expect(sourceLines({ main: "http://a.test/d", security: "http://a.test/s" }, "trixie")[2]).toBe(
    "deb http://a.test/s trixie-security main",
  );
});
