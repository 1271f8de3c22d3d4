/** Random orders that a seed decides: the same on every machine and in every language. Pure. */
import { createHash } from "node:crypto";

/** Seeds are whole numbers up to this one. */
export const largestSeed = 2 ** 32 - 1;

/**
 * The names in the order of the SHA-256 of "SEED NAME". A name's place among others does not depend
 * on which others there are: fewer of them keep the order that they had among all.
 */
export function inRandomOrder<Named extends { readonly name: string }>(
  all: readonly Named[],
  seed: number,
): Named[] {
  return all
    .map((each) => ({ each, key: hash(`${seed} ${each.name}`) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ each }) => each);
}

/** The seed of the n-th repetition (from 1) of a run that began with this one. */
export function seedOf(first: number, repetition: number): number {
  return (first + repetition - 1) % (largestSeed + 1);
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
