/** How long cells took when they last ran: the longest start first. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import type { Places } from "../lab/config/places.ts";
import { writeWhole } from "../lab/report/wholeFile.ts";

const schema = z.record(z.string(), z.number().nonnegative());
const file = (where: Places): string => join(where.state, "matrix", "times.json");

/** Seconds by the name of the cell's stack; empty when nothing is known. */
export async function readTimes(where: Places): Promise<Readonly<Record<string, number>>> {
  try {
    return schema.parse(JSON.parse(await readFile(file(where), "utf8")));
  } catch {
    // An estimate only.
    return {};
  }
}

/** Remembers how long cells have taken. */
export async function rememberTimes(
  where: Places,
  times: Readonly<Record<string, number>>,
): Promise<void> {
  await writeWhole(file(where), `${JSON.stringify({ ...(await readTimes(where)), ...times })}\n`);
}
