import type { FileHandle } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import { openIfAny, statIfAny } from "./consoleFile.ts";

/** Polled, because inotify does not tell of changes by another host on a network file system. */
const pollMs = 100;
const chunkBytes = 64 * 1024;

export type ConsoleEvent =
  | { readonly kind: "text"; readonly text: string }
  /** The file was begun anew: at each start of the guest, and when it was full. */
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
        // One that was full was written to its end before it got another name.
        if (own.size > position && handle !== undefined)
          yield* textOf(handle, position, decoder, buffer);
        await handle?.close();
        handle = undefined;
        // Gone and not yet there again counts as begun anew too.
        position = 0;
        decoder = new StringDecoder("utf8");
        yield { kind: "truncated" };
      }
      handle ??= found === undefined ? undefined : await openIfAny(file);
      if (handle !== undefined) position = yield* textOf(handle, position, decoder, buffer);
      if (stopping) return;
      await sleep(pollMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await handle?.close();
  }
}

/** What a file holds from a position on. @returns where it ended */
async function* textOf(
  handle: FileHandle,
  from: number,
  decoder: StringDecoder,
  buffer: Buffer,
): AsyncGenerator<ConsoleEvent, number> {
  for (let position = from; ;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return position;
    position += bytesRead;
    const text = decoder.write(buffer.subarray(0, bytesRead));
    if (text !== "") yield { kind: "text", text };
  }
}
