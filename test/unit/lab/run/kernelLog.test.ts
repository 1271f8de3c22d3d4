import { readFileSync } from "node:fs";
import { execa } from "execa";
import { expect, it } from "vitest";
import type { Guest } from "../../../../lab/run/guest.ts";
import { KernelWatch } from "../../../../lab/run/kernelLog.ts";

it("reads all digits of the taint flags with the guest's shell", async () => {
  const file = "/proc/sys/kernel/pid_max";
  const guest: Pick<Guest, "run"> = {
    async run([, , ...argv]) {
      const [shell = "", ...words] = argv.map((word) =>
        word.replace("/proc/sys/kernel/tainted", file).replace("/dev/kmsg", "/dev/null"),
      );
      const { stdout } = await execa(shell, words);
      return { exitCode: 0, signal: null, stdout, stderr: "", milliseconds: 0 };
    },
  };
  const { state } = await KernelWatch.begin(guest as Guest, "run");
  expect(state.taint).toBe(Number(readFileSync(file, "utf8")));
});
