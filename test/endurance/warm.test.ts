/**
 * Hours of use in one run: resets and up/destroy cycles, with a look at the host for what they leave.
 * Not part of `npm test`: `npm run endurance`, with VEXLAB_RESETS and VEXLAB_CYCLES for other numbers.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Checkout, expectExit } from "../e2e/support/checkout.ts";
import { hostUse } from "./hostUse.ts";

const resets = Number(process.env["VEXLAB_RESETS"] ?? 200);
const cycles = Number(process.env["VEXLAB_CYCLES"] ?? 30);
const resetMs = 60_000;
const cycleMs = 6 * 60_000;

/** MiB that may come and go without being a leak. */
const slack = { daemon: 16, disk: 8 };

let checkout: Checkout;
let ssh: string[];

beforeAll(async () => {
  checkout = await Checkout.make();
  await checkout.quickSuites();
  await checkout.configure("ci", { sshPort: 2987 });
  expectExit(await checkout.vexlab(["up", "ci"]), 0);
  ssh = String((await checkout.outputs("ci"))["sshCommand"]).split(" ");
});

afterAll(async () => {
  await checkout.vexlab(["destroy", "ci"]);
  await checkout.remove();
});

/*
 * What a user does with a fresh guest; and a trace that the next one must not find. The module is one
 * of the distribution's: 9p shares are read-only, and the example's own is not in them.
 */
const smoke = `set -eu
test ! -e /root/trace
test "$(cat /proc/sys/kernel/tainted)" = 0
! grep -q ^dummy /proc/modules
test -f /mnt/vexfs-src/vexlab.yaml
disk=/dev/disk/by-id/virtio-vexlab-test
test "$(head -c 4096 $disk | tr -d '\\0' | wc -c)" = 0
modprobe dummy
mkfs.ext4 -q $disk
mount $disk /mnt
echo trace > /mnt/trace
cp /mnt/trace /root/trace
sync
`;

test(`${resets} resets leave nothing behind`, { timeout: resets * resetMs }, async () => {
  const seconds: number[] = [];
  const round = async (): Promise<void> => {
    const reset = expectExit(await checkout.vexlab(["reset", "ci"]), 0);
    expect(reset.all).toContain("start from the warm image: done");
    seconds.push(reset.seconds);
    const quoted = `sudo sh -c '${smoke.replaceAll("'", "'\\''")}'`;
    expectExit(await checkout.run([...ssh, "-o", "BatchMode=yes", quoted], resetMs), 0);
  };
  // The first ones fill caches.
  for (let number = 0; number < 5; number++) await round();
  const before = await hostUse(checkout);
  for (let number = 0; number < resets; number++) {
    await round();
    if (number % 20 === 19) console.log(`${number + 1} resets`);
  }
  const after = await hostUse(checkout);
  console.log(JSON.stringify({ resets, median: median(seconds), before, after }));
  expect(after.guests).toBe(1);
  expect(after.daemonFiles).toBeLessThanOrEqual(before.daemonFiles + 2);
  expect(after.files).toBeLessThanOrEqual(before.files + 2);
  expect(after.daemonMemory).toBeLessThan(before.daemonMemory + slack.daemon);
  expect(after.disk).toBeLessThan(before.disk + slack.disk);
});

test(`${cycles} times up and destroy, warm and cold`, { timeout: cycles * cycleMs }, async () => {
  expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
  let before: Awaited<ReturnType<typeof hostUse>> | undefined;
  for (let number = 0; number < cycles; number++) {
    const warm = number % 3 === 2 ? "off" : "auto";
    await checkout.configure("ci", { warm });
    const up = expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(up.all.includes("start from the warm image: done")).toBe(warm === "auto");
    expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
    const use = await hostUse(checkout);
    expect(use.guests).toBe(0);
    before ??= use;
    console.log(`cycle ${number + 1}: ${warm}, ${Math.round(up.seconds)} s`);
    if (number < cycles - 1) continue;
    console.log(JSON.stringify({ cycles, before, after: use }));
    expect(use.disk).toBeLessThan(before.disk + slack.disk);
  }
});

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
