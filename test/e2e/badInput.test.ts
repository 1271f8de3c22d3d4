/** What users get wrong, and what they are told: early, all at once, with nothing lost. */
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Checkout, expectExit } from "./support/checkout.ts";

let checkout: Checkout;
let stackFile: string;

beforeAll(async () => {
  checkout = await Checkout.make();
  stackFile = await checkout.read("stacks/Pulumi.ci.yaml");
});

afterAll(() => checkout.remove());

/** Previews with these keys, and puts the stack's file back. */
async function previewWith(keys: Record<string, string | number>): Promise<string> {
  await checkout.configure("ci", keys);
  try {
    return expectExit(await checkout.vexlab(["preview", "ci"]), 2).all;
  } finally {
    await checkout.write("stacks/Pulumi.ci.yaml", stackFile);
  }
}

test("every mistake of a configuration is reported at preview, at once", async () => {
  const all = await previewWith({
    memory: "4",
    cpus: "many",
    sshPort: 80,
    diskSize: "20 parsecs",
    kernel: "2.6",
    share: "sometimes",
    accelerator: "warp",
    colour: "blue",
    source: "no/such/folder",
  });
  const keys = ["memory", "cpus", "sshPort", "diskSize", "kernel", "share", "accelerator"];
  for (const key of [...keys, "colour", "source"]) expect(all, key).toContain(`vexlab:${key}`);
  expect(all).toContain("9 mistakes");
  expect(existsSync(checkout.path(".vexlab/stacks/ci"))).toBe(false);
});

test("the seed's variables are checked under their own names", async () => {
  const other = await Checkout.make("/tmp", { VEXFS_VM_MEMORY: "8 gigs" });
  const { all } = expectExit(await other.vexlab(["preview", "ci"]), 2);
  expect(all).toContain("VEXFS_VM_MEMORY = 8 gigs");
  await other.remove();
});

describe("the manifest", () => {
  const manifest = "examples/vexfs/vexlab.yaml";

  test("an unknown key is named with what is allowed", async () => {
    const text = await checkout.read(manifest);
    await checkout.write(manifest, `${text}\nsuits: []\n`);
    const { all } = expectExit(await checkout.vexlab(["preview", "ci"]), 2);
    expect(all).toContain("suits");
    expect(all).toContain("suites");
    await checkout.write(manifest, text);
  });

  test("a source folder without one", async () => {
    expect(await previewWith({ source: "docs" })).toContain("vexlab.yaml");
  });
});

describe("a taken port", () => {
  let server: Server;
  afterAll(() => {
    server.close();
  });

  test("names its holder", async () => {
    server = createServer().listen(2998, "127.0.0.1");
    await once(server, "listening");
    const all = await previewWith({ sshPort: 2998 });
    expect(all).toContain(`taken by process ${process.pid}`);
  });
});

test("a stack's name that is none", async () => {
  const { all } = expectExit(await checkout.vexlab(["up", "../escape"]), 2);
  expect(all).toContain("is not a stack's name");
  // A mistyped one makes nothing.
  const mistyped = expectExit(await checkout.vexlab(["up", "deev"]), 2);
  expect(mistyped.all).toMatch(/there is no stack deev; there are: .*dev/);
});

test("a libvirt that is not there", async () => {
  // Pulumi waits for the build, which goes on meanwhile.
  await checkout.quickSuites();
  await checkout.configure("ci", { libvirtUri: "qemu+ssh://nobody@127.0.0.1:1/system" });
  const { exitCode, all, seconds } = await checkout.vexlab(["up", "ci"]);
  expect(exitCode, all).toBe(3);
  expect(seconds).toBeLessThan(60);
  await checkout.write("stacks/Pulumi.ci.yaml", stackFile);
  expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
});
