/** A report with one of everything, for the golden tests of the renderers. */
import type { CaseResult, Crash, RunReport, SuiteResult } from "../../../../lab/run/verdict.ts";

export function suite(
  name: string,
  cases: CaseResult[],
  more: Partial<SuiteResult> = {},
): SuiteResult {
  return {
    name,
    cases,
    ending: "exited",
    exitCode: 0,
    milliseconds: 2_345,
    problems: [],
    tail: [],
    ...more,
  };
}

const mount = "mount";

export const mixed: RunReport = {
  runId: "20261122-163512-345-dev",
  stack: "dev",
  kernelRelease: "6.1.0-56-amd64",
  imageId: "debian-12-8d049416b8d1",
  sourceHash: "eb64c4e28531735104a053226d7a888e4ecd715bd5572ddd6834a5cca4ae2a7e",
  artefactHash: "38a327d6d58ba34e45102880b7fe1eae7e50c44b85eabbc91eabc8ef42e2e686",
  verdict: "failed",
  exitCode: 1,
  reason: 'suite mount, case "read / back" failed (got <4> & "5") and 1 more',
  moduleProblems: [],
  crashes: [],
  startedAt: "2026-11-22T16:35:12.345Z",
  seconds: 65.4,
  files: { log: "/r/test_log.txt", junit: "/r/run/junit.xml", json: "/r/run/result.json" },
  suites: [
    suite(
      mount,
      [
        {
          suite: mount,
          name: "mkfs",
          outcome: "passed",
          milliseconds: 812,
          diagnostics: ["1 MiB"],
        },
        {
          suite: mount,
          name: "read / back",
          outcome: "failed",
          milliseconds: 400,
          diagnostics: ["expected 5", 'got <4> & "5"\u0007'],
        },
        {
          suite: mount,
          name: "acl",
          outcome: "skipped",
          milliseconds: 1,
          diagnostics: [],
          directive: "SKIP not supported",
        },
        {
          suite: mount,
          name: "unmount",
          outcome: "timedOut",
          milliseconds: 60_100,
          diagnostics: ["no result within 60.0 s"],
        },
      ],
      { ending: "caseTimeout", exitCode: null, milliseconds: 61_313 },
    ),
    suite("vector", [], {
      exitCode: 127,
      problems: ["the suite reported no case: its output has no plan and no result line"],
      tail: ["env: 'tests/vector.sh': No such file or directory"],
    }),
    suite("stress", [], { ending: "notRun", exitCode: null, milliseconds: 0 }),
  ],
};

export const crash: Crash = {
  kind: "oops",
  cause: "page fault",
  title: "page fault in hello_write [hello]",
  function: "hello_write",
  module: "hello",
  panic: "Fatal exception",
  time: 12.5,
  during: "suite mount",
  suite: mount,
  case: "write <1>",
  lines: [
    "BUG: unable to handle page fault for address: ffffc8deadbee000",
    "RIP: 0010:hello_write+0xc/0x20 [hello]",
    "Code: 48 98 c3 cc",
    "Call Trace:",
    " <TASK>",
    " ? irq_entries_start+0x1/0x660",
    " vfs_write+0x10/0x120",
  ],
  frames: [
    {
      text: "RIP: 0010:hello_write+0xc/0x20 [hello]",
      function: "hello_write",
      symbol: "hello_write",
      offset: 12,
      module: "hello",
      instruction: true,
      reliable: true,
      source: "hello.c:42",
    },
    {
      text: " ? irq_entries_start+0x1/0x660",
      function: "irq_entries_start",
      symbol: "irq_entries_start",
      offset: 1,
      instruction: false,
      reliable: false,
    },
    {
      text: " vfs_write+0x10/0x120",
      function: "vfs_write",
      symbol: "vfs_write",
      offset: 16,
      instruction: false,
      reliable: true,
    },
  ],
};

export const crashed: RunReport = {
  ...mixed,
  verdict: "crashed",
  exitCode: 4,
  reason:
    'the kernel crashed during suite mount, case "write <1>": page fault in hello_write [hello] (hello.c:42)',
  crashes: [crash],
  suites: [suite(mount, [])],
};

export const notLoaded: RunReport = {
  ...mixed,
  verdict: "load-failed",
  exitCode: 7,
  reason: "the module was not loaded: insmod: ERROR: Invalid parameters",
  suites: [suite("stress", [], { ending: "notRun", exitCode: null, milliseconds: 0 })],
};

/** A run of chosen cases in a random order, one of several. */
export const measured: RunReport = {
  ...mixed,
  verdict: "passed",
  exitCode: 0,
  reason: "1 case in 1 suite passed",
  selection: { suites: [], cases: ["write*"], tags: ["slow"] },
  seed: 42,
  repetition: { number: 2, most: 2 },
  repetitions: [
    { number: 1, verdict: "passed", seconds: 7.5, seed: 41 },
    { number: 2, verdict: "passed", seconds: 65.4, seed: 42, runId: mixed.runId },
  ],
  phases: [{ name: "run", milliseconds: 2_345 }],
  suites: [
    suite(
      "performance",
      [
        {
          suite: "performance",
          name: "writes in sequence",
          outcome: "passed",
          milliseconds: 2_000,
          diagnostics: [],
          tags: ["slow", "io"],
          measures: [
            { name: "throughput", value: 12.5, unit: "MB/s" },
            { name: "latency.p99", value: 0.003, unit: "s" },
          ],
        },
      ],
      { notSelected: 7 },
    ),
  ],
};
