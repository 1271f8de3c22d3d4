import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { makeCache, writePointer } from "../../../../lab/image/cache.ts";
import { kernelProblem, kernelToInstall } from "../../../../lab/image/kernelOffer.ts";
import { hashRecipe, recipe } from "../../../../lab/image/recipe.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import type { RecipeName } from "../../../../lab/config/recipes.ts";

// Port 9 (discard): nobody answers there.
const archive = "http://127.0.0.1:9/debian";
let cache: string;

beforeEach(async () => {
  vi.stubEnv("VEXLAB_MIRROR", archive);
  vi.stubEnv("VEXLAB_SECURITY_MIRROR", archive);
  cache = await mkdtemp(join(tmpdir(), "vexlab-offer-"));
  await makeCache(cache);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

/** What the archive was found to have, an hour ago. */
async function remember(suite: string, ...releases: [release: string, version: string][]) {
  const kernels = releases.map(([release, version]) => ({
    ...{ suite, release, version, series: /^\d+\.\d+/.exec(release)?.[0], compiler: "gcc-14" },
    ...{ image: `linux-image-${release}`, headers: `linux-headers-${release}`, current: true },
  }));
  const asked = new Date(Date.now() - 3_600_000).toISOString();
  await mkdir(join(cache, "archive"), { recursive: true });
  const kept = { archive, asked, gone: false, kernels };
  await writeFile(join(cache, "archive", `${suite}.json`), JSON.stringify(kept));
}

async function rememberTrixie(): Promise<void> {
  await remember("trixie", ["6.12.117+deb13-amd64", "6.12.117-1"]);
  await remember("trixie-updates");
  await remember("trixie-security");
  await remember("trixie-backports", ["7.3.4+deb13-amd64", "7.3.4-1~bpo13+1"]);
}

const problemOf = (name: RecipeName) =>
  kernelProblem(name, { progress: silentProgress, cache, deadlineSeconds: 20 });

it("is nothing for a kernel that is there", async () => {
  await rememberTrixie();
  for (const kernel of ["7.3", "6.x", "7.3.4+deb13-amd64", "7.3.4+deb13-amd64=7.3.4-1~bpo13+1"])
    expect(await problemOf(`debian-13-linux-${kernel}`)).toBeUndefined();
});

it("names what is there instead of a kernel that is not", async () => {
  await rememberTrixie();
  const allowed = "6.12 (6.12.117+deb13-amd64), 7.3 (7.3.4+deb13-amd64)";
  for (const kernel of ["7.0", "5.x", "7.3.3+deb13-amd64"])
    expect(await problemOf(`debian-13-linux-${kernel}`)).toEqual({
      problem: "the archive has no such kernel for debian-13 now",
      allowed,
    });
  const locked = await problemOf("debian-13-linux-7.3.4+deb13-amd64=7.3.4-1~bpo13+2");
  expect(locked?.problem).toMatch(
    /kernels\.lock\.yaml has 7\.3\.4\+deb13-amd64 \(7\.3\.4-1~bpo13\+2\)/,
  );
  expect(locked?.allowed).toContain(allowed);
});

it("asks nobody about the recipes of the list, nor about an image that was built", async () => {
  expect(await problemOf("debian-13-backports")).toBeUndefined();
  const name = "debian-13-linux-7.0";
  await writePointer(await hashRecipe(recipe(name)), "debian-13-linux-7-0-0123456789ab", cache);
  expect(await problemOf(name)).toBeUndefined();
});

it("leaves it to the build where nobody can tell", { timeout: 60_000 }, async () => {
  expect(await problemOf("debian-sid-linux-7.0")).toBeUndefined();
  const options = { progress: silentProgress, cache, deadlineSeconds: 20 };
  await expect(kernelToInstall("debian-sid-linux-7.0", options)).rejects.toThrow(
    /archive can't be asked for kernel 7\.0 of debian-sid: sid: /,
  );
});
