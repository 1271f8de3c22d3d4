import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { watchForEnd } from "../../../../lab/run/endWatch.ts";
import { FakeWitness } from "./fakeGuest.ts";

const panic = "[    9.1] Kernel panic - not syncing: Fatal exception\r\n";

test("a panic that comes piece by piece is the end, and told once", async () => {
  const witness = new FakeWitness();
  const ended = vi.fn();
  const stop = watchForEnd(witness, ended);
  for (const piece of ["[    9.0] hello: loaded\r\n", panic.slice(0, 20), panic.slice(20), panic]) {
    expect(ended).not.toHaveBeenCalledTimes(2);
    witness.console += piece;
    await delay(30);
  }
  stop();
  expect(ended).toHaveBeenCalledTimes(1);
});

test("a restart without a word is the end", async () => {
  const witness = new FakeWitness();
  const ended = vi.fn();
  const stop = watchForEnd(witness, ended);
  witness.console = "[   90.0] hello: loaded\r\n";
  await delay(30);
  witness.console += "[    0.000000] Linux version 6.1.0-test\r\n";
  await vi.waitFor(() => expect(ended).toHaveBeenCalledOnce());
  stop();
});

test("neither an oops nor what comes after the watch is the end", async () => {
  const witness = new FakeWitness();
  const ended = vi.fn();
  const stop = watchForEnd(witness, ended);
  witness.console = "[   80.0] BUG: kernel NULL pointer dereference, address: 0000000000000000\r\n";
  await delay(30);
  stop();
  witness.console += panic;
  await delay(30);
  expect(ended).not.toHaveBeenCalled();
});

test("a console that can't be read ends nothing", async () => {
  const witness = new FakeWitness();
  // eslint-disable-next-line @typescript-eslint/require-await, require-yield
  witness.consoleText = async function* () {
    throw new Error("EIO");
  };
  const ended = vi.fn();
  watchForEnd(witness, ended);
  await delay(10);
  expect(ended).not.toHaveBeenCalled();
});
