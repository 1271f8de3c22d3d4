/**
 * A disk image with a boot loader, as distributions publish them: downloaded from a server that cuts
 * connections, checked by a signature, booted by BIOS and by UEFI, a module built and tested in it.
 * Nothing of vexlab's is in the image.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { imageFolder } from "../../lab/image/cache.ts";
import { startImageServer, type ImageServer } from "../support/imageServer.ts";
import { testKey, type TestKey } from "../support/testKey.ts";
import { builderPackages, makeBootImage } from "./support/bootImage.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

const stack = "ci";
const made = new Set<string>();

let folder: string;
let server: ImageServer;
let key: TestKey;
let checkout: Checkout;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-cloud-"));
  key = await testKey(join(folder, "key"));
  server = await startImageServer(folder);
  const raw = await makeBootImage(folder, builderPackages);
  const disk = join(folder, "cloud.qcow2");
  await execa("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, disk]);
  const content = await readFile(disk);
  const sums = `${createHash("sha256").update(content).digest("hex")} *cloud.qcow2\n`;
  server.files.set("/cloud.qcow2", { content, cutAfter: 100 * 2 ** 20, times: 1 });
  server.files.set("/SHA256SUMS", { content: sums });
  server.files.set("/SHA256SUMS.gpg", { content: await key.sign(sums) });
  checkout = await Checkout.make("/tmp", { NODE_EXTRA_CA_CERTS: server.authorityFile });
  await checkout.configure(stack, {
    ...{ image: `${server.url}/cloud.qcow2`, imageKeyring: key.keyring },
    ...{ sshPort: 2981, source: "bench/hello" },
  });
});

afterAll(async () => {
  await checkout.vexlab(["destroy", stack]);
  await checkout.remove();
  await server.close();
  await key.close();
  for (const id of made) await rm(imageFolder(id), { recursive: true, force: true });
  await rm(folder, { recursive: true });
});

describe("a downloaded image", () => {
  test("boots by BIOS, and a module is built and tested in its guest", async () => {
    const { all } = expectExit(await checkout.vexlab(["up", stack]), 0);
    expect(all).toMatch(/checked by: SHA256SUMS signed by/);
    expect(all).toMatch(/cut off[^]*goes on at/);
    expect(all).toMatch(/build hello in the guest/);
    // Its guest can be saved, though nothing was baked into the image.
    expect(all).toMatch(/start from the warm image/);
    expect(all).not.toMatch(/no warm start|NOT VERIFIED/);
    const { imageId, verdict, kernelRelease } = await checkout.outputs(stack);
    made.add(String(imageId));
    expect(verdict).toBe("passed");
    const { stdout } = await checkout.ssh(stack, "uname -r; ls /sys/firmware; cat /proc/cmdline");
    const [release, ...rest] = stdout.split("\n");
    expect(release).toBe(kernelRelease);
    expect(rest).not.toContain("efi");
    expect(rest.at(-1)).toMatch(/^BOOT_IMAGE=/);
  });

  test("boots by UEFI, without another download", async () => {
    const before = server.asked.length;
    await checkout.configure(stack, { firmware: "uefi" });
    expectExit(await checkout.vexlab(["up", stack]), 0);
    expect(server.asked.length).toBe(before);
    expect((await checkout.outputs(stack))["verdict"]).toBe("passed");
    const { stdout } = await checkout.ssh(stack, "ls /sys/firmware");
    expect(stdout.split("\n")).toContain("efi");
    expect(await checkout.planned(stack)).toEqual({});
  });
});

describe("what is not as it was signed", () => {
  test("is not booted", async () => {
    const served = server.files.get("/cloud.qcow2");
    if (served === undefined) throw new Error("it is not served");
    const content = Buffer.from(served.content);
    content.writeUInt8(content.readUInt8(content.length - 1) ^ 1, content.length - 1);
    server.files.set("/other/cloud.qcow2", { content });
    for (const name of ["SHA256SUMS", "SHA256SUMS.gpg"]) {
      const list = server.files.get(`/${name}`);
      if (list !== undefined) server.files.set(`/other/${name}`, list);
    }
    await checkout.configure(stack, { image: `${server.url}/other/cloud.qcow2` });
    const { all } = expectExit(await checkout.vexlab(["up", stack]), 3);
    expect(all).toMatch(/its content is not what it should be: sha256:\w+ instead of sha256:/);
  });

  test("is refused at preview when nothing checks it, and named when that is allowed", async () => {
    await checkout.configure(stack, { imageKeyring: undefined });
    const { all } = expectExit(await checkout.vexlab(["preview", stack]), 2);
    expect(all).toMatch(/vexlab:imageDigest: .*needs a digest to be checked by/);
    await checkout.configure(stack, { allowUnverified: "true" });
    const allowed = expectExit(await checkout.vexlab(["preview", stack]), 0);
    expect(allowed.all).toMatch(/cloud\.qcow2 is NOT VERIFIED: vexlab:allowUnverified is set/);
  });
});
