import * as pulumi from "@pulumi/pulumi";
import { LabError } from "../lab/config/errors.ts";
import { leaveFault } from "../lab/config/programFault.ts";

/**
 * Ends the program with an error: one of vexlab's own is told by its message alone, and to the command
 * that runs Pulumi.
 */
export function endProgram(error: unknown): never {
  leaveFault(error);
  throw error instanceof LabError ? new pulumi.RunError(error.message) : error;
}
