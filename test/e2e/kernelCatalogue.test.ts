/** Kernels by what Debian's archive has today: the list, the lock file, and what a preview says. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Checkout, expectExit } from "./support/checkout.ts";

/** Milliseconds for asking about all suites, on two cores that are busy. */
const askingMs = 5 * 60_000;
const lockFile = "stacks/kernels.lock.yaml";

let checkout: Checkout;

beforeAll(async () => {
  checkout = await Checkout.make();
});

afterAll(async () => {
  await checkout.remove();
});

interface Listed {
  readonly vexlabImage: string;
  readonly vexlabKernel: string;
  readonly release: string;
  readonly compiler: string;
}

test(
  "every image of Debian has a kernel of its own now, with headers",
  { timeout: askingMs },
  async () => {
    const { stdout } = expectExit(await checkout.vexlab(["kernels", "--json"]), 0);
    const { kernels } = JSON.parse(stdout) as { kernels: Listed[] };
    const own = kernels.filter(({ vexlabKernel }) => vexlabKernel === "distro");
    expect(own.map(({ vexlabImage, release }) => `${vexlabImage} ${release}`)).toEqual([
      expect.stringMatching(/^debian-11 5\.10\./),
      expect.stringMatching(/^debian-12 6\.1\./),
      expect.stringMatching(/^debian-13 6\.12\./),
      expect.stringMatching(/^debian-sid \d+\.\d+\./),
    ]);
    for (const { compiler } of kernels) expect(compiler).toMatch(/^gcc-\d+$/);
  },
);

test(
  "a preview names all that is wrong, and the kernels that there are",
  { timeout: askingMs },
  async () => {
    await checkout.configure("retired", { image: "debian-12", kernel: "4.19", sshPort: 80 });
    const { exitCode, all } = await checkout.vexlab(["preview", "retired"]);
    expect(exitCode).toBe(2);
    expect(all).toMatch(/vexlab:sshPort = 80/);
    expect(all).toMatch(/vexlab:kernel = 4\.19: the archive has no such kernel for debian-12 now/);
    expect(all).toMatch(/allowed: 6\.1 \(6\.1\.0-\d+-amd64\), 6\.12 \(6\.12\./);
    await checkout.run(["rm", checkout.path("stacks/Pulumi.retired.yaml")]);
  },
);

test("the lock file is written, kept to, and compared", { timeout: 2 * askingMs }, async () => {
  expectExit(await checkout.vexlab(["kernels", "lock", "--check"]), 1);
  expectExit(await checkout.vexlab(["kernels", "lock"]), 0);
  expectExit(await checkout.vexlab(["kernels", "lock", "--check"]), 0);
  const text = await checkout.read(lockFile);

  // A kernel that the archive never had, and a stack that the file does not know.
  await checkout.write(lockFile, text.replace(/(distro:\n +release: 6\.1\.0-)\d+/, "$19999"));
  const gone = await checkout.vexlab(["preview", "ci"]);
  expect(gone.exitCode).toBe(2);
  expect(gone.all).toMatch(/kernels\.lock\.yaml has 6\.1\.0-9999-amd64 .* does not have any more/);
  await checkout.configure("ci", { image: "debian-13", kernel: "6.12" });
  const missing = await checkout.vexlab(["preview", "ci"]);
  expect(missing.exitCode).toBe(2);
  expect(missing.all).toMatch(/vexlab:kernel = 6\.12: is not in stacks\/kernels\.lock\.yaml/);

  const check = expectExit(await checkout.vexlab(["kernels", "lock", "--check"]), 1);
  expect(check.stdout).toMatch(/^debian-12 distro: 6\.1\.0-9999-amd64 .* → 6\.1\.0-\d+-amd64/m);
});
