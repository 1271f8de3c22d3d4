/**
 * Sizes and durations as people write them: `4G`, `2048M`, `60s`, `10m`.
 *
 * A bare number is refused: `memory: 4` means four of what? Sizes are binary (1G = 1024 MiB), as in
 * QEMU's and libvirt's own options.
 */

/** What a size may look like, for messages and schemas. */
export const sizeForm = "a number with M, G or T, such as 2048M or 4G";
/** What a duration may look like, for messages and schemas. */
export const durationForm = "a number with ms, s, m or h, such as 60s or 10m";

export const sizePattern = /^(\d+(?:\.\d+)?)([MGT])(?:iB)?$/;
export const durationPattern = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;

const mebibytes: Record<string, number> = { M: 1, G: 1024, T: 1024 * 1024 };
const milliseconds: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** MiB of a size such as `4G`; undefined when it isn't one or isn't a whole number of MiB. */
export function parseSize(text: string): number | undefined {
  return whole(sizePattern.exec(text), mebibytes);
}

/** Milliseconds of a duration such as `60s`; undefined when it isn't one or is under 1 ms. */
export function parseDuration(text: string): number | undefined {
  return whole(durationPattern.exec(text), milliseconds);
}

/** A size in the largest unit that keeps it whole: 4096 → `4G`, 1536 → `1536M`. */
export function formatSize(mib: number): string {
  if (mib >= 1024 * 1024 && mib % (1024 * 1024) === 0) return `${mib / (1024 * 1024)}T`;
  return mib >= 1024 && mib % 1024 === 0 ? `${mib / 1024}G` : `${mib}M`;
}

/** A duration in the largest unit that keeps it whole: 60000 → `1m`, 1500 → `1500ms`. */
export function formatDuration(ms: number): string {
  for (const unit of ["h", "m", "s"]) {
    const size = milliseconds[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

function whole(match: RegExpExecArray | null, units: Record<string, number>): number | undefined {
  if (match === null) return undefined;
  const amount = Number(match[1]) * (units[match[2] ?? ""] ?? Number.NaN);
  return Number.isSafeInteger(amount) && amount > 0 ? amount : undefined;
}
