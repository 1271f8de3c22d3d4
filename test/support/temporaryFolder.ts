/** All temporary files of a test run are in one folder, which goes with it. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Before the workers of the run start, which inherit the variable; vitest calls what is returned at the end. */
export default async function setUp(): Promise<() => Promise<void>> {
  // A short name: sockets are in it (unix(7)).
  const folder = await mkdtemp(join(tmpdir(), "vl-"));
  // Some tests are about who may read a folder; what they make in this one is closed by itself.
  await chmod(folder, 0o755);
  process.env["TMPDIR"] = folder;
  return () => rm(folder, { recursive: true, force: true });
}
