/** A guest whose commands end when its kernel does. */
import { GuestError } from "../guest/session.ts";
import type { Guest } from "./guest.ts";

/**
 * The same guest; what is under way fails when the signal aborts. A dead kernel answers nothing and
 * kills no program, so waiting for either would take its whole deadline.
 */
export function mortalGuest(guest: Guest, died: AbortSignal): Guest {
  return {
    run: (argv, options) => untilDeath(died, () => guest.run(argv, options)),
    uploadFolder: (local, remote, options) =>
      untilDeath(died, () => guest.uploadFolder(local, remote, options)),
  };
}

async function untilDeath<T>(died: AbortSignal, work: () => Promise<T>): Promise<T> {
  const gone = (): GuestError => new GuestError("lost", "the guest's kernel has come to an end");
  if (died.aborted) throw gone();
  let die: () => void = () => undefined;
  const death = new Promise<never>((_, reject) => {
    die = () => reject(gone());
    died.addEventListener("abort", die, { once: true });
  });
  try {
    return await Promise.race([work(), death]);
  } finally {
    died.removeEventListener("abort", die);
  }
}
