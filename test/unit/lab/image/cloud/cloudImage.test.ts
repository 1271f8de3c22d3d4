import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CloudImageCheck, CloudImageSource } from "../../../../../lab/config/cloudImages.ts";
import { LabError } from "../../../../../lab/config/errors.ts";
import {
  ensureCloudImage,
  withMirrors,
  type CloudImageOptions,
} from "../../../../../lab/image/cloud/cloudImage.ts";
import { keyringFile, signedText } from "../../../../../lab/image/cloud/signature.ts";
import { sourceHash } from "../../../../../lab/image/cloud/source.ts";
import { usualDeadlines } from "../../../../../lab/image/download/download.ts";
import { openImage, type Image } from "../../../../../lab/image/image.ts";
import { pruneImages } from "../../../../../lab/image/prune.ts";
import type { Progress } from "../../../../../lab/report/progress.ts";
import { startImageServer, type ImageServer } from "../../../../support/imageServer.ts";
import { testKey, type TestKey } from "../../../../support/testKey.ts";

const progress: Progress = {
  step: () => ({ done: () => undefined, failed: () => undefined }),
  line: () => undefined,
};

let folder: string;
let server: ImageServer;
let qcow2: Buffer;
let raw: Buffer;
let ours: TestKey;
let theirs: TestKey;
let cache: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-cloud-"));
  server = await startImageServer(folder);
  raw = Buffer.alloc(2 ** 20, 7);
  raw.writeUInt16BE(0x55aa, 510);
  await writeFile(join(folder, "disk.raw"), raw);
  const disk = join(folder, "disk.qcow2");
  await execa("qemu-img", ["convert", "-O", "qcow2", join(folder, "disk.raw"), disk]);
  qcow2 = await readFile(disk);
  ours = await testKey(join(folder, "ours"));
  theirs = await testKey(join(folder, "theirs"));
}, 60_000);
afterAll(async () => {
  await ours.close();
  await theirs.close();
  await server.close();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "vexlab-cache-"));
  server.files.clear();
  server.asked.length = 0;
});
afterEach(() => rm(cache, { recursive: true }));

const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
const byDigest = (content: Buffer): CloudImageCheck => ({
  by: "digest",
  digest: `sha256:${sha256(content)}`,
});
const at = (name: string, check: CloudImageCheck): CloudImageSource => ({
  urls: [`${server.url}/${name}`],
  check,
});
const ensure = (source: CloudImageSource, more: CloudImageOptions = {}): Promise<Image> => {
  const deadlines = { ...usualDeadlines, pauseSeconds: 0.01, stallSeconds: 1 };
  const context = { authorities: server.authority, environment: {}, deadlines };
  return ensureCloudImage(source, progress, { cache, context, ...more });
};
/** What it ends with that must not succeed; no image is there then. */
async function failure(source: CloudImageSource, more: CloudImageOptions = {}): Promise<string> {
  const error: unknown = await ensure(source, more).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LabError);
  expect(await readdir(join(cache, "images"))).toEqual([]);
  return (error as LabError).message;
}

describe("an image by its digest", () => {
  it("is what was downloaded, under a name made of its content", async () => {
    server.files.set("/disk.img", { content: qcow2 });
    const image = await ensure(at("disk.img", byDigest(qcow2)));
    expect((await readFile(image.rootDisk)).equals(qcow2)).toBe(true);
    expect(image.id).toMatch(new RegExp(`^image-[0-9a-f]{8}-${sha256(qcow2).slice(0, 12)}$`));
    expect(image.source).toEqual({
      url: `${server.url}/disk.img`,
      digest: `sha256:${sha256(qcow2)}`,
    });
    expect(image.kernel).toBeUndefined();
    expect(await openImage(image.id, cache)).toEqual(image);
    expect(await readdir(join(cache, "downloads"))).toEqual([]);
  });

  it("is downloaded once", async () => {
    server.files.set("/disk.img", { content: qcow2 });
    const first = await ensure(at("disk.img", byDigest(qcow2)));
    expect(await ensure(at("disk.img", byDigest(qcow2)))).toEqual(first);
    expect(server.asked).toHaveLength(1);
  });

  it("is converted when it is raw, and holds the same", async () => {
    server.files.set("/disk.raw", { content: raw });
    const { rootDisk } = await ensure(at("disk.raw", byDigest(raw)));
    const { stdout } = await execa("qemu-img", ["info", "--output=json", rootDisk]);
    expect(JSON.parse(stdout)).toMatchObject({ format: "qcow2", "virtual-size": 2 ** 20 });
    await execa("qemu-img", ["compare", rootDisk, join(folder, "disk.raw")]);
  });

  it("is not taken when it is another", async () => {
    server.files.set("/disk.img", { content: raw });
    expect(await failure(at("disk.img", byDigest(qcow2)))).toMatch(/not what it should be/);
  });

  it("is not taken when it is no disk, though the digest is right", async () => {
    const page = Buffer.from("<html>404</html>");
    server.files.set("/disk.img", { content: page });
    expect(await failure(at("disk.img", byDigest(page)))).toMatch(/web page/);
  });

  it("has to fit on the stack's disk", async () => {
    server.files.set("/disk.img", { content: qcow2 });
    const small = ensure(at("disk.img", byDigest(qcow2)), { diskMiB: 0 });
    await expect(small).rejects.toThrow(/has 1M, and vexlab:diskSize/);
  });

  it("is made anew when it is damaged in the cache", async () => {
    server.files.set("/disk.img", { content: qcow2 });
    const { rootDisk } = await ensure(at("disk.img", byDigest(qcow2)));
    await rm(rootDisk);
    expect(existsSync((await ensure(at("disk.img", byDigest(qcow2)))).rootDisk)).toBe(true);
  });

  it("is pruned when no stack uses it, with what was downloaded in part", async () => {
    server.files.set("/disk.img", { content: qcow2 });
    const { id } = await ensure(at("disk.img", byDigest(qcow2)));
    await mkdir(join(cache, "downloads", "image-12345678"));
    await writeFile(join(cache, "downloads", "image-12345678", "x.partial"), "x");
    const { removed } = await pruneImages(progress, { cache });
    expect(removed).toEqual(expect.arrayContaining([id]));
    expect(await readdir(join(cache, "downloads"))).toEqual([]);
  });
});

