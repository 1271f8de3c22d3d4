/** Several commands to QEMU's monitor at once, with a virsh of the test's own on PATH. */
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { monitorEach } from "../../../../lab/hypervisor/monitor.ts";

let folder: string;
const path = process.env["PATH"];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-monitor-"));
  process.env["PATH"] = `${folder}:${path ?? ""}`;
});
afterEach(async () => {
  process.env["PATH"] = path;
  await rm(folder, { recursive: true });
});

/** A virsh that notes its last argument and answers these lines. */
async function answers(...lines: string[]): Promise<void> {
  const file = join(folder, "virsh");
  const script = `#!/bin/sh
for line; do :; done
printf '%s' "$line" >${folder}/asked
cat <<'END'
${lines.join("\n")}
END
`;
  await writeFile(file, script);
  await chmod(file, 0o755);
}

test("each command gets its own answer, and virsh reads the words as they were", async () => {
  await answers('{"return":{}}', "", '{"return":{"status":"completed"}}', "");
  const uri = `unix:/tmp/it's "odd"; $HOME`;
  const commands = [["migrate-incoming", { uri }], ["query-migrate"]] as const;
  expect(await monitorEach("test:///", "dev", commands)).toEqual([{}, { status: "completed" }]);
  // virsh takes a line apart as a shell does.
  const asked = await readFile(join(folder, "asked"), "utf8");
  const print = `qemu-monitor-command() { printf '%s\\n' "$@"; }\n${asked}`;
  const { stdout } = await execa("bash", ["-c", print]);
  expect(stdout.split("\n")).toEqual([
    ...["--domain", "dev", "--cmd"],
    JSON.stringify({ execute: "migrate-incoming", arguments: { uri } }),
    ...["--domain", "dev", "--cmd", '{"execute":"query-migrate","arguments":{}}'],
  ]);
});

test("the first refusal is told in QEMU's words", async () => {
  await answers('{"return":{}}', '{"error":{"desc":"not now"}}');
  await expect(monitorEach("test:///", "dev", [["stop"], ["cont"]])).rejects.toThrow(
    "QEMU refused cont for dev: not now",
  );
});

test("a missing answer is no success", async () => {
  await answers('{"return":{}}');
  await expect(monitorEach("test:///", "dev", [["stop"], ["cont"]])).rejects.toThrow(
    "QEMU refused cont for dev: it gave no answer",
  );
});
