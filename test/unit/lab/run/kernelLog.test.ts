import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import type { Guest } from "../../../../lab/run/guest.ts";
import { KernelWatch, parseKernelState } from "../../../../lab/run/kernelLog.ts";

/** A guest whose commands this host runs, with other files in the place of some. */
function guestWith(files: Readonly<Record<string, string>>): Guest {
  const replaced = (word: string): string =>
    Object.entries(files).reduce((text, [from, to]) => text.replaceAll(from, to), word);
  const run: Guest["run"] = async ([, , ...argv]) => {
    const [shell = "", ...words] = argv.map(replaced);
    const { stdout } = await execa(shell, words);
    return { exitCode: 0, signal: null, stdout, stderr: "", milliseconds: 0 };
  };
  return { run, uploadFolder: () => Promise.resolve() };
}

const harmless = { "/dev/kmsg": "/dev/null", "/proc/sys/kernel/sysrq": "/dev/null" };

it("reads all digits of the taint flags with the guest's shell", async () => {
  const file = "/proc/sys/kernel/pid_max";
  const guest = guestWith({ ...harmless, "/proc/sys/kernel/tainted": file });
  const { state } = await KernelWatch.begin(guest, "run");
  expect(state.taint).toBe(Number(readFileSync(file, "utf8")));
});

it("makes an oops a panic when it is asked to, and leaves the setting alone otherwise", async () => {
  const folder = await mkdtemp(join(tmpdir(), "vexlab-kernel-"));
  try {
    const file = join(folder, "panic_on_oops");
    await writeFile(file, "0\n");
    const guest = guestWith({ ...harmless, "/proc/sys/kernel/panic_on_oops": file });
    await KernelWatch.begin(guest, "run");
    await KernelWatch.begin(guest, "run", { panicOnOops: false });
    expect(await readFile(file, "utf8")).toBe("0\n");
    await KernelWatch.begin(guest, "run", { panicOnOops: true });
    expect(await readFile(file, "utf8")).toBe("1\n");
  } finally {
    await rm(folder, { recursive: true });
  }
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
