/** A signing key of a test's own, made by gpg(1) in a folder of its own. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

export interface TestKey {
  /** Binary, as gpgv reads it. */
  readonly keyring: string;
  /** A detached signature. */
  sign(text: string): Promise<Buffer>;
  /** Ends gpg's agent. */
  close(): Promise<void>;
}

/** @param folder short: gpg's agent has a socket in it (unix(7): 107 bytes) */
export async function testKey(folder: string, { expired = false } = {}): Promise<TestKey> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keyring = join(folder, "keyring.gpg");
  // The hour: gpg signs with no key that is younger than its own clock, which starts anew each time.
  const at = (hour: string): string[] =>
    expired ? ["--faked-system-time", `20200101T${hour}0000`] : [];
  const gpg = (argv: readonly string[], input = ""): Promise<Buffer> =>
    execa("gpg", ["--homedir", folder, "--batch", "--quiet", ...argv], {
      input,
      encoding: "buffer",
      // A signature may end with the byte of a newline.
      stripFinalNewline: false,
      timeout: 30_000,
    }).then(({ stdout }) => Buffer.from(stdout));
  const user = "A key of the tests <tests@vexlab.invalid>";
  const until = expired ? "2d" : "0";
  const making = ["--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", until];
  await gpg([...at("00"), ...making]);
  await gpg([...at("12"), "--output", keyring, "--export"]);
  return {
    keyring,
    sign: (text) => gpg([...at("12"), "--detach-sign", "--output", "-"], text),
    close: async () => {
      await execa("gpgconf", ["--homedir", folder, "--kill", "all"], { timeout: 10_000 });
    },
  };
}
