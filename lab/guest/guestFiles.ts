import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { places } from "../config/places.ts";

/** A file that cloud-init writes into the guest. */
export interface GuestFile {
  /** Absolute path in the guest. */
  readonly path: string;
  /** Octal, as chmod takes it: `0755`. */
  readonly permissions: string;
  readonly content: string;
}

const program = (name: string) => ({
  source: `bin/${name}`,
  path: `/usr/local/bin/${name}`,
  permissions: "0755",
});
const library = (name: string) => ({
  source: `lib/vexlab_guest/${name}`,
  path: `/usr/local/lib/vexlab_guest/${name}`,
  permissions: "0644",
});

const files = [
  ...["vexlab-guest", "vt", "build-kernel", "build-vexctl", "vexlab-agent"].map(program),
  ...[
    "__init__.py",
    "agent.py",
    "build.py",
    "command.py",
    "dkms.sh",
    "failure.py",
    "files.py",
    "identity.py",
    "ktap.py",
    "manifest.py",
    "mount.py",
    "output.py",
    "process.py",
    "run.py",
    "selection.py",
    "session.py",
  ].map(library),
  {
    source: "vexlab-agent.service",
    path: "/etc/systemd/system/vexlab-agent.service",
    permissions: "0644",
  },
  { source: "profile.sh", path: "/etc/profile.d/vexlab.sh", permissions: "0644" },
];

/** What a guest needs that boots an image which vexlab didn't build; cloud-init runs it at each boot. */
export async function readKernelScript(checkout: string = places().checkout): Promise<GuestFile> {
  return {
    path: "/var/lib/cloud/scripts/per-boot/vexlab-kernel",
    permissions: "0755",
    content: await readFile(join(checkout, "guest", "prepare-kernel"), "utf8"),
  };
}

/** What the folder `guest/` of the checkout puts into each guest. */
export function readGuestFiles(checkout: string = places().checkout): Promise<GuestFile[]> {
  return Promise.all(
    files.map(async ({ source, path, permissions }) => ({
      path,
      permissions,
      content: await readFile(join(checkout, "guest", source), "utf8"),
    })),
  );
}
