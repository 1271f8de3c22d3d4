import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { cloudInitDocuments } from "../../../../lab/guest/cloudInit.ts";
import { splitDocuments } from "../../../../lab/warm/documents.ts";

const userData = `#cloud-config
packages: [fio, stress-ng]
runcmd:
  - [touch, /marker]
write_files:
  - { path: /etc/answer, permissions: "0644", content: "yes\\n1e3\\n" }
  - { path: /etc/number, content: "1e3" }
bootcmd:
  - [echo, "on", "0o17", "12:30:45", "~"]
users:
  - name: guest-of-theirs
    ssh_authorized_keys: [ssh-ed25519 THEIRS]
`;

function documentsOf(hostname: string, key: string, theirs = userData) {
  return cloudInitDocuments({
    user: "vexfs",
    publicKey: `ssh-ed25519 ${key} ${hostname}`,
    hostname,
    shareMode: "readonly",
    files: [{ path: "/usr/local/bin/vt", permissions: "0755", content: "#!/bin/sh\necho hi\n" }],
    userData: theirs,
  });
}

describe("documents taken apart", () => {
  const documents = documentsOf("vexlab-ci", "AAAACI");
  const { neutral, identity } = splitDocuments(documents, "vexfs");

  it("give the identity of the guest", () => {
    const meta = parse(documents.metaData) as Record<string, unknown>;
    expect(identity).toEqual({
      hostname: "vexlab-ci",
      instanceId: meta["instance-id"],
      authorizedKeys: ["ssh-ed25519 AAAACI vexlab-ci"],
    });
  });

  it("leave nothing of it in what is saved", () => {
    const saved = Object.values(neutral).join("\n");
    expect(saved).not.toMatch(/vexlab-ci|AAAACI/);
    expect(saved).not.toContain(identity.instanceId);
    expect(parse(neutral.metaData)).toEqual({
      "instance-id": "vexlab-warm",
      "local-hostname": "vexlab",
    });
  });

  it("leave everything else as it was, in YAML 1.1 as cloud-init reads it", () => {
    const read = (text: string) =>
      parse(text, { version: "1.1" }) as { hostname: string; users: { name: string }[] };
    const before = read(documents.userData);
    const after = read(neutral.userData);
    expect(neutral.userData).toMatch(/^#cloud-config\n/);
    expect(before.users.map(({ name }) => name)).toEqual(["vexfs", "guest-of-theirs"]);
    const [own, ...others] = before.users;
    expect(after).toEqual({
      ...before,
      hostname: "vexlab",
      users: [{ ...own, ssh_authorized_keys: [] }, ...others],
    });
    expect(after).toMatchObject({ packages: ["fio", "stress-ng"] });
    expect(neutral.networkConfig).toBe(documents.networkConfig);
  });

  it("are the same for stacks with other names and keys, and not for other customisation", () => {
    const other = documentsOf("vexlab-dev", "AAAADEV");
    expect(other).not.toEqual(documents);
    expect(splitDocuments(other, "vexfs").neutral).toEqual(neutral);
    const more = documentsOf("vexlab-ci", "AAAACI", `${userData}timezone: Europe/Berlin\n`);
    expect(splitDocuments(more, "vexfs").neutral.userData).not.toBe(neutral.userData);
  });

  it.each([
    ["no user", { userData: "#cloud-config\nhostname: a\n" }],
    ["no such user", { userData: "#cloud-config\nhostname: a\nusers: [default, {name: b}]\n" }],
    ["users that are no list", { userData: "#cloud-config\nusers: default\n" }],
    ["nothing", { userData: "" }],
    ["no meta-data", { metaData: "" }],
    ["a number for an instance", { metaData: "instance-id: 1\n" }],
  ])("are refused with %s", (_, wrong) => {
    expect(() => splitDocuments({ ...documents, ...wrong }, "vexfs")).toThrow(
      "the cloud-init disk names no user vexfs, instance or host name",
    );
  });
});
