import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { packageArchive } from "../../../../lab/image/archive.ts";

let apt: string;
beforeEach(async () => {
  apt = await mkdtemp(join(tmpdir(), "vexlab-apt-"));
  await mkdir(join(apt, "sources.list.d"));
});
afterEach(() => rm(apt, { recursive: true }));

it("reads both formats from apt's folders", async () => {
  await writeFile(
    join(apt, "sources.list.d/debian.sources"),
    "Types: deb\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n",
  );
  await writeFile(join(apt, "sources.list"), "deb http://a.test/security bookworm-security main\n");
  expect(await packageArchive({}, apt)).toEqual({
    main: "http://a.test/debian",
    security: "http://a.test/security",
  });
});

it("leaves the choice to mmdebstrap where nothing is configured", async () => {
  expect(await packageArchive({}, apt)).toBeUndefined();
});

it("lets the environment win over the host's configuration", async () => {
  await writeFile(join(apt, "sources.list"), "deb http://a.test/debian bookworm main\n");
  expect(await packageArchive({ VEXLAB_MIRROR: "https://b.test/debian" }, apt)).toEqual({
    main: "https://b.test/debian",
  });
});

it("refuses a mirror that is not an address, naming the variable", async () => {
  await expect(packageArchive({ VEXLAB_MIRROR: "b.test/debian" }, apt)).rejects.toThrow(
    /VEXLAB_MIRROR is b\.test/,
  );
  // A blank would become another field of a line of apt's configuration.
  await expect(
    packageArchive({ VEXLAB_MIRROR: "http://b.test/debian [trusted=yes]" }, apt),
  ).rejects.toThrow(/VEXLAB_MIRROR/);
});
