/**
 * What vexlab's verbs exit with, and the one error type that carries it.
 *
 * A verdict is never guessed: a failed test, a broken build, a crashed kernel, a hung guest and a
 * broken host are different results, and each has a number that scripts can rely on.
 */
export const ExitCode = {
  passed: 0,
  failed: 1,
  usage: 2,
  infrastructureFailed: 3,
  crashed: 4,
  hung: 5,
  buildFailed: 6,
  loadFailed: 7,
  cancelled: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/**
 * An error that a person reads: what it is about, what was wrong, what is allowed or was expected,
 * and what to do next.
 */
export class LabError extends Error {
  override readonly name: string = "LabError";

  constructor(
    message: string,
    readonly exitCode: ExitCode,
    /** What to do next; one sentence, printed on a line of its own. */
    readonly next?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** One mistake in a configuration or manifest. */
export interface Fault {
  /** The key as the user wrote it, such as `vexlab:memory` or `suites[1].timeout`. */
  readonly key: string;
  /** The value that was found, as text; undefined when the key is missing. */
  readonly value?: string;
  /** What was wrong with it. */
  readonly problem: string;
  /** What is allowed there. */
  readonly allowed: string;
}

/** Every mistake of one configuration or manifest, reported together. Exit code 2. */
export class ConfigurationError extends LabError {
  override readonly name = "ConfigurationError";

  constructor(
    /** Where the mistakes are: a file's path, or "stack dev". */
    readonly where: string,
    readonly faults: readonly Fault[],
  ) {
    const lines = faults.map(
      (fault) =>
        `  ${fault.key}${fault.value === undefined ? "" : ` = ${fault.value}`}: ${fault.problem}; allowed: ${fault.allowed}`,
    );
    const count = faults.length === 1 ? "1 mistake" : `${faults.length} mistakes`;
    super(`${where}: ${count}\n${lines.join("\n")}`, ExitCode.usage);
  }
}
