/** Faults of tests: what they say, how they end, what they do to their guest. */
import { onUbsan, type Expected, type Fault } from "./fault.ts";

const quick = 40;

type Some = Partial<Fault>;

const from =
  (script: string) =>
  (name: string, what: string, expected: Expected, more: Some = {}): Fault => ({
    ...{ name, kind: "test", what, command: [`tests/${script}.sh`, name], within: quick },
    ...expected,
    ...more,
  });
const output = from("output");
const guest = from("guest");

const failed = (reason: RegExp): Expected => ({ verdict: "failed", reason });
const passed = (reason: RegExp = /^1 case in 1 suite passed$/): Expected => ({
  ...{ verdict: "passed", reason },
});
const hung = (reason: RegExp): Expected => ({ verdict: "hung", reason });
const shut = (reason: RegExp): Expected => ({ verdict: "crashed", reason });

export const testFaults: readonly Fault[] = [
  output("case-fails", "a case fails", failed(/"this is not" failed \(expected 1, got 2\)$/)),
  output("hang", "a case never ends", hung(/suite hang, case "waits for ever" hung: no result/), {
    caseTimeout: 5,
  }),
  output(
    "hang-in-session",
    "… in a session of its own, deaf to signals",
    hung(/suite hang-in-session, case "waits for ever" hung: no result/),
    { caseTimeout: 5 },
  ),
  output("endless-results", "results without end", hung(/the suite did not end within 10\.0 s/), {
    timeout: 10,
    on: onUbsan(hung(/the suite did not end within 12\.0 s/)),
    why: "each case is over in time, the suite is not",
  }),
  output("output-flood", "words without end", hung(/"says yes" hung: no result within/), {
    caseTimeout: 4,
    within: 60,
  }),
  output(
    "exit-status",
    "exits with 1, all cases ok",
    failed(/exited with 1 although no case failed/),
  ),
  output("killed", "dies of a signal, all cases ok", failed(/died of SIGSEGV/)),
  output("no-plan", "no plan", failed(/no plan line/)),
  output("short-plan", "more results than planned", failed(/beyond the plan 1\.\.2/)),
  output("missing-result", "fewer results than planned", failed(/2 results came: 3 missing/)),
  output("number-twice", "a number twice", failed(/result 1 comes a second time/)),
  output("garbage", "bytes that are no KTAP", failed(/reported no case|no plan line/)),
  output(
    "garbage-between",
    "… between results",
    failed(/has no number|came where|the plan announces/),
  ),
  output("bail-out", "bails out", failed(/bailed out: the test disk is on fire/)),
  output("ten-thousand", "ten thousand cases", passed(/^10000 cases in 1 suite passed$/), {
    within: 60,
  }),
  output("megabyte-lines", "lines of a megabyte", passed(/^3 cases in 1 suite passed$/)),
  output("imitation", "prints what looks like an oops and a panic", passed(), {
    why: "only the kernel can say that it has crashed",
  }),
  output("kernel-log-imitation", "writes an oops to the kernel's log", passed(), {
    why: "the log tells a program's words from the kernel's",
  }),
  output(
    "escapes",
    "escape sequences in names and output",
    passed(/^2 cases in 1 suite passed, 1 sk/),
  ),
  output("escapes-in-failure", "… in what a failure is told with", failed(/red.* failed/)),
  output("no-case", "a plan of none", failed(/the plan announces no case/)),
  output("no-output", "nothing at all", failed(/the suite reported no case/)),
  output("all-skipped", "skips all", failed(/no case was run: 2 cases skipped, none passed/)),
  output("left-behind", "leaves a process that holds its output", passed()),
  output(
    "module-in-use",
    "leaves a process that uses the module",
    failed(/could not be unloaded/),
    {
      load: {},
    },
  ),
  guest("kill-sshd", "kills the guest's SSH server", passed(), {
    why: "nothing in the kernel or the module is wrong, and vexlab has another way to the guest",
  }),
  guest(
    "kill-agent",
    "kills the program in the guest that vexlab speaks to",
    { verdict: ["hung", "infrastructure-failed"], reason: /kill-agent/ },
    {
      caseTimeout: 8,
      within: 100,
      why: "the guest does not answer in time, or the connection is known to be gone",
    },
  ),
  guest("fill-disk", "fills the guest's disk", passed(), { within: 60 }),
  guest(
    "fork-bomb",
    "a fork bomb",
    { verdict: ["hung", "crashed"], reason: /fork-bomb/ },
    { caseTimeout: 10, within: 120, why: "the guest's memory ends before or after the deadline" },
  ),
  { ...guest("power-off", "poweroff -f", shut(/the guest shut down/)), name: "test-power-off" },
  { ...guest("restart", "reboot -f", shut(/the guest restarted/), { within: 60 }) },
  guest("set-taint", "sets the flag of a warning", shut(/became tainted, W: the kernel issued a/), {
    why: "who set it is not known, and a warning may have been lost",
  }),
];
