import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BootProgress } from "../../../../lab/console/bootProgress.ts";

const whole = readFileSync(
  new URL("../../../fixtures/console/whole-boot.log", import.meta.url),
  "utf8",
);

const expected = [
  "kernel",
  "initrd",
  "root file system",
  "systemd",
  "cloud-init init-local",
  "cloud-init init",
  "ssh",
  "cloud-init config",
  "cloud-init final",
];

const milestones = (progress: BootProgress, text: string): string[] =>
  progress
    .push(text)
    .flatMap((event) =>
      event.kind === "milestone"
        ? [event.milestone]
        : event.kind === "restarted"
          ? ["restarted"]
          : [],
    );

test("a real boot passes its milestones in order, each once", () => {
  const progress = new BootProgress();
  expect(milestones(progress, whole).sort()).toEqual([...expected].sort());
  expect(progress.latest).toBe("ssh");
});

test("wherever the text is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length), { maxLength: 20 }), (cuts) => {
      const progress = new BootProgress();
      let from = 0;
      const found: string[] = [];
      for (const to of [...cuts.sort((a, b) => a - b), whole.length]) {
        found.push(...milestones(progress, whole.slice(from, to)));
        from = to;
      }
      expect(found.sort()).toEqual([...expected].sort());
    }),
    { numRuns: 30 },
  );
});

test("a second boot on the same console begins anew", () => {
  const progress = new BootProgress();
  milestones(progress, whole);
  expect(milestones(progress, whole).slice(0, 3)).toEqual(["restarted", "kernel", "initrd"]);
});
