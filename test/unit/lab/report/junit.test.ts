import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { validateXML } from "xmllint-wasm";
import { renderJunit } from "../../../../lab/report/junit.ts";
import { crashed, measured, mixed, notLoaded, suite } from "./report.ts";
import { anyCharacter } from "../../anyCharacter.ts";

const schema = await readFile(new URL("../../../../docs/junit.xsd", import.meta.url), "utf8");

/** What libxml2 has against each of them. */
async function faultsOf(...texts: string[]): Promise<string[][]> {
  const xml = texts.map((contents, index) => ({ fileName: `${index}.xml`, contents }));
  const { errors } = await validateXML({ xml, schema: [schema] });
  return xml.map(({ fileName }) =>
    errors.filter(({ loc }) => loc?.fileName === fileName).map(({ message }) => message),
  );
}

const passedCase = (name: string) => ({
  ...{ suite: "s", name, outcome: "passed" as const, milliseconds: 1 },
  diagnostics: [],
});

describe("junit.xml", () => {
  it("is as docs/junit.xsd says, and what readers would miss is not", async () => {
    const empty = { ...mixed, verdict: "cancelled" as const, suites: [] };
    const silent = { ...passedCase("\u001b[2J"), outcome: "failed" as const, diagnostics: [""] };
    const mute = { ...mixed, suites: [suite("s", [silent, passedCase("")])] };
    const good = [mixed, crashed, notLoaded, measured, empty, mute].map(renderJunit);
    const text = renderJunit(mixed);
    const broken = [
      text.replace(/<failure( [^>]*)>[^<]*</, "<failure$1><"),
      text.replace(' classname="mount"', ""),
      text.replace('name="acl"', 'name="mkfs"'),
      text.replace('time="0.812"', 'time="a while"'),
    ];
    for (const each of broken) expect(each).not.toBe(text);
    const faults = await faultsOf(...good, ...broken);
    expect(faults.slice(0, good.length)).toEqual(good.map(() => []));
    for (const each of faults.slice(good.length)) expect(each).not.toEqual([]);
  });

  it("has cases of one name under several, since GitLab takes the first only", () => {
    const failed = { ...passedCase("a"), outcome: "failed" as const, diagnostics: ["no"] };
    const cases = [passedCase("a"), passedCase("a (2)"), failed];
    const text = renderJunit({ ...mixed, suites: [suite("s", cases)] });
    expect(text).toMatch(
      /name="a" .*\n.*name="a \(2\)" .*\n.*name="a \(3\)" .*\n.*<failure message="no"/,
    );
  });

  it("tells in the content of an element what is wrong, which is all that GitLab shows", () => {
    expect(renderJunit(mixed)).toContain(">SKIP not supported</skipped>");
    expect(renderJunit(mixed)).toMatch(/<error [^>]*>the suite reported no case: /);
    expect(renderJunit(notLoaded)).toMatch(/<error [^>]*>the module was not loaded: /);
  });

  it.each([
    ["mixed", mixed],
    ["crashed", crashed],
    ["load-failed", notLoaded],
    ["measured", measured],
  ])("of a %s run", async (name, report) => {
    await expect(renderJunit(report)).toMatchFileSnapshot(`__snapshots__/junit-${name}.xml`);
  });

  it("has the reason with the suites that ran in another guest, and with no others", () => {
    const text = renderJunit({ ...mixed, retried: [{ reason: "no <guest>", suites: ["mount"] }] });
    expect(text.match(/<property name="retried" value="no &lt;guest&gt;"\/>/g)).toHaveLength(1);
    expect(text.indexOf('name="retried"')).toBeLessThan(text.indexOf('name="vector"'));
  });

  it("shows an error for every verdict but passed", () => {
    for (const report of [mixed, crashed, notLoaded])
      expect(renderJunit(report)).toMatch(/<(failure|error) /);
    expect(renderJunit({ ...mixed, verdict: "cancelled", suites: [] })).toMatch(/<error /);
    // All cases passed, and still the run did not: the module stayed loaded, the guest was lost.
    const passed = {
      suite: "s",
      name: "a",
      outcome: "passed" as const,
      milliseconds: 1,
      diagnostics: [],
    };
    for (const verdict of ["failed", "crashed", "hung", "infrastructure-failed"] as const) {
      const report = { ...mixed, verdict, suites: [suite("s", [passed])] };
      expect(renderJunit(report)).toMatch(new RegExp(`<error message=.* type="${verdict}"`));
    }
    expect(
      renderJunit({ ...mixed, verdict: "passed", suites: [suite("s", [passed])] }),
    ).not.toMatch(/<(failure|error) /);
  });

  it("has no character that XML can't hold", () => {
    const result = {
      suite: "s",
      name: "a\ufffe\ud800b\u0000\u{1f600}",
      outcome: "failed" as const,
      milliseconds: 1,
      diagnostics: ["c\udc00d\uffff"],
    };
    const kernelRelease = "6.1\u0000\ud800\u001b[2J";
    const text = renderJunit({ ...mixed, kernelRelease, suites: [suite("s", [result])] });
    expect(text).toContain('value="6.1\ufffd"');
    expect(text).toContain("a\ufffd\ufffdb\u{1f600}");
    expect(text).toContain("c\ufffdd\ufffd");
  });

  it("is valid whatever the guest printed", { timeout: 30_000 }, async () => {
    const printed = fc.tuple(fc.string({ unit: anyCharacter }), fc.string());
    const texts = fc.sample(printed, 20).map(([text, name]) => {
      const failed = {
        ...{ suite: "s", name: name + text, outcome: "failed" as const, milliseconds: 1 },
        diagnostics: [text, "]]>"],
      };
      const said = { ...passedCase(text), diagnostics: [text] };
      const told = { problems: [text], tail: [text] };
      const suites = [suite("s", [failed, said], told)];
      return renderJunit({ ...mixed, kernelRelease: text, suites });
    });
    // All at once: libxml2 is started anew for each call.
    expect(await faultsOf(...texts)).toEqual(texts.map(() => []));
  });
});
