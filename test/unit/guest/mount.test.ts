/** Mounting as the agent does it: the options of fstab(5), and real mounts in a mount namespace. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { shareOptions } from "../../../lab/guest/cloudInit.ts";

const library = fileURLToPath(new URL("../../../guest/lib", import.meta.url));

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "vexlab-mount-"));
  await mkdir(join(root, "mnt/vexfs-src"), { recursive: true });
  await mkdir(join(root, "etc"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** What a script prints as JSON; `words` are its arguments. */
async function python(script: string, ...words: string[]): Promise<unknown> {
  const namespaces = ["--user", "--map-root-user", "--mount"];
  const argv = ["python3", "-B", "-c", `import json, sys\n${script}`, ...words];
  const env = { PYTHONPATH: library };
  const { stdout } = await execa("unshare", [...namespaces, ...argv], { env });
  return JSON.parse(stdout) as unknown;
}

const parsed = (options: string): Promise<unknown> =>
  python("from vexlab_guest.mount import parsed\nprint(json.dumps(parsed(sys.argv[1])))", options);

const mountShare = `\
from vexlab_guest.identity import Renewal
renewal = Renewal({"mount": json.loads(sys.argv[2])}, sys.argv[1])
for _ in range(2):
    renewal.attempt("mount the share", renewal.mount_share)
lines = [line.split() for line in open("/proc/self/mounts")]
mounted = [line[2:4] for line in lines if line[1].startswith(sys.argv[1])]
print(json.dumps({"problems": renewal.problems, "mounted": mounted}))
`;
const share = (mount: unknown): Promise<unknown> => python(mountShare, root, JSON.stringify(mount));

test.each([
  ["rw", [0, ""]],
  ["ro,nosuid,nodev,noexec", [15, ""]],
  ["ro,rw,noatime,atime,relatime", [1 << 21, ""]],
  ["defaults,nofail,_netdev,x-systemd.automount,comment=mine", [0, ""]],
  ["trans=virtio,ro,cache=none,x=y", [1, "trans=virtio,cache=none,x=y"]],
  [shareOptions("readonly"), [1, "trans=virtio,version=9p2000.L,msize=262144,cache=none"]],
  [shareOptions("readwrite"), [0, "trans=virtio,version=9p2000.L,msize=262144,cache=mmap"]],
])("the options %s", async (options, expected) => {
  expect(await parsed(options)).toEqual(expected);
});

test("by the line of fstab, and mounted already is well", async () => {
  const options = "ro,nosuid,nodev,noatime,size=64k,nofail,x-mine";
  await writeFile(
    join(root, "etc/fstab"),
    `# none /mnt/vexfs-src ext4 rw 0 0\nLABEL=root / ext4 rw 0 1\nnone /mnt/vexfs-src tmpfs ${options} 0 0\n`,
  );
  const { problems, mounted } = (await share("fstab")) as Record<string, unknown[]>;
  expect(problems).toEqual([]);
  expect(mounted).toEqual([
    ["tmpfs", expect.stringMatching(/^ro,nosuid,nodev,noatime,size=64k(,|$)/)],
  ]);
});

test("by a line that the host sends", async () => {
  const line = { source: "none", folder: "/mnt", type: "tmpfs", options: "rw,mode=700" };
  expect(await share(line)).toEqual({
    problems: [],
    mounted: [["tmpfs", expect.stringMatching(/^rw,.*mode=700/)]],
  });
});

test.each([
  ["no line", "fstab", "/etc/fstab has no line for /mnt/vexfs-src"],
  [
    "a file system that the kernel doesn't know",
    { source: "tag", folder: "/mnt", type: "no-such-type", options: "ro" },
    /No such device: 'tag on .*\/mnt'/,
  ],
  [
    "no folder",
    { source: "none", folder: "/nowhere", type: "tmpfs", options: "ro" },
    /No such file or directory: 'none on .*\/nowhere'/,
  ],
])("with %s it is a sentence", async (_, mount, reason) => {
  const { problems, mounted } = (await share(mount)) as { problems: string[]; mounted: unknown };
  expect(mounted).toEqual([]);
  expect(problems).toHaveLength(2);
  expect(problems[0]).toMatch(/^can't mount the share: /);
  expect(problems[0]).toMatch(reason);
});
