import { expect, it } from "vitest";
import { buildMount } from "../../../../lab/build/steps.ts";
import { coreScript, type CoreFiles } from "../../../../lab/debug/coreScript.ts";

const files: CoreFiles = {
  kernel: "/r/memory-1.vmlinux",
  core: "/r/memory-1.core",
  tree: "/builds/tree",
  modules: new Map([["hello_fs", "/builds/tree/kernel/hello-fs.ko"]]),
};

it("opens the core with the kernel's symbols and finds the modules and their sources", () => {
  const lines = coreScript(files).split("\n");
  const order = [
    `set substitute-path ${buildMount} /builds/tree`,
    "symbol-file /r/memory-1.vmlinux",
    "core-file /r/memory-1.core",
    "python",
    'files = {"hello_fs": "/builds/tree/kernel/hello-fs.ko"}',
    "end",
  ].map((line) => lines.indexOf(line));
  expect(order).not.toContain(-1);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
});

it.each([
  ["a blank", "/my results/core"],
  ["a quote", '/"x"/core'],
  ["a line break", "/x\nshell rm"],
])("refuses a path with %s, which gdb would take for another command", (_, core) => {
  expect(() => coreScript({ ...files, core })).toThrow(RangeError);
});
