import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ExitCode } from "../../../../lab/config/errors.ts";
import { chooseAccelerator, tryAccelerator } from "../../../../lab/hypervisor/accelerator.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vexlab-accelerator-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function fakeQemu(script: string): string {
  const file = join(folder, "qemu");
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

test("guest code really runs under TCG", async () => {
  expect(await tryAccelerator("tcg")).toBeUndefined();
});

test("an accelerator that hangs does not work, and is known in time", async () => {
  const started = Date.now();
  const why = await tryAccelerator("kvm", fakeQemu("exec sleep 60"), 300);
  expect(why).toContain("did not finish");
  expect(Date.now() - started).toBeLessThan(3_000);
});

test("a wrapper whose QEMU hangs is not waited for either", async () => {
  const started = Date.now();
  const why = await tryAccelerator("kvm", fakeQemu("sleep 5; echo too late >&2"), 300);
  expect(why).toContain("did not finish");
  expect(Date.now() - started).toBeLessThan(3_000);
});

test("without any QEMU that works there is no accelerator", async () => {
  fakeQemu("echo 'broken' >&2; exit 1");
  renameSync(join(folder, "qemu"), join(folder, "qemu-system-x86_64"));
  vi.stubEnv("PATH", `${folder}:${process.env["PATH"] ?? ""}`);
  await expect(chooseAccelerator("auto", folder)).rejects.toMatchObject({
    exitCode: ExitCode.infrastructureFailed,
    message: "qemu-system-x86_64 does not work on this host: broken",
  });
  vi.unstubAllEnvs();
  // Nothing of it is remembered.
  expect(existsSync(join(folder, "accelerator.json"))).toBe(false);
});

test("an accelerator that aborts does not work, for QEMU's reason", async () => {
  const qemu = fakeQemu("echo 'failed to initialize kvm: No such device' >&2; exit 1");
  expect(await tryAccelerator("kvm", qemu)).toBe("failed to initialize kvm: No such device");
});

test("a QEMU that ends well without having run guest code does not count", async () => {
  expect(await tryAccelerator("kvm", fakeQemu("exit 0"))).toBeDefined();
});

test("TCG is not probed when it is configured", async () => {
  expect(await chooseAccelerator("tcg", folder)).toEqual({ accelerator: "tcg", why: "configured" });
});
