import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, connect, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ExitCode, LabError } from "../../../../../lab/config/errors.ts";
import type { Digest } from "../../../../../lab/config/digest.ts";
import {
  download,
  usualDeadlines,
  withoutSecret,
  type Download,
  type DownloadContext,
} from "../../../../../lab/image/download/download.ts";
import {
  startImageServer,
  type ImageServer,
  type Served,
} from "../../../../support/imageServer.ts";

const content = randomBytes(300 * 1024);
const digest: Digest = {
  algorithm: "sha256",
  hex: createHash("sha256").update(content).digest("hex"),
};
const deadlines = { ...usualDeadlines, stallSeconds: 5, pauseSeconds: 0.02, totalSeconds: 8 };
/** For servers that say nothing; a busy host may be that slow itself. */
const impatient = { ...deadlines, stallSeconds: 0.4 };

let server: ImageServer;
let keys: string;
let folder: string;
let lines: string[];

beforeAll(async () => {
  keys = await mkdtemp(join(tmpdir(), "vexlab-keys-"));
  server = await startImageServer(keys);
}, 30_000);
afterAll(async () => {
  await server.close();
  await rm(keys, { recursive: true });
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-download-"));
  lines = [];
  server.files.clear();
  server.asked.length = 0;
});
afterEach(() => rm(folder, { recursive: true }));

const file = (): string => join(folder, "image");
const context = (more: Partial<DownloadContext> = {}): DownloadContext => ({
  progress: {
    step: () => ({ done: () => undefined, failed: () => undefined }),
    line: (text) => void lines.push(text),
  },
  deadlines,
  environment: {},
  authorities: server.authority,
  ...more,
});
const asked = (more: Partial<Download> = {}): Download => ({
  what: "image test",
  urls: [`${server.url}/image`],
  file: file(),
  digest,
  maxBytes: 2 ** 20,
  ...more,
});
const serve = (served: Omit<Served, "content">, path = "/image"): void =>
  void server.files.set(path, { content, ...served });

/** What a download ends with that must not succeed; no file has its name then. */
async function failure(more: Partial<Download> = {}, on: Partial<DownloadContext> = {}) {
  const error: unknown = await download(asked(more), context(on)).catch(
    (thrown: unknown) => thrown,
  );
  expect(existsSync(file())).toBe(false);
  expect(error).toBeInstanceOf(LabError);
  return error as LabError;
}
async function succeeds(more: Partial<Download> = {}): Promise<string> {
  const from = await download(asked(more), context());
  expect((await readFile(file())).equals(content)).toBe(true);
  expect(await readdir(folder)).toEqual(["image"]);
  return from;
}

