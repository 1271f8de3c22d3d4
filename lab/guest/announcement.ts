/**
 * What a guest says about itself on its serial console, out of the network's reach: its SSH host
 * key as soon as it exists, and that cloud-init has finished.
 *
 *     VEXLAB-HOST-KEY ssh-ed25519 AAAA…
 *     VEXLAB-READY {"v1": {"datasource": …, "errors": []}}
 *
 * The text after VEXLAB-READY is cloud-init's /run/cloud-init/result.json on one line. A line can be
 * broken by a kernel message that is printed at the same time, so each is printed twice, the
 * key again at the end, and the reader takes the first whole one. A guest that was resumed, and has another
 * host key now, says the same by its agent (guest/lib/vexlab_guest/identity.py).
 */
import { parseHostKey, type HostKey } from "./knownHosts.ts";

const hostKeyWord = "VEXLAB-HOST-KEY";
const readyWord = "VEXLAB-READY";

/**
 * Runs in the guest at each boot. sshd starts after the stage of cloud-init that replaces the host
 * keys of a previous instance, and writes its number once it listens (sshd(8)); where it is started by a
 * socket, the key waits for the end. Polls, because a path unit would have to be loaded first, and looks
 * for files: each question to systemctl costs a tenth of a second of an emulated processor, and `cloud-init
 * status` seconds of interpreted Python. A cloud-init that was killed leaves no such file.
 */
export const announceScript = `\
say() {
  for _ in 1 2; do
    printf '\\n%s\\n' "$@" >/dev/ttyS0
    sleep 0.2
  done
}
key() { echo "${hostKeyWord} $(cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub)"; }
finished=/run/cloud-init/result.json
until [ -s /run/sshd.pid ] || [ -s $finished ]; do sleep 0.5; done
say "$(key)"
ended() {
  # prepare-kernel is about to reboot.
  [ ! -e /run/vexlab-rebooting ] || return
  systemctl -q is-active cloud-final.service || systemctl -q is-failed cloud-final.service
}
polls=0
until [ -s $finished ]; do
  sleep 0.5
  polls=$((polls + 1))
  if [ $((polls % 20)) = 0 ] && ended && sleep 3 && [ ! -s $finished ]; then
    say "$(key)" '${readyWord} {"v1": {"errors": ["cloud-init ended without a result"]}}'
    exit
  fi
done
say "$(key)" "${readyWord} $(tr -d '\\n' <$finished)"
`;

export type Announcement =
  | { readonly kind: "hostKey"; readonly key: HostKey }
  | { readonly kind: "ready"; readonly datasource: string; readonly errors: readonly string[] };

/** The announcement on a line of console text that has no control characters; undefined if none. */
export function parseAnnouncement(line: string): Announcement | undefined {
  const match = /\b(VEXLAB-[A-Z-]+) (.*)$/.exec(line);
  const rest = match?.[2] ?? "";
  if (match?.[1] === hostKeyWord) {
    const key = parseHostKey(rest);
    return key?.type === "ssh-ed25519" ? { kind: "hostKey", key } : undefined;
  }
  if (match?.[1] === readyWord) return parseReady(rest);
  return undefined;
}

function parseReady(json: string): Announcement | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return undefined;
  }
  const v1 = property(parsed, "v1");
  const errors = property(v1, "errors");
  const datasource = property(v1, "datasource");
  if (!Array.isArray(errors)) return undefined;
  return {
    kind: "ready",
    datasource: typeof datasource === "string" ? datasource : "none",
    errors: errors.map(String),
  };
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
