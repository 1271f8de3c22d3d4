import { readFileSync } from "node:fs";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import type { Guest } from "../../../../lab/run/guest.ts";
import { KernelWatch, parseKernelState } from "../../../../lab/run/kernelLog.ts";

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

describe("a checkpoint of the kernel", () => {
  const marker = "<12>[    2.5] vexlab: run-1 2: after suite first\n";
  const text = `6.1.0-test\n4737\nhello videodev \n<6>[    1.0] hello: loaded\n<6>[    1.1] more\n${marker}`;
  const titles = (crashes: readonly { readonly title: string }[]): string[] =>
    crashes.map(({ title }) => title);

  it("gives taint, modules and the new lines", () => {
    const { crashes, ...state } = parseKernelState(text, 4096 + 512);
    expect(state).toEqual({
      release: "6.1.0-test",
      time: 2.5,
      taint: 4737,
      modules: new Set(["hello", "videodev"]),
      lines: ["[    1.0] hello: loaded", "[    1.1] more"],
    });
    expect(titles(crashes)).toEqual([
      "the kernel became tainted, D: the kernel died recently, by an oops or BUG",
    ]);
  });

  it("takes nothing for a crash that was there before", () => {
    expect(titles(parseKernelState(text, 128).crashes)).toEqual(
      // 4737 is 4096 + 512 + 128 + 1.
      ["the kernel became tainted, W: the kernel issued a warning"],
    );
    expect(parseKernelState("6.1\n640\n\n<1>[ 1.0] BUG: old\n", undefined).crashes).toEqual([]);
  });

  it("needs no flag for what a report explains", () => {
    const oops = "6.1\n640\n\n<1>[ 1.0] BUG: unable to handle page fault for address: 1\n";
    expect(titles(parseKernelState(oops, 0).crashes)).toEqual(["page fault"]);
  });

  it("takes no words of a program for the kernel's", () => {
    const written = "6.1\n0\n\n<12>[ 1.0] BUG: unable to handle page fault\nBUG: its second line\n";
    expect(parseKernelState(written, 0).crashes).toEqual([]);
  });

  it("of a guest that answers nonsense has no modules and no lines", () => {
    expect(parseKernelState("", 0)).toEqual({
      release: "",
      taint: 0,
      modules: new Set(),
      lines: [],
      crashes: [],
    });
  });
});
