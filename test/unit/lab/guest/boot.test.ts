import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import { booted, type BootEdges } from "../../../../lab/guest/boot.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-boot-"));
});
afterEach(() => rm(folder, { recursive: true }));

const running: BootEdges = {
  reset: () => Promise.resolve(),
  whenNotRunning: (_uri, _domain, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) resolve(undefined);
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    }),
};

test.each([0, 100])("is stopped after %i ms with a reason, which is no deadline", async (ms) => {
  const consoleFile = join(folder, "console.log");
  await writeFile(consoleFile, "[    0.000000] Linux version 6.1.0\n");
  const stop = new AbortController();
  const cancelled = new LabError("cancelled", ExitCode.cancelled);
  if (ms === 0) stop.abort(cancelled);
  else setTimeout(() => stop.abort(cancelled), ms);
  const request = { consoleFile, domain: "d", libvirtUri: "test:///default", deadlineMs: 60_000 };
  await expect(booted(request, silentProgress, stop, running)).rejects.toBe(cancelled);
});
