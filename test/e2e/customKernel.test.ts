/**
 * `vexlab:kernelTree`: a guest boots the user's own kernel, and a module is built and tested for it. What
 * Debian has left of its 6.12 poses as the user's tree, over the image that has 6.1: to build a kernel
 * takes a quarter of an hour. (`npm run custom-kernels` does, with sanitizers.)
 */
import { appendFile } from "node:fs/promises";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { imageFolder } from "../../lab/image/cache.ts";
import { removeFolders } from "../../lab/image/namespace.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

/** Milliseconds for an image, a boot, a build and two suites, on two cores that are busy. */
const upMs = 30 * 60_000;

let checkout: Checkout;
let release = "";
let imageId = "";

beforeAll(async () => {
  checkout = await Checkout.make();
  await checkout.quickSuites();
  const build = ["image", "build", "--recipe", "debian-12", "--kernel", "6.12"];
  const { stdout } = expectExit(await checkout.vexlab(build), 0);
  const image = JSON.parse(stdout) as { sysroot: string; kernelRelease: string };
  release = image.kernelRelease;
  await execa(checkout.path("test/fixtures/kernel-tree/pose"), [
    image.sysroot,
    checkout.path("linux"),
  ]);
  await checkout.configure("ci", { sshPort: 2984 });
});

afterAll(async () => {
  await checkout.vexlab(["destroy", "ci"]);
  // Nobody will ever want an image of this tree again.
  if (imageId !== "") await removeFolders([imageFolder(imageId)]);
  await checkout.remove();
});

test("a tree that is not built is refused at preview, with what it lacks", async () => {
  await checkout.configure("ci", { kernelTree: "examples" });
  const { all } = expectExit(await checkout.vexlab(["preview", "ci"]), 2);
  expect(all).toContain("vexlab:kernelTree = examples: is no kernel tree: no .config in it");
});

test(
  "the guest boots the kernel of the tree, and the module is tested",
  { timeout: upMs },
  async () => {
    await checkout.configure("ci", { kernelTree: "linux" });
    const { all } = expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(all).toContain("image debian-12-tree: done");
    const outputs = await checkout.outputs("ci");
    imageId = String(outputs["imageId"]);
    expect(outputs).toMatchObject({ verdict: "passed", kernelRelease: release });
    const facts =
      "uname -r; ls /lib/modules; cat /etc/debian_version; ls /lib/modules/$(uname -r)/build/";
    const { stdout } = expectExit(await checkout.ssh("ci", facts), 0);
    expect(stdout).toContain(`${release}\n`);
    // The rest is the other image's, and a module can be built in the guest as well.
    expect(stdout).toContain("Module.symvers");
  },
);

test("afterwards nothing is to be done, until the tree is built anew", async () => {
  expect(await checkout.planned("ci")).toEqual({});
  const { stdout } = expectExit(await checkout.vexlab(["image", "list"]), 0);
  const images = JSON.parse(stdout) as { id: string; kernel?: string; usedBy: string[] }[];
  const ours = images.find(({ usedBy }) => usedBy.some((user) => user.includes(checkout.folder)));
  expect(ours).toMatchObject({ kernel: `tree ${checkout.path("linux")}` });
  await appendFile(
    checkout.path("linux/Module.symvers"),
    "0x0\tnothing\tvmlinux\tEXPORT_SYMBOL\t\n",
  );
  expect(await checkout.planned("ci")).toMatchObject({ "image-build": "replace" });
});
