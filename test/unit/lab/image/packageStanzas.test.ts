import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  dependencies,
  StanzaReader,
  type PackageStanza,
} from "../../../../lab/image/packageStanzas.ts";

const name = fc.stringMatching(/^[a-z0-9][a-z0-9+.-]{1,20}$/);
const versionText = fc.stringMatching(/^[0-9][0-9a-z.+~-]{0,12}$/);
const stanza: fc.Arbitrary<PackageStanza> = fc.record({
  name: fc.oneof(
    name,
    name.map((rest) => `linux-${rest}`),
  ),
  version: versionText,
  architecture: fc.constantFrom("amd64", "all"),
  depends: fc.array(fc.array(name, { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
});

const write = ({ name, version, architecture, depends }: PackageStanza): string =>
  [
    `Package: ${name}`,
    "Source: linux-signed-amd64 (6.1.192+2)",
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    ...(depends.length === 0
      ? []
      : [
          `Depends: ${depends.map((group) => group.map((each) => `${each} (>= 1:2~)`).join(" | ")).join(", ")}`,
        ]),
    "Description: one line",
    " Package: linux-not-a-field",
    " .",
    " more",
    "",
  ].join("\n");

function read(chunks: readonly string[]): PackageStanza[] {
  const reader = new StanzaReader("linux-");
  for (const chunk of chunks) reader.push(chunk);
  return reader.end();
}

/** A text cut at these places. */
function cut(text: string, places: readonly number[]): string[] {
  const sorted = [0, ...places.map((place) => place % (text.length + 1)).sort((a, b) => a - b)];
  return sorted.map((from, at) => text.slice(from, sorted[at + 1]));
}

describe("StanzaReader", () => {
  it("gives the stanzas that are asked for, wherever the text is cut", () => {
    fc.assert(
      fc.property(fc.array(stanza), fc.array(fc.nat()), (stanzas, places) => {
        const text = stanzas.map(write).join("\n");
        const wanted = stanzas.filter((each) => each.name.startsWith("linux-"));
        expect(read(cut(text, places))).toEqual(wanted);
      }),
    );
  });

  it("takes no stanza without a version, and nothing of a text that is none", () => {
    expect(read(["Package: linux-image-1\nArchitecture: amd64\n\nlinux-\n\n\n"])).toEqual([]);
    fc.assert(
      fc.property(fc.string(), (text) => read([text]).every((each) => each.version !== "")),
    );
  });
});

it("dependencies leaves versions, architectures and qualifiers out", () => {
  expect(
    dependencies("kmod, linux-base (>= 4.3~), a:any (= 1) [amd64] | b <!nocheck>, c (<< 2), "),
  ).toEqual([["kmod"], ["linux-base"], ["a", "b"], ["c"]]);
});
