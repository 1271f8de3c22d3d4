import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DownloadError, Network, sumInList } from "../../../toolchain/download.ts";

const deadlines = { connectSeconds: 1, stallSeconds: 1, totalSeconds: 20 };
const body = Buffer.alloc(300_000, "vexlab ");
const sum = createHash("sha256").update(body).digest("hex");

let folder: string;
let server: Server | undefined;
let requests = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-download-"));
  requests = 0;
});

afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

async function serve(listener: RequestListener): Promise<string> {
  const listening = createServer((request, response) => {
    requests += 1;
    listener(request, response);
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}/tool.tar.gz`;
}

async function fails(network: Network, address: string, expected?: string): Promise<string> {
  const error: unknown = await network
    .file(address, join(folder, "tool"), expected)
    .then(() => undefined)
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(DownloadError);
  expect(await readdir(folder)).toEqual([]);
  return (error as Error).message;
}

describe("a download", () => {
  it("gives the file its name and returns its sum", async () => {
    const address = await serve((_, response) => response.end(body));
    const file = join(folder, "deep", "tool");
    expect(await new Network(deadlines).file(address, file, sum)).toBe(sum);
    expect(await readFile(file)).toEqual(body);
    expect(await readdir(join(folder, "deep"))).toEqual(["tool"]);
  });

  it("follows a redirection", async () => {
    const address = await serve((request, response) => {
      if (request.url === "/moved") response.end(body);
      else response.writeHead(302, { location: "/moved" }).end();
    });
    expect(await new Network(deadlines).file(address, join(folder, "tool"), sum)).toBe(sum);
  });

  it("makes an empty file of an empty answer", async () => {
    const address = await serve((_, response) => response.end());
    await new Network(deadlines).file(address, join(folder, "tool"));
    expect(await readFile(join(folder, "tool"), "utf8")).toBe("");
  });

  it("leaves nothing after a 404, and says so", async () => {
    const address = await serve((_, response) => response.writeHead(404).end("no"));
    expect(await fails(new Network(deadlines), address)).toContain("404");
  });

  it("leaves nothing when the sum is another", async () => {
    const address = await serve((_, response) => response.end(body));
    const message = await fails(new Network(deadlines), address, "0".repeat(64));
    expect(message).toContain(sum);
  });

  it("leaves nothing when the connection is cut in the middle", async () => {
    const address = await serve((_, response) => {
      response.writeHead(200, { "content-length": body.length });
      response.write(body.subarray(0, 1000), () => response.destroy());
    });
    await fails(new Network(deadlines), address);
  });

  it.each([
    ["before the answer", false],
    ["in the middle", true],
  ])("ends when no data comes %s", { timeout: 20_000 }, async (_, answers) => {
    const address = await serve((_request, response) => {
      if (!answers) return;
      response.writeHead(200, { "content-length": body.length });
      response.write(body.subarray(0, 1000));
    });
    const began = performance.now();
    await fails(new Network(deadlines), address);
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  it("asks a host that refuses connections only once a run", async () => {
    const address = await serve((_, response) => response.end(body));
    server?.close();
    const network = new Network(deadlines);
    const first = await fails(network, address);
    expect(first).toContain("can't be reached");
    // From now on it would answer; the run doesn't ask again.
    const port = Number(new URL(address).port);
    const again = createServer((_, response) => {
      requests += 1;
      response.end(body);
    });
    server = again;
    await new Promise<void>((resolve) => again.listen(port, "127.0.0.1", resolve));
    expect(await fails(network, address)).toBe(first);
    expect(requests).toBe(0);
    expect(await new Network(deadlines).file(address, join(folder, "tool"))).toBe(sum);
  });

  it("goes on asking a host that answered with an error", async () => {
    const address = await serve((_, response) => response.writeHead(500).end());
    const network = new Network(deadlines);
    await fails(network, address);
    await fails(network, address);
    expect(requests).toBe(2);
  });
});

describe("reaching a host", () => {
  it("is content with any answer", async () => {
    const address = await serve((_, response) => response.writeHead(403).end());
    await new Network(deadlines).reach(address);
    expect(requests).toBe(1);
  });

  it("fails where nobody answers", async () => {
    const address = await serve((_, response) => response.end());
    server?.close();
    await expect(new Network(deadlines).reach(address)).rejects.toThrow(/can't be reached/);
  });
});

describe("a published list of sums", () => {
  const list = `${"a".repeat(64)}  other.tar.gz\n${"B".repeat(64)} *tool.tar.gz\r\n`;

  it("gives the sum of the named file", () => {
    expect(sumInList(list, "tool.tar.gz")).toBe("b".repeat(64));
  });

  it("gives nothing for a name that only resembles one", () => {
    expect(sumInList(list, "tool.tar")).toBeUndefined();
    expect(sumInList(list, "ther.tar.gz")).toBeUndefined();
  });
});
