/**
 * Everything between a fresh clone and a Pulumi that can be run: system packages, toolchain, state
 * folder, generated package. Each part looks first whether it is done; all done takes milliseconds.
 */
import type { Places } from "../lab/config/places.ts";
import type { Progress } from "../lab/report/progress.ts";
import { engineOf, ensureBackend, environmentOf, type Engine } from "./engine.ts";
import { ensureToolchain, type Toolchain } from "./install.ts";
import { ensureSdk } from "./sdk.ts";
import { ensureSystemPackages } from "./systemPackages.ts";

export interface Bootstrapped {
  readonly toolchain: Toolchain;
  readonly engine: Engine;
}

/** Prepares this host and checkout. @throws LabError (exit 3) naming what is missing */
export async function bootstrap(
  progress: Progress,
  where: Places,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Bootstrapped> {
  await ensureSystemPackages(progress);
  const toolchain = await ensureToolchain(progress, where.cache, environment);
  await ensureBackend(where);
  const engine = engineOf(toolchain, where, environment);
  await ensureSdk(toolchain, where, environmentOf(engine, environment), progress);
  return { toolchain, engine };
}
