/** Resuming a saved state, with a virsh of the test's own on PATH that listens where QEMU would. */
import { chmod, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadState } from "../../../../lab/hypervisor/savedState.ts";

let folder: string;
const path = process.env["PATH"];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-state-"));
  process.env["PATH"] = `${folder}:${path ?? ""}`;
});
afterEach(async () => {
  process.env["PATH"] = path;
  await rm(folder, { recursive: true });
});

/**
 * A QEMU that hangs up once it has read so many bytes.
 * @param verdict what query-migrate says from then on
 */
async function qemu(bytes: number, verdict: string): Promise<void> {
  await writeFile(
    join(folder, "incoming.mjs"),
    `import { createServer } from "node:net";
import { writeFileSync } from "node:fs";
let read = 0;
const server = createServer((socket) => {
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => {
    read += chunk.length;
    if (read < ${bytes}) return;
    writeFileSync("${join(folder, "verdict")}", '${verdict}');
    socket.destroy();
    server.close();
  });
// The socket is there before it takes connections.
}).listen(process.argv[2], () => writeFileSync("${join(folder, "listens")}", ""));
`,
  );
  const file = join(folder, "virsh");
  await writeFile(
    file,
    `#!/bin/sh
cd ${folder}
for line; do :; done
printf '%s\\n' "$line" | sed "s/'; '/\\n/g" | while IFS= read -r command; do
  request=\${command##*"' '"}; request=\${request%"'"}
  printf '%s\\n' "$request" >>calls
  case $request in
  *'"migrate-incoming"'*)
    socket=\${request##*unix:}; socket=\${socket%%\\"*}
    ${process.execPath} incoming.mjs "$socket" >/dev/null 2>&1 &
    until [ -e listens ]; do sleep 0.02; done
    echo '{"return":{}}' ;;
  *'"query-migrate"'*)
    if [ -s verdict ]; then cat verdict; else echo '{"return":{"status":"active"}}'; fi ;;
  *) echo '{"return":{}}' ;;
  esac
  echo
done
`,
  );
  await chmod(file, 0o755);
}

async function load(bytes: number): Promise<void> {
  const file = join(folder, "state");
  await writeFile(file, Buffer.alloc(bytes, 7));
  await loadState("test:///", "dev", file, folder);
}

const executed = async (): Promise<string[]> =>
  (await readFile(join(folder, "calls"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { execute: string }).execute);

describe("resuming", () => {
  test("a guest runs once QEMU has said that it took the state", async () => {
    await qemu(1_000_000, '{"return":{"status":"completed"}}');
    await load(1_000_000);
    const commands = await executed();
    expect(commands.slice(0, 2)).toEqual(["migrate-set-capabilities", "migrate-incoming"]);
    expect(commands.at(-1)).toBe("cont");
    expect(commands.at(-2)).toBe("query-migrate");
  });

  test("QEMU may hang up before everything was sent: its word counts", async () => {
    await qemu(100_000, '{"return":{"status":"completed"}}');
    await load(4_000_000);
    expect((await executed()).at(-1)).toBe("cont");
  });

  test("a state that QEMU refuses is told in its words", async () => {
    await qemu(1000, '{"return":{"status":"failed","error-desc":"Unknown savevm section"}}');
    await expect(load(1000)).rejects.toThrow("resuming dev failed: Unknown savevm section");
    expect((await readdir(folder)).filter((name) => name.startsWith("state-"))).toEqual([]);
  });
});
