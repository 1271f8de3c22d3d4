import { gunzipSync } from "node:zlib";
import { parse } from "yaml";
import { describe, expect, test } from "vitest";
import { ConfigurationError } from "../../../../lab/config/errors.ts";
import { cloudInitDocuments, type CloudInitSettings } from "../../../../lab/guest/cloudInit.ts";
import { readGuestFiles } from "../../../../lab/guest/guestFiles.ts";
import { readUserData } from "../../../../lab/guest/userData.ts";

const settings: CloudInitSettings = {
  user: "vexfs",
  publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKey vexlab dev",
  hostname: "vexlab-dev",
  shareMode: "readonly",
  files: [{ path: "/usr/local/bin/vt", permissions: "0755", content: "#!/bin/sh\necho vt\n" }],
};

const with_ = (userData: string): CloudInitSettings => ({ ...settings, userData });
const config = (userData: string): Record<string, unknown> =>
  parse(cloudInitDocuments(with_(userData)).userData, { version: "1.1" }) as Record<
    string,
    unknown
  >;

function faultsOf(userData: string): string[] {
  try {
    cloudInitDocuments(with_(userData));
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults.map(({ key }) => key);
    throw error;
  }
  return [];
}

describe("the documents", () => {
  test("user-data", () => {
    expect(cloudInitDocuments(settings).userData).toMatchSnapshot();
  });

  test("meta-data and network-config", () => {
    const { metaData, networkConfig } = cloudInitDocuments(settings);
    expect(metaData).toMatchSnapshot();
    expect(networkConfig).toMatchSnapshot();
  });

  test("a writable share is mounted with a cache that linkers can write through", () => {
    const { userData } = cloudInitDocuments({ ...settings, shareMode: "readwrite" });
    expect(userData).toContain("msize=262144,rw,cache=mmap,nofail 0 0");
    expect(cloudInitDocuments(settings).userData).toContain("ro,cache=none,nofail 0 0");
  });

  test("another document is another instance; the same is the same", () => {
    const id = (other: Partial<CloudInitSettings>): string =>
      cloudInitDocuments({ ...settings, ...other }).metaData;
    expect(id({})).toBe(id({}));
    expect(id({ publicKey: "ssh-ed25519 other" })).not.toBe(id({}));
    expect(id({ hostname: "vexlab-test" })).not.toBe(id({}));
  });

  test("the shell's variables survive systemd's own replacement", () => {
    const bootcmd = config("#cloud-config\n")["bootcmd"] as string[][];
    const script = bootcmd[1]?.at(-1) ?? "";
    expect(script).toContain('"$$@"');
    expect(script.replaceAll("$$", "")).not.toContain("$");
  });

  test("all files of the guest folder are there, and every program is executable", async () => {
    const files = await readGuestFiles();
    const { userData } = cloudInitDocuments({ ...settings, files });
    const { write_files: written } = parse(userData, { version: "1.1" }) as {
      write_files: { encoding: string; content: string; path: string; permissions: string }[];
    };
    const unpacked = written.map(({ encoding, content, ...file }) => {
      expect(encoding).toBe("gz+b64");
      return { ...file, content: gunzipSync(Buffer.from(content, "base64")).toString() };
    });
    expect(unpacked).toEqual(files);
    for (const { path, permissions, content } of files) {
      expect(permissions).toBe(path.includes("/bin/") ? "0755" : "0644");
      expect(content.startsWith("#!")).toBe(path.includes("/bin/"));
    }
  });
});

describe("the user's own cloud-config", () => {
  test("lists are appended, mappings merged, other values replace ours", () => {
    const merged = config(`#cloud-config
packages: [ripgrep]
package_update: true
runcmd:
  - echo mine
growpart:
  mode: off
users:
  - name: guest
timezone: Europe/Berlin
`);
    expect(merged["packages"]).toEqual(["ripgrep"]);
    expect(merged["package_update"]).toBe(true);
    expect(merged["runcmd"]).toEqual([
      ["install", "-d", "-o", "vexfs", "-g", "vexfs", "/var/lib/vexlab"],
      [
        ...["sh", "-c"],
        "mkdir -p /etc/systemd/system/multi-user.target.wants && ln -sf /etc/systemd/system/vexlab-agent.service /etc/systemd/system/multi-user.target.wants/",
      ],
      ["systemctl", "start", "--no-block", "vexlab-agent"],
      "echo mine",
    ]);
    expect(merged["growpart"]).toEqual({ mode: false, devices: ["/"] });
    expect((merged["users"] as { name: string }[]).map(({ name }) => name)).toEqual([
      "vexfs",
      "guest",
    ]);
    expect(merged["timezone"]).toBe("Europe/Berlin");
  });

  test("is read as cloud-init reads it: YAML 1.1", () => {
    const text =
      "#cloud-config\nwrite_files:\n  - {path: /etc/x, permissions: 0600, append: yes}\n";
    const files = config(text)["write_files"] as unknown[];
    expect(files.at(-1)).toEqual({ path: "/etc/x", permissions: 0o600, append: true });
  });

  test("every mistake is named at once", () => {
    expect(
      faultsOf(`#cloud-config
ssh_pwauth: true
power_state: {mode: poweroff}
runcmd: reboot
growpart: 3
users: [{name: vexfs}]
write_files: [{path: /usr/local/bin/vt}]
`),
    ).toEqual([
      "vexlab:userData: ssh_pwauth",
      "vexlab:userData: power_state",
      "vexlab:userData: growpart",
      "vexlab:userData: runcmd",
      "vexlab:userData: users",
      "vexlab:userData: write_files",
    ]);
  });

  test.each([
    ["no header", "packages: [x]\n"],
    ["a script", "#!/bin/sh\necho\n"],
    ["bad YAML", "#cloud-config\na: [1\n"],
    ["two keys of one name", "#cloud-config\na: 1\na: 2\n"],
    ["a list", "#cloud-config\n- a\n"],
    ["nothing at all", ""],
  ])("%s is a mistake", (_what, text) => {
    expect(faultsOf(text)).toEqual(["vexlab:userData"]);
  });

  test("may be empty", () => {
    expect(cloudInitDocuments(with_("#cloud-config\n"))).toEqual(cloudInitDocuments(settings));
  });

  test("is given inline or as a file", async () => {
    expect(await readUserData("#cloud-config\n{}\n", "/")).toBe("#cloud-config\n{}\n");
    expect(await readUserData("package.json", process.cwd())).toContain('"vexlab"');
    await expect(readUserData("no/such/file", process.cwd())).rejects.toThrow(ConfigurationError);
  });
});
