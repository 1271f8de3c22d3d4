/** With the host's apt and a server of the test's own: what apt's words mean is the point. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { lastErrors, readSuites, type SuiteIndex } from "../../../../lab/image/archiveIndex.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";

const kernel = {
  suite: "bookworm",
  series: "6.1",
  release: "6.1.0-50-amd64",
  version: "6.1.176-1",
  image: "linux-image-6.1.0-50-amd64",
  headers: "linux-headers-6.1.0-50-amd64",
  compiler: "gcc-12",
  current: true,
};

/** The answer to each path; 404 for all others. */
let answers: Record<string, string>;
let asked: string[];
let server: Server;
let address: string;
let cache: string;

beforeEach(async () => {
  answers = {};
  asked = [];
  server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const body = answers[path];
    response.writeHead(body === undefined ? 404 : 200);
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`;
  vi.stubEnv("VEXLAB_MIRROR", address);
  vi.stubEnv("http_proxy", "");
  cache = await mkdtemp(join(tmpdir(), "vexlab-index-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await new Promise((resolve) => server.close(resolve));
  await rm(cache, { recursive: true });
});

async function readOne(more: { refresh?: boolean } = {}): Promise<SuiteIndex | undefined> {
  const suites = await readSuites(["bookworm", "bookworm-security"], {
    progress: silentProgress,
    cache,
    deadlineSeconds: 30,
    ...more,
  });
  // The security archive has no address here.
  expect(suites).toHaveLength(1);
  return suites[0];
}

/** What an earlier look-up has left. */
async function remember(hoursAgo: number, archive = address): Promise<Date> {
  const when = new Date(Date.now() - hoursAgo * 3_600_000);
  const kept = { archive, asked: when.toISOString(), gone: false, kernels: [kernel] };
  await mkdir(join(cache, "archive"), { recursive: true });
  await writeFile(join(cache, "archive", "bookworm.json"), JSON.stringify(kept));
  return when;
}

const slow = 30_000;

describe("readSuites", () => {
  it("does not ask for what it was told some hours ago", async () => {
    const when = await remember(5);
    expect(await readOne()).toEqual({
      suite: "bookworm",
      kernels: [kernel],
      gone: false,
      asked: when,
    });
    expect(asked).toEqual([]);
  });

  it("knows a suite that the archive does not have", { timeout: slow }, async () => {
    expect(await readOne()).toMatchObject({ gone: true, kernels: [] });
    expect(asked.length).toBeGreaterThan(0);
    asked = [];
    expect(await readOne()).toMatchObject({ gone: true, kernels: [] });
    expect(asked).toEqual([]);
  });

  it("takes nothing that is not signed", { timeout: slow }, async () => {
    answers = {
      "/debian/dists/bookworm/InRelease": "Codename: bookworm\nSuite: stable\n",
      "/debian/dists/bookworm/Release": "Codename: bookworm\nSuite: stable\n",
    };
    const found = await readOne();
    expect(found).toMatchObject({ kernels: [], gone: false });
    expect(found?.asked).toBeUndefined();
    expect(found?.problem).toMatch(/sign/i);
  });

  it("keeps to what it knows, and says so, where nobody answers", { timeout: slow }, async () => {
    const when = await remember(50);
    await new Promise((resolve) => server.close(resolve));
    const found = await readOne();
    expect(found).toMatchObject({ kernels: [kernel], asked: when });
    expect(found?.problem).toMatch(/connect/i);
    server = createServer().listen(0, "127.0.0.1");
  });

  it("asks another archive again, and when told to", { timeout: slow }, async () => {
    await remember(1, "http://other.test/debian");
    expect(await readOne()).toMatchObject({ gone: true });
    await remember(1);
    expect(await readOne({ refresh: true })).toMatchObject({ gone: true });
  });
});

it("lastErrors is what apt said was wrong, each once", () => {
  const output = "Get:1 x\nW: old list\nE: no way\nE: no way\nReading package lists...\n";
  expect(lastErrors(output)).toBe("old list; no way");
  expect(lastErrors("Killed\n")).toBe("Killed");
});
