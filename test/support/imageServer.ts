/**
 * An HTTPS server on 127.0.0.1 that serves files as image hosts do, or as they should not: slowly, cut
 * off, with wrong lengths, redirected, changed. Its authority is made here.
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { execa } from "execa";

/** How a file is served; alone `content` means: rightly, with ranges and a strong ETag. */
export interface Served {
  readonly content: Buffer | string;
  /** Answers so many requests with this behaviour, then as `later` says; all when undefined. */
  readonly times?: number;
  /** Rightly when undefined. */
  readonly later?: Omit<Served, "content">;
  readonly status?: number;
  readonly location?: string;
  /** Ends the connection after so many bytes of the body. */
  readonly cutAfter?: number;
  /** Sends nothing more after so many bytes, and keeps the connection open. */
  readonly stallAfter?: number;
  /** Says nothing at all. */
  readonly silent?: boolean;
  /** What Content-Length says; null: nothing (chunked). */
  readonly length?: number | null;
  /** What Content-Range says. */
  readonly range?: string;
  readonly etag?: string | null;
  /** Answers requests for a part with the whole. */
  readonly ignoresRanges?: boolean;
  /** Milliseconds between pieces of 16 KiB. */
  readonly pauseMs?: number;
}

export interface Asked {
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

export interface ImageServer {
  readonly url: string;
  /** The authority's certificate, as PEM and as a file for NODE_EXTRA_CA_CERTS. */
  readonly authority: string;
  readonly authorityFile: string;
  /** By path, such as `/image.qcow2`. */
  readonly files: Map<string, Served>;
  /** What has been asked, in order. */
  readonly asked: Asked[];
  close(): Promise<void>;
}

/** Starts a server. @param folder for the authority's and the server's keys */
export async function startImageServer(folder: string): Promise<ImageServer> {
  const { key, cert, authorityFile } = await makeAuthority(folder);
  const files = new Map<string, Served>();
  const asked: Asked[] = [];
  const server = createServer({ key, cert }, (request, response) => {
    const path = request.url ?? "/";
    const { range, "if-range": ifRange } = request.headers;
    asked.push({ path, range, ifRange: Array.isArray(ifRange) ? ifRange[0] : ifRange });
    const served = files.get(path);
    if (served === undefined) {
      response.writeHead(404).end("no such file");
      return;
    }
    if (served.times !== undefined) {
      const { content, later = {} } = served;
      const next =
        served.times > 1 ? { ...served, times: served.times - 1 } : { content, ...later };
      files.set(path, next);
    }
    void answer(served, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    authority: await readFile(authorityFile, "utf8"),
    authorityFile,
    files,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function answer(
  served: Served,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (served.silent === true) return;
  const content = typeof served.content === "string" ? Buffer.from(served.content) : served.content;
  const etag = served.etag === undefined ? `"${tagOf(content)}"` : served.etag;
  const headers: Record<string, string | number> = { ...(etag === null ? {} : { etag }) };
  if (served.location !== undefined) headers["location"] = served.location;
  if (served.status !== undefined) {
    response.writeHead(served.status, headers).end();
    return;
  }
  const { range, "if-range": ifRange } = request.headers;
  const first = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? Number.NaN);
  const same = ifRange === undefined || ifRange === etag;
  const isPart = !Number.isNaN(first) && same && served.ignoresRanges !== true;
  if (isPart && first >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const body = isPart ? content.subarray(first) : content;
  if (isPart)
    headers["content-range"] =
      served.range ?? `bytes ${first}-${content.length - 1}/${content.length}`;
  if (served.length !== null) headers["content-length"] = served.length ?? body.length;
  response.writeHead(isPart ? 206 : 200, headers);
  const stop = Math.min(served.cutAfter ?? Infinity, served.stallAfter ?? Infinity, body.length);
  const size = 16 * 1024;
  for (let at = 0; at < stop; at += size) {
    const piece = body.subarray(at, Math.min(at + size, stop));
    await new Promise<void>((resolve) => response.write(piece, () => resolve()));
    if (served.pauseMs !== undefined)
      await new Promise((resolve) => setTimeout(resolve, served.pauseMs));
    if (response.destroyed) return;
  }
  if (served.stallAfter !== undefined) return;
  if (served.cutAfter !== undefined || (served.length ?? 0) > body.length)
    response.socket?.destroy();
  else response.end();
}

const tags = new WeakMap<Buffer, string>();

/** Of a large file only once. */
function tagOf(content: Buffer): string {
  const known =
    tags.get(content) ?? createHash("sha256").update(content).digest("hex").slice(0, 16);
  tags.set(content, known);
  return known;
}

async function makeAuthority(
  folder: string,
): Promise<{ key: string; cert: string; authorityFile: string }> {
  const file = (name: string): string => join(folder, name);
  const openssl = (...argv: string[]): Promise<unknown> =>
    execa("openssl", argv, { stdin: "ignore", timeout: 20_000 });
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    ...["req", "-x509", ...ec, "-keyout", file("ca.key"), "-out", file("ca.pem")],
    ...["-days", "2", "-subj", "/CN=an authority of the tests"],
  );
  await openssl(
    ...["req", ...ec, "-keyout", file("server.key"), "-out", file("server.csr")],
    ...["-subj", "/CN=127.0.0.1"],
  );
  await writeFile(file("server.ext"), "subjectAltName=IP:127.0.0.1\n");
  await openssl(
    ...["x509", "-req", "-in", file("server.csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key")],
    ...[
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      file("server.ext"),
      "-out",
      file("server.pem"),
    ],
  );
  return {
    key: await readFile(file("server.key"), "utf8"),
    cert: await readFile(file("server.pem"), "utf8"),
    authorityFile: file("ca.pem"),
  };
}
