/**
 * The faults that `npm run faults` makes, and what is right to be told of each. That is written down
 * before a fault is made for the first time, by what is right and not by what comes out. "passed" is
 * never right for a fault of the kernel that the kernel can notice.
 */
import { cellFaults } from "./cellFaults.ts";
import type { Fault } from "./fault.ts";
import { hostFaults } from "./hostFaults.ts";
import { kernelFaults } from "./kernelFaults.ts";
import { testFaults } from "./testFaults.ts";

/** Made while a suite runs. */
export const catalogue: readonly Fault[] = [...kernelFaults, ...testFaults, ...hostFaults];

/** All of them, by name. */
export const faultNames: readonly string[] = [...catalogue, ...cellFaults].map(({ name }) => name);
