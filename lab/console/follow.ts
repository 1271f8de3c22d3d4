import { open, stat, type FileHandle } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";

/** Polled, because inotify does not tell of changes by another host on a network file system. */
const pollMs = 100;
const chunkBytes = 64 * 1024;

export type ConsoleEvent =
  | { readonly kind: "text"; readonly text: string }
  /** The file was begun anew: QEMU truncates it at each start. Text before it is about an earlier start. */
  | { readonly kind: "truncated" };

/**
 * Follows a console file from its first byte, or from another one. The file may not exist yet and may be truncated or
 * replaced. Ends when the signal aborts, having given what the file held then; it never ends by itself.
 */
export async function* followConsole(
  file: string,
  signal: AbortSignal,
  from = 0,
): AsyncGenerator<ConsoleEvent, void> {
  let handle: FileHandle | undefined;
  let position = from;
  let decoder = new StringDecoder("utf8");
  const buffer = Buffer.alloc(chunkBytes);
  try {
    for (;;) {
      const stopping = signal.aborted;
      const found = await statIfAny(file);
      const own = handle === undefined ? undefined : await handle.stat();
      if (own !== undefined && (own.size < position || found?.ino !== own.ino)) {
        await handle?.close();
        handle = undefined;
        // Gone and not yet there again counts as begun anew too.
        position = 0;
        decoder = new StringDecoder("utf8");
        yield { kind: "truncated" };
      }
      handle ??= found === undefined ? undefined : await openIfAny(file);
      for (;;) {
        const bytesRead =
          handle === undefined
            ? 0
            : (await handle.read(buffer, 0, buffer.length, position)).bytesRead;
        if (bytesRead === 0) break;
        position += bytesRead;
        const text = decoder.write(buffer.subarray(0, bytesRead));
        if (text !== "") yield { kind: "text", text };
      }
      if (stopping) return;
      await sleep(pollMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await handle?.close();
  }
}

async function statIfAny(file: string): Promise<{ ino: number } | undefined> {
  try {
    return await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function openIfAny(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
