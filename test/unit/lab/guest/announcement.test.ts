import { execa } from "execa";
import fc from "fast-check";
import { expect, test } from "vitest";
import { announceScript, parseAnnouncement } from "../../../../lab/guest/announcement.ts";

const base64 = "AAAAC3NzaC1lZDI1NTE5AAAAIHCabgKMKwh3OKO7imDfbcSkvfUVoMBoqTRrnC1OFBgY";
const keyLine = `VEXLAB-HOST-KEY ssh-ed25519 ${base64}`;
const readyLine = 'VEXLAB-READY { "v1": {  "datasource": "DataSourceNoCloud",  "errors": [] }}';

test("the guest's lines are understood, also after a prompt", () => {
  const key = { kind: "hostKey", key: { type: "ssh-ed25519", base64 } };
  expect(parseAnnouncement(keyLine)).toEqual(key);
  expect(parseAnnouncement(`dev login: ${keyLine}`)).toEqual(key);
  expect(parseAnnouncement(readyLine)).toEqual({
    kind: "ready",
    datasource: "DataSourceNoCloud",
    errors: [],
  });
  const failed = 'VEXLAB-READY {"v1": {"datasource": null, "errors": ["runcmd", 1]}}';
  expect(parseAnnouncement(failed)).toEqual({
    kind: "ready",
    datasource: "none",
    errors: ["runcmd", "1"],
  });
});

test("a line that is cut or broken by another message says nothing", () => {
  const noise = "[   12.345678] EXT4-fs (vda): resized";
  fc.assert(
    fc.property(fc.constantFrom(keyLine, readyLine), fc.nat(), (line, where) => {
      // The last character may be cut off a key's comment, never off the key or the JSON.
      const at = 1 + (where % (line.length - 1));
      expect(parseAnnouncement(line.slice(0, at))).toBeUndefined();
      const broken = parseAnnouncement(line.slice(0, at) + noise + line.slice(at));
      if (broken?.kind === "hostKey") expect(broken.key.base64).toBe(base64);
    }),
    { numRuns: 500 },
  );
});

test("nothing on a console makes it throw", () => {
  fc.assert(
    fc.property(fc.string(), fc.json(), (text, json) => {
      parseAnnouncement(text);
      parseAnnouncement(`VEXLAB-READY ${json}`);
      parseAnnouncement(`VEXLAB-HOST-KEY ${text}`);
    }),
  );
});

test("the script is one that a shell accepts", async () => {
  await execa("sh", ["-n"], { input: announceScript });
  await execa("shellcheck", ["--shell=sh", "-"], { input: announceScript });
});