describe("an image of a file", () => {
  it("is a copy that was checked", async () => {
    const source = { urls: [`file://${folder}/disk.qcow2`], check: byDigest(qcow2) };
    const { rootDisk } = await ensure(source);
    expect((await readFile(rootDisk)).equals(qcow2)).toBe(true);
    expect(await failureOf(ensure({ ...source, check: byDigest(raw) }))).toMatch(
      /disk\.qcow2 is not what it should be/,
    );
  });

  it("that is not there is told", async () => {
    const source = { urls: ["file:///no/such/file"], check: byDigest(raw) };
    expect(await failure(source)).toMatch(/can't be read from \/no\/such\/file/);
  });

  it("that is not checked is another when it has changed", async () => {
    const file = join(cache, "own.raw");
    const source = { urls: [`file://${file}`], check: { by: "nothing" } } as const;
    await writeFile(file, raw);
    const before = await sourceHash(source);
    await writeFile(file, Buffer.concat([raw, raw]));
    expect(await sourceHash(source)).not.toBe(before);
    expect(await sourceHash({ ...source, check: byDigest(raw) })).toBe(
      await sourceHash({ ...source, check: byDigest(raw) }),
    );
  });
});

const failureOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "",
    (error: unknown) => (error as Error).message,
  );

describe("an image by signed sums", () => {
  const check = (): CloudImageCheck => ({ by: "signature", keyring: { file: ours.keyring } });
  const list = (content: Buffer): string =>
    `${"0".repeat(64)}  other\n${sha256(content)} *disk.img\n`;
  async function publish(text: string, key: TestKey, signed = text): Promise<void> {
    server.files.set("/disk.img", { content: qcow2 });
    server.files.set("/SHA256SUMS", { content: text });
    server.files.set("/SHA256SUMS.gpg", { content: await key.sign(signed) });
  }

  it("is taken when a key of the keyring has signed its sum", async () => {
    await publish(list(qcow2), ours);
    expect((await ensure(at("disk.img", check()))).source?.digest).toBe(`sha256:${sha256(qcow2)}`);
  });

  it("is refused when the image is not the one that was signed", async () => {
    await publish(list(raw), ours);
    expect(await failure(at("disk.img", check()))).toMatch(/not what it should be/);
  });

  it("is refused when the list was changed, before the image is downloaded", async () => {
    await publish(list(qcow2), ours, list(raw));
    expect(await failure(at("disk.img", check()))).toMatch(/not accepted.*it is wrong/);
    expect(server.asked.map(({ path }) => path)).not.toContain("/disk.img");
  });

  it("is refused when somebody else signed the list", async () => {
    await publish(list(qcow2), theirs);
    expect(await failure(at("disk.img", check()))).toMatch(/by a key that is not in the keyring/);
  });

  it("is refused without a signature, or when the list doesn't name it", async () => {
    await publish(list(qcow2), ours);
    server.files.delete("/SHA256SUMS.gpg");
    expect(await failure(at("disk.img", check()))).toMatch(
      /SHA256SUMS.gpg of image image-\w+ can't be downloaded/,
    );
    await publish(`${sha256(qcow2)}  another.img\n`, ours);
    expect(await failure(at("disk.img", check()))).toMatch(/no sum of disk.img/);
  });

  it("is refused when the key has expired", async () => {
    const old = await testKey(join(cache, "old"), { expired: true });
    const file = join(cache, "list");
    await writeFile(file, "x");
    await writeFile(`${file}.gpg`, await old.sign("x"));
    await old.close();
    await expect(signedText(file, `${file}.gpg`, old.keyring)).rejects.toThrow(
      /its key has expired/,
    );
  }, 30_000);
});

describe("the keyring of Ubuntu's images", () => {
  it("is the host's when there is one, else the one that we have", async () => {
    const shipped = { shipped: "ubuntu-cloudimage-keyring.gpg" };
    const own = keyringFile(shipped, "/nowhere");
    expect(own).toMatch(/lab\/image\/keys\/ubuntu-cloudimage-keyring\.gpg$/);
    await writeFile(join(cache, shipped.shipped), "");
    expect(keyringFile(shipped, cache)).toBe(join(cache, shipped.shipped));
    // As Debian's package ubuntu-keyring 2023.11.28.1 has it.
    expect(sha256(await readFile(own))).toBe(
      "c2d40d925557dbe9a0745c12ca0dc98bed593ce9a6652f1b2faa1ff0858dbf2f",
    );
  });
});

describe("mirrors", () => {
  const source: CloudImageSource = {
    urls: ["https://official/a/b.img"],
    mirrored: "a/b.img",
    check: { by: "nothing" },
  };

  it("come before the official place", () => {
    const environment = { VEXLAB_IMAGE_MIRROR: "https://one/x https://two/" };
    expect(withMirrors(source, environment)).toEqual([
      "https://one/x/a/b.img",
      "https://two/a/b.img",
      "https://official/a/b.img",
    ]);
  });

  it("are https", () => {
    expect(() => withMirrors(source, { VEXLAB_IMAGE_MIRROR: "http://one" })).toThrow(
      /not an https/,
    );
  });
});
