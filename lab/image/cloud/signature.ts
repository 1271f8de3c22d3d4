/**
 * Lists of sums that a distribution signs: checked by gpgv(1) against a keyring of ours or the user's.
 * What gpgv says on its status descriptor is described in GnuPG's doc/DETAILS.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { CloudImageCheck } from "../../config/cloudImages.ts";
import { ExitCode, LabError } from "../../config/errors.ts";

type Keyring = Extract<CloudImageCheck, { by: "signature" }>["keyring"];

const ownKeys = join(dirname(fileURLToPath(import.meta.url)), "../keys");
// Where Debian's and Ubuntu's keyring packages have them: newer than ours, perhaps.
const installedKeys = "/usr/share/keyrings";
const deadlineMs = 20_000;

/** The file of a keyring. */
export function keyringFile(keyring: Keyring, installed: string = installedKeys): string {
  if ("file" in keyring) return keyring.file;
  const packaged = join(installed, keyring.shipped);
  return existsSync(packaged) ? packaged : join(ownKeys, keyring.shipped);
}

/**
 * The text of a list of sums whose signature is right.
 * @param signature a detached signature, binary or armoured
 * @param keyring as gpgv reads it: binary
 * @throws LabError when no key of the keyring has signed it, the signature or the key has expired or
 * was revoked, or gpgv can't be run
 */
export async function signedText(
  file: string,
  signature: string,
  keyring: string,
): Promise<string> {
  const text = await readFile(file);
  const run = await execa(
    "gpgv",
    // From our own memory: what is checked is what is used.
    ["--homedir", dirname(file), "--keyring", keyring, "--status-fd", "1", signature, "-"],
    { input: text, timeout: deadlineMs, reject: false },
  );
  const next =
    "The list was changed, or signed with another key: do not use it. If the distribution has a new key, install its keyring package or name the keyring in vexlab:imageKeyring.";
  const failed = (problem: string): LabError =>
    new LabError(
      `the signature of the list of sums is not accepted (keyring ${keyring}): ${problem}`,
      ExitCode.infrastructureFailed,
      next,
    );
  if (run.exitCode === undefined)
    throw new LabError(
      `gpgv can't be run: ${run.shortMessage}`,
      ExitCode.infrastructureFailed,
      "Install it: apt-get install gpgv",
    );
  const said = run.stdout.split("\n").flatMap((line) => /^\[GNUPG:\] (\w+)/.exec(line)?.[1] ?? []);
  // Each signature gives one of GOODSIG, EXPSIG, EXPKEYSIG, REVKEYSIG, BADSIG and ERRSIG. A second one
  // by a key that we don't have takes nothing from the first.
  if (said.includes("GOODSIG") && said.includes("VALIDSIG") && !said.includes("BADSIG"))
    return text.toString("utf8");
  throw failed(problemOf(said) ?? run.stderr.trim().split("\n").slice(-2).join("; "));
}

function problemOf(said: readonly string[]): string | undefined {
  const problems: readonly (readonly [string, string])[] = [
    ["BADSIG", "it is wrong"],
    ["REVKEYSIG", "its key was revoked"],
    ["EXPKEYSIG", "its key has expired"],
    ["EXPSIG", "it has expired"],
    ["NO_PUBKEY", "it is by a key that is not in the keyring"],
  ];
  return problems.find(([word]) => said.includes(word))?.[1];
}