describe("a download", () => {
  it("gives the file its name when it is whole and right", async () => {
    serve({});
    expect(await succeeds()).toBe(`${server.url}/image`);
  });

  it("of a server that says no length is whole when it ends", async () => {
    serve({ length: null });
    await succeeds();
  });

  it("goes on from where the connection was cut, asking for the same version", async () => {
    serve({ cutAfter: 100_000, times: 2 });
    await succeeds();
    expect(server.asked).toHaveLength(3);
    const [first, second] = server.asked;
    expect(first?.range).toBeUndefined();
    expect(second?.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(second?.ifRange).toMatch(/^"[0-9a-f]{16}"$/);
    expect(lines.join("\n")).toMatch(/cut off[^]*goes on at/);
  });

  it("goes on in a later process", async () => {
    serve({ stallAfter: 200_000 });
    const { exitCode, next } = await failure({}, { signal: AbortSignal.timeout(300) });
    expect([exitCode, next]).toEqual([ExitCode.cancelled, undefined]);
    expect(await readdir(folder)).toEqual(["image.partial", "image.partial.json"]);
    server.asked.length = 0;
    serve({});
    await succeeds();
    expect(server.asked.map(({ range }) => range)).toEqual([expect.stringMatching(/^bytes=/)]);
  });

  it("that only lacks its name asks for nothing", async () => {
    await writeFile(`${file()}.partial`, content);
    const note = { url: "https://elsewhere.invalid/image", total: content.length };
    await writeFile(`${file()}.partial.json`, JSON.stringify(note));
    await succeeds();
    expect(server.asked).toEqual([]);
  });

  it("begins anew when the file has changed on the server", async () => {
    await writeFile(`${file()}.partial`, Buffer.alloc(1000));
    const note = { url: `${server.url}/image`, validator: '"old"', total: content.length };
    await writeFile(`${file()}.partial.json`, JSON.stringify(note));
    serve({});
    await succeeds();
    expect(server.asked).toMatchObject([{ range: "bytes=1000-", ifRange: '"old"' }]);
  });

  it("begins anew when what was there is of another file, though it looks the same", async () => {
    await writeFile(`${file()}.partial`, Buffer.alloc(1000));
    const note = { url: "https://elsewhere.invalid/image", total: content.length };
    await writeFile(`${file()}.partial.json`, JSON.stringify(note));
    serve({});
    await succeeds();
    expect(server.asked.map(({ range }) => range)).toEqual(["bytes=1000-", undefined]);
    expect(lines.join("\n")).toMatch(/not what it should be.*from the beginning again/);
  });

  it.each([
    ["a server that knows no ranges", { ignoresRanges: true }],
    ["one without tags", { etag: null }],
    ["one with weak tags", { etag: 'W/"1"' }],
  ])("is made whole from %s", async (_, how) => {
    serve({ ...how, cutAfter: 100_000, times: 1 });
    const right = { ...how, content };
    const first = server.files.get("/image");
    if (first !== undefined) server.files.set("/image", first);
    setTimeout(() => server.files.set("/image", right), 10);
    await succeeds();
  });

  it.each([
    ["of another place", "bytes 5-9/10"],
    ["of another size", `bytes 1000-${content.length}/${content.length + 1}`],
    ["that is none", "everything"],
  ])("does not take a rest %s", async (_, range) => {
    await writeFile(`${file()}.partial`, content.subarray(0, 1000));
    const note = { url: `${server.url}/image`, validator: etag(), total: content.length };
    await writeFile(`${file()}.partial.json`, JSON.stringify(note));
    serve({ range, times: 1 });
    await succeeds();
    expect(lines.join("\n")).toMatch(/request for the rest (has the range|is of a file)/);
  });

  it("without a digest never goes on from what was cut off", async () => {
    serve({ cutAfter: 100_000, times: 1 });
    await succeeds({ digest: undefined });
    expect(server.asked.map(({ range }) => range)).toEqual([undefined, undefined]);
  });

  it("without a digest leaves nothing behind when it fails", async () => {
    serve({ cutAfter: 100_000 });
    await failure({ digest: undefined });
    expect(await readdir(folder)).toEqual([]);
    expect(server.asked).toHaveLength(3);
  });
});

describe("what is refused:", () => {
  it("a file with other content, of which nothing is left", async () => {
    server.files.set("/image", { content: Buffer.alloc(content.length) });
    expect((await failure()).message).toMatch(
      /not what it should be: sha256:\w+ instead of sha256:/,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it("a file that is longer than allowed, before it is downloaded", async () => {
    serve({});
    expect((await failure({ maxBytes: 1000 })).message).toMatch(
      /has 307200 bytes, allowed are 1000/,
    );
  });

  it("a file without a length that goes on and on", async () => {
    serve({ length: null });
    expect((await failure({ maxBytes: 100_000 })).message).toMatch(/goes on after 100000 bytes/);
  });

  it("a file that is shorter than the server said", async () => {
    const [has, said] = [content.length, content.length + 10];
    serve({ length: said });
    // The end of what was sent may be lost with the connection; then the rest is asked for, and the
    // answer to that says another size.
    const truth = `cut off|ended after|no more than is here|of ${has} bytes instead of ${said}`;
    expect((await failure()).message).toMatch(new RegExp(truth));
  });

  it("a file that is longer than the server said", async () => {
    serve({ length: content.length - 10 });
    await failure();
  });

  it("a server that sends nothing more", async () => {
    serve({ stallAfter: 0 });
    const { message } = await failure({}, { deadlines: impatient });
    expect(message).toMatch(/nothing came in 0.4 s/);
  });

  it("a server that sends too little", async () => {
    serve({ pauseMs: 300 });
    const slow = { ...impatient, leastBytes: 100_000 };
    expect((await failure({ digest: undefined }, { deadlines: slow })).message).toMatch(
      /no more than \d+ bytes came/,
    );
  });

  it("a server that does not answer", async () => {
    serve({ silent: true });
    const { message } = await failure({}, { deadlines: impatient });
    expect(message).toMatch(/nothing came in|no answer/);
  });

  it("waiting for ever: the whole has a deadline", async () => {
    serve({ pauseMs: 100 });
    const short = { ...deadlines, totalSeconds: 0.5 };
    const error = await failure({}, { deadlines: short });
    expect(error.exitCode).toBe(ExitCode.hung);
    expect(error.next).toMatch(/goes on from there/);
  });

  it("redirects without end, to http, or to nowhere", async () => {
    serve({ status: 302, location: "/image" });
    expect((await failure()).message).toMatch(/redirected more than 5 times/);
    serve({ status: 301, location: "http://127.0.0.1/image" });
    expect((await failure()).message).toMatch(/leads to http:.*not https/);
    serve({ status: 307, location: "https://[" });
    expect((await failure()).message).toMatch(/redirected to no address/);
  });

  it("a server whose certificate nobody vouches for", async () => {
    serve({});
    const { message } = await failure({}, { authorities: undefined });
    expect(message).toMatch(/certificate can't be trusted.*NODE_EXTRA_CA_CERTS/);
    expect(server.asked).toEqual([]);
  });
});

describe("several addresses", () => {
  const urls = (...names: string[]): string[] => names.map((name) => `${server.url}/${name}`);

  it("are tried in turn, and of each it is told why it was left", async () => {
    serve({ status: 503 }, "/busy");
    serve({});
    const from = await succeeds({
      urls: ["https://127.0.0.1:1/image", ...urls("missing", "busy", "image")],
    });
    expect(from).toBe(`${server.url}/image`);
    expect(lines.join("\n")).toMatch(
      /:1\/image: it refuses.*\n.*missing: .*404\n(.*busy: .*503\n?){3}$/,
    );
    // What will not pass is not tried again.
    expect(server.asked.filter(({ path }) => path === "/missing")).toHaveLength(1);
  });

  it("complete one another", async () => {
    serve({ cutAfter: 100_000, times: 1, later: { status: 404 } }, "/one");
    serve({}, "/other");
    await succeeds({ urls: urls("one", "other") });
    expect(server.asked.at(-1)).toMatchObject({
      path: "/other",
      range: expect.any(String) as string,
    });
    expect(server.asked.at(-1)?.ifRange).toBeUndefined();
  });

  it("are all named when none gives the file", async () => {
    server.files.set("/bad", { content: "something else" });
    const { message, exitCode } = await failure({ urls: urls("missing", "bad") });
    expect(exitCode).toBe(ExitCode.infrastructureFailed);
    expect(message).toMatch(/\/missing: .*404\n.*\/bad: its content is not what it should be/);
  });

  it("are followed through a redirect, the rest too", async () => {
    serve({ status: 302, location: "/image" }, "/moved");
    serve({ cutAfter: 100_000, times: 1 });
    await succeeds({ urls: urls("moved") });
  });

  it("are told without passwords", () => {
    expect(withoutSecret("https://me:secret@host/x?token=1")).toBe("https://host/x");
  });
});

describe("a proxy", () => {
  let proxy: Server;
  let through: string[];
  beforeEach(async () => {
    through = [];
    proxy = createServer((socket) => {
      socket.once("data", (head) => {
        const [, host = "", port] = /^CONNECT ([^:]+):(\d+)/.exec(head.toString()) ?? [];
        through.push(`${host}:${port ?? ""}`);
        const onward = connect(Number(port), host, () => {
          socket.write("HTTP/1.1 200 OK\r\n\r\n");
          socket.pipe(onward).pipe(socket);
        });
        onward.on("error", () => socket.destroy());
      });
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => new Promise((resolve) => proxy.close(resolve)));
  const address = (): string => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;

  it("is used when the environment names one", async () => {
    serve({});
    await download(asked(), context({ environment: { HTTPS_PROXY: address() } }));
    expect(through).toEqual([new URL(server.url).host]);
  });

  it("is not used for hosts that are excepted", async () => {
    serve({});
    const environment = { https_proxy: address(), no_proxy: "127.0.0.1" };
    await download(asked(), context({ environment }));
    expect(through).toEqual([]);
  });

  it("that is no address is an error of configuration", async () => {
    const { exitCode, message } = await failure({}, { environment: { HTTPS_PROXY: "::" } });
    expect([exitCode, message]).toEqual([ExitCode.usage, expect.stringContaining("HTTPS_PROXY")]);
  });
});

const etag = (): string => `"${createHash("sha256").update(content).digest("hex").slice(0, 16)}"`;
