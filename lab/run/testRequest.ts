/** What a test run is asked for. */
import type { BuildResult } from "../build/result.ts";
import type { PanicMode } from "../config/panicMode.ts";
import type { Manifest } from "../config/manifest.ts";
import type { Phases } from "../report/phases.ts";
import type { GuestSource } from "./openGuest.ts";
import type { GuestPlace } from "./readyGuest.ts";
import type { Selection } from "./selection.ts";
import type { Repetition } from "./verdict.ts";

export interface TestRequest {
  readonly stack: string;
  readonly guest: GuestPlace;
  readonly build: BuildResult;
  readonly manifest: Manifest;
  /** The module is not the stack's: its verdict isn't the stack's either. */
  readonly otherSource?: boolean;
  /** The folder of results. */
  readonly results: string;
  /** Which suites and cases; all when undefined. */
  readonly selection?: Selection;
  /** Decides a random order; the manifest's order when undefined. */
  readonly seed?: number;
  /** Whether the first case that fails ends the run. */
  readonly stopAtFirst?: boolean;
  /** Which of several runs of the same this is. */
  readonly repetition?: Repetition;
  /** Suites that run before the others; the report has all in the order of the plan. */
  readonly first?: readonly string[];
  /** Where the run's guests come from; the stack's own by default. */
  readonly source?: GuestSource;
  /** How many suites run at once, each in a guest of its own; 1 by default: all in one guest. */
  readonly jobs?: number;
  /** Takes the time of the run's parts. */
  readonly phases?: Phases;
  /** Whether the guest is stopped after the run. */
  readonly stopAfter: boolean;
  /** Whether the memory of a guest that crashed or hung is kept. */
  readonly dumpMemory?: boolean;
  /** In which guests an oops ends in a panic. */
  readonly panicOnOops: PanicMode;
  /** Milliseconds that a dying kernel gets for its last words on the console; default 5 s. */
  readonly lastWordsMs?: number;
}
