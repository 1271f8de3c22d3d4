import { availableParallelism, totalmem } from "node:os";
import type { Host } from "./stackSchema.ts";

/** What this machine has to offer to a stack's guest; its defaults and limits follow from it. */
export function thisHost(checkout: string): Host {
  return {
    cpus: availableParallelism(),
    memoryMiB: Math.floor(totalmem() / 2 ** 20),
    checkout,
  };
}
