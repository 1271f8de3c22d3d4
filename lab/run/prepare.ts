/** Making the guest ready for a run: the right kernel, an empty place, the built tree in it. */
import type { Guest, RunLog } from "./guest.ts";
import { smallCommandMs } from "./kernelLog.ts";
import { remoteRuns, testDisk, type RunPlan } from "./plan.ts";

/** Milliseconds for copying the built tree. */
const uploadMs = 5 * 60_000;

/**
 * Copies the built tree to the plan's folder; trees of earlier runs go.
 * @param fresh there are none
 * @throws GuestError when the guest does not answer or its disk is full.
 */
export async function uploadTree(
  guest: Guest,
  plan: RunPlan,
  fresh: boolean,
  signal?: AbortSignal,
): Promise<void> {
  // What a killed suite left mounted in an old tree is not deleted through.
  const script = `
mkdir -p "$1"
find "$1" -mindepth 1 -maxdepth 1 -exec rm -rf --one-file-system -- {} +
install -d -o "$SUDO_USER" "$2"`;
  if (!fresh)
    await guest.run(["sudo", "-n", "sh", "-c", script, "sh", remoteRuns, plan.remoteFolder], {
      deadlineMs: uploadMs,
      ...(signal && { signal }),
    });
  await guest.uploadFolder(plan.localFolder, plan.remoteFolder, {
    deadlineMs: uploadMs,
    ...(signal && { signal }),
  });
}

/**
 * Unmounts what a suite that was killed left mounted, which would keep its module in use: mounts of
 * the module's file system type and those of the test disk.
 */
export async function releaseMounts(guest: Guest, plan: RunPlan, log: RunLog): Promise<void> {
  const script = `
[ -z "$2" ] || umount -a -t "$2"
disk=$(readlink -f "$1") && while umount "$disk" 2>/dev/null; do :; done
exit 0`;
  const { stderr } = await guest.run(
    ["sudo", "-n", "sh", "-c", script, "sh", testDisk, plan.filesystemType ?? ""],
    { deadlineMs: smallCommandMs },
  );
  if (stderr.trim() !== "") log.write(stderr.trim());
}
