/**
 * libvirt's word that a guest's kernel has panicked, which the guest itself tells by its panic device
 * (pvpanic): at once, and also when nobody can read its console.
 */
import { createInterface } from "node:readline";
import { execa } from "execa";

/** Calls back once when the domain has crashed. The returned function ends the watch. */
export function watchForCrash(uri: string, domain: string, crashed: () => void): () => void {
  // virsh keeps lines back when it does not write to a terminal.
  const argv = ["-oL", "virsh", "--quiet", "--connect", uri, "event", "--loop"];
  const words = ["--domain", domain, "--event", "lifecycle"];
  const watch = execa("stdbuf", [...argv, ...words], {
    ...{ env: { LC_ALL: "C" }, stdin: "ignore", stderr: "ignore", buffer: false, reject: false },
  });
  // What can't be watched is not told; the run has other ways to find out.
  void watch.catch(() => undefined);
  let told = false;
  createInterface(watch.stdout).on("line", (line) => {
    if (told || !/^event 'lifecycle' for domain .*: Crashed\b/.test(line)) return;
    told = true;
    crashed();
  });
  return () => {
    told = true;
    // Node's kill of a program that never started goes to a process number that was never set: 0, the
    // whole group of this one, at times.
    if (watch.pid !== undefined) watch.kill();
  };
}
