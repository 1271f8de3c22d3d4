import { readFile } from "node:fs/promises";
import { createConnection } from "node:net";
import type { Client, ServerHostKeyAlgorithm } from "ssh2";
import { GuestError, type GuestFault } from "./guestError.ts";
import { fingerprint, pinnedHostKeys } from "./knownHosts.ts";
import type { ConnectOptions, GuestAddress } from "./session.ts";

/**
 * Notices a guest that has died under a running command. Generous, because an emulated guest under
 * a sanitizer kernel can be busy for a minute: eight unanswered questions, 15 s apart.
 */
const keepalive = { keepaliveInterval: 15_000, keepaliveCountMax: 8 };

/** ssh2, which most commands end without. */
export async function loadClient(): Promise<typeof import("ssh2")> {
  return (await import("ssh2")).default;
}

/**
 * An authenticated SSH connection, or a GuestError that says how far it came.
 */
export async function openConnection(
  address: GuestAddress,
  options: ConnectOptions,
): Promise<Client> {
  const where = `${address.host}:${address.port}`;
  const ssh2 = await loadClient();
  const privateKey = await readPrivateKey(address.privateKeyFile);
  const pinned = await pinnedHostKeys(address.knownHostsFile, address.host, address.port);
  if (pinned.length === 0) {
    throw new GuestError(
      "host-key-unknown",
      `no host key of the guest at ${where} is pinned in ${address.knownHostsFile}`,
      "Wait for the guest first: `vexlab vm wait` pins the key that the guest prints on its console.",
    );
  }

  return new Promise<Client>((resolve, reject) => {
    const client = new ssh2.Client();
    const socket = createConnection({ host: address.host, port: address.port });
    socket.setNoDelay(true);
    let presented: Buffer | undefined;
    let connected = false;
    let shaken = false;
    let settled = false;

    const finish = (error?: GuestError): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", abort);
      if (error === undefined) {
        resolve(client);
      } else {
        socket.destroy();
        reject(error);
      }
    };

    const seconds = options.deadlineMs / 1000;
    const timer = setTimeout(() => {
      if (!connected) {
        finish(new GuestError("deadline", `no TCP connection to ${where} within ${seconds} s`));
      } else if (socket.bytesRead === 0) {
        finish(noBanner(`for ${seconds} s`));
      } else {
        const phase = shaken ? "authentication" : "the key exchange";
        finish(
          new GuestError("deadline", `SSH to ${where}: ${phase} not finished within ${seconds} s`),
        );
      }
    }, options.deadlineMs);
    const abort = (): void =>
      finish(new GuestError("cancelled", `cancelled while connecting to ${where}`));

    const noBanner = (how: string): GuestError =>
      new GuestError(
        "no-banner",
        `${where} accepts connections, but no SSH server has answered ${how}: the port forward is up, the guest's sshd is not`,
        "Look at the guest's console.",
      );

    const failure = (error: Error & { level?: string; code?: string }): GuestError => {
      const because = (fault: GuestFault, text: string, next?: string): GuestError =>
        new GuestError(fault, text, next, { cause: error });
      if (presented !== undefined && !isPinned(presented)) {
        return because(
          "host-key-changed",
          `the guest at ${where} has another host key than the pinned one: it shows ${fingerprint(presented)}, pinned is ${pinnedFingerprints()}`,
          `Something else may listen on this port. If the guest really has new keys, remove ${address.knownHostsFile} and wait for the guest again.`,
        );
      }
      if (error.level === "client-authentication") {
        return because(
          "auth-refused",
          `the guest at ${where} refuses ${address.user} with the key ${address.privateKeyFile}`,
          "The guest knows the key that it was first booted with: make the guest anew if the key was replaced.",
        );
      }
      if (error.code === "ECONNREFUSED") {
        return because("refused", `nothing listens on ${where}`, "Is the guest running?");
      }
      if (socket.bytesRead === 0 && connected) {
        return noBanner(`before it closed the connection (${error.message})`);
      }
      return because("handshake", `SSH to ${where}: ${error.message}`);
    };

    const isPinned = (key: Buffer): boolean =>
      pinned.some(({ base64 }) => Buffer.from(base64, "base64").equals(key));
    const pinnedFingerprints = (): string =>
      pinned.map(({ base64 }) => fingerprint(Buffer.from(base64, "base64"))).join(", ");

    if (options.signal?.aborted === true) abort();
    options.signal?.addEventListener("abort", abort, { once: true });

    client.on("handshake", () => {
      shaken = true;
    });
    client.on("ready", () => finish());
    // The client stays in use after this promise is settled: later errors belong to its commands,
    // and an "error" event without a listener would end the process.
    client.on("error", (error) => finish(failure(error)));
    client.on("close", () => finish(failure(new Error("the connection was closed"))));

    socket.on("error", (error) => finish(failure(error)));
    socket.once("connect", () => {
      connected = true;
      if (settled) return;
      try {
        client.connect({
          sock: socket,
          username: address.user,
          privateKey,
          authHandler: ["publickey"],
          // Ask for the very kind of key that is pinned; another kind could not be compared.
          algorithms: {
            serverHostKey: [...new Set(pinned.map(({ type }) => type as ServerHostKeyAlgorithm))],
          },
          hostVerifier: (key: Buffer) => {
            presented = key;
            return isPinned(key);
          },
          // Our own timer covers everything from the first packet on.
          readyTimeout: 0,
          ...keepalive,
        });
      } catch (error) {
        // ssh2 parses the key here: a file that holds no key is found before anything is sent.
        const cause = error as Error;
        const message = `${address.privateKeyFile}: ${cause.message}`;
        finish(new GuestError("auth-refused", message, undefined, { cause }));
      }
    });
  });
}

async function readPrivateKey(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new GuestError(
      "auth-refused",
      `can't read the private key ${file}: ${(cause as Error).message}`,
      "Make it: `vexlab key create`.",
      { cause },
    );
  }
}
