/** A sample of the fault catalogue (`npm run faults`), so that it can't rot. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { catalogue } from "../faults/catalogue.ts";
import { FaultLab } from "../faults/faultLab.ts";
import { judgeTold } from "../faults/told.ts";

const sample = ["null-pointer", "warn", "hang", "exit-status", "qemu-killed"];
/** The host may do other things at the same time. */
const slack = 4;

let lab: FaultLab | undefined;

beforeAll(async () => {
  lab = await FaultLab.make(new AbortController().signal);
});

afterAll(() => lab?.remove());

test.each(sample)("%s is told right", async (name) => {
  const fault = catalogue.find((each) => each.name === name);
  if (lab === undefined || fault === undefined) throw new Error(`there is no fault ${name}`);
  const outcome = await lab.run(fault);
  const kernel = /^\d+\.\d+/.exec(outcome.report?.kernelRelease ?? "")?.[0] ?? "";
  expect(judgeTold(fault, outcome, kernel, slack).wrong).toEqual([]);
});
