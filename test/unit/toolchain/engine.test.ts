import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Places } from "../../../lab/config/places.ts";
import { engineOf, ensureBackend, environmentOf } from "../../../toolchain/engine.ts";

let folder: string;
let where: Places;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab engine "));
  where = { checkout: folder, state: join(folder, ".vexlab"), results: folder, cache: folder };
});

afterEach(async () => rm(folder, { recursive: true }));

const mode = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;

describe("the state folder", () => {
  it("is the user's alone, but for the way to the disks", async () => {
    await ensureBackend(where);
    expect(await mode(where.state)).toBe(0o711);
    expect(await mode(join(where.state, "pulumi"))).toBe(0o700);
    expect(await mode(join(where.state, "passphrase"))).toBe(0o600);
  });

  it("keeps its passphrase, whoever comes first", async () => {
    await Promise.all(Array.from({ length: 20 }, () => ensureBackend(where)));
    const passphrase = await readFile(join(where.state, "passphrase"), "utf8");
    expect(passphrase.trim().length).toBeGreaterThanOrEqual(40);
    await ensureBackend(where);
    expect(await readFile(join(where.state, "passphrase"), "utf8")).toBe(passphrase);
    expect((await readdir(where.state)).sort()).toEqual(["passphrase", "pulumi"]);
  });
});

describe("the engine's environment", () => {
  it("is vexlab's, whatever the user exported", () => {
    const toolchain = { folder: "/c/t", bin: "/c/t/bin", home: "/c/t/home", tools: [] };
    const user = {
      PATH: "/usr/bin",
      PULUMI_HOME: "/home/alice/.pulumi",
      PULUMI_BACKEND_URL: "https://elsewhere.invalid",
      PULUMI_CONFIG_PASSPHRASE: "hers",
      PULUMI_STACK: "hers",
      KEPT: "yes",
    };
    const environment = environmentOf(engineOf(toolchain, where, user), user);
    expect(environment).toMatchObject({
      PATH: "/c/t/bin:/usr/bin",
      PULUMI_HOME: "/c/t/home",
      // A file URL: the folder's name may hold a blank.
      PULUMI_BACKEND_URL: `file://${join(where.state, "pulumi").replaceAll(" ", "%20")}`,
      PULUMI_CONFIG_PASSPHRASE_FILE: join(where.state, "passphrase"),
      KEPT: "yes",
    });
    expect(environment).not.toHaveProperty("PULUMI_CONFIG_PASSPHRASE");
    expect(environment).not.toHaveProperty("PULUMI_STACK");
  });

  it("lets Go's programs keep their garbage, unless the user says how they collect it", () => {
    const toolchain = { folder: "/c/t", bin: "/c/t/bin", home: "/c/t/home", tools: [] };
    const collection = (base: NodeJS.ProcessEnv): unknown => {
      const { GOGC, GOMEMLIMIT } = environmentOf(engineOf(toolchain, where, base), base);
      return { GOGC, GOMEMLIMIT };
    };
    expect(collection({})).toEqual({ GOGC: "off", GOMEMLIMIT: "512MiB" });
    expect(collection({ GOGC: "50" })).toEqual({ GOGC: "50", GOMEMLIMIT: "512MiB" });
    expect(engineOf(toolchain, where, {}).variables).not.toHaveProperty("GOGC");
  });
});
